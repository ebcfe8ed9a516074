import { randomBytes } from "node:crypto";
import { BlobStore } from "../dist/index.js";

const [, , blobs, tmp] = process.argv;
const store = await BlobStore.open(blobs, tmp);

async function* slices(bytes) {
  for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536);
}

for (;;) {
  const { sha256 } = await store.put(slices(randomBytes(2_000_000)));
  process.stdout.write(`${sha256}\n`);
}
