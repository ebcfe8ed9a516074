import { randomBytes } from "node:crypto";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { BlobStore, putPatiently } from "../dist/index.js";

const root = process.argv[2]; // a file system of 1 MiB
const tmp = join(root, "tmp");
const store = await BlobStore.open(join(root, "blobs"), tmp);

async function* slices(bytes) {
  for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536);
}
const codeOf = (promise) => promise.then(() => "kept").catch((error) => error.code);

const small = await store.put(randomBytes(500_000));
const large = randomBytes(600_000);
const refused = [await codeOf(store.put(large)), await codeOf(store.put(slices(large)))];
const leftovers = (await readdir(tmp)).length;
const smallStillVerifies = await store.verify(small.sha256);
await store.remove(small.sha256);
const { sizeBytes, known } = await store.put(large);
console.log(JSON.stringify({ refused, leftovers, smallStillVerifies, afterRoomWasMade: { sizeBytes, known } }));

await store.remove((await store.put(large)).sha256);
const filler = await store.put(randomBytes(500_000));
const waits = [];
const patient = putPatiently(
  store,
  () => slices(large),
  (error) => {
    waits.push(error.code);
    store.remove(filler.sha256);
  },
);
const kept = await patient;
console.log(JSON.stringify({ waits, keptBytes: kept.sizeBytes }));
