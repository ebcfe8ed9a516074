import { createHash } from "node:crypto";
import { parseArgs } from "node:util";
import { Deployment } from "../test/support/deployments.ts";
import { forgetPeak, LargeContent, MIB, memoryOf, putPart, uploadOffset } from "../test/support/large-files.ts";

// `pnpm bench:upload [--mib 2048] [--part 64]`: one large file in, through a step, and out again, and what memory it takes.
const { values } = parseArgs({
  options: { mib: { type: "string", default: "2048" }, part: { type: "string", default: "64" } },
});
const mebibytes = Number(values.mib);
const part = Number(values.part) * MIB;
const max = String(2 * mebibytes * MIB);

await using maia = await Deployment.start("local", {
  MAIA_LOG_LEVEL: "warn",
  MAIA_UPLOAD_FILE_MAX: max,
  MAIA_ARTIFACT_MAX: max,
});
const { client } = maia;
const { pid } = maia.part("up");
const content = new LargeContent(mebibytes);

/** Carries something out, and prints how long it took and what memory the server had meanwhile. */
async function measured<T>(what: string, work: () => Promise<T>): Promise<T> {
  await forgetPeak(pid);
  const before = (await memoryOf(pid)).now;
  const started = performance.now();
  const result = await work();
  const seconds = (performance.now() - started) / 1_000;
  const { now, peak } = await memoryOf(pid);
  const mib = (bytes: number) => `${Math.round(bytes / MIB)} MiB`;
  const rate = Math.round(mebibytes / seconds);
  console.log(`${what}: ${seconds.toFixed(1)} s (${rate} MiB/s); RSS ${mib(before)} → ${mib(now)}, peak ${mib(peak)}`);
  return result;
}

async function upload(): Promise<void> {
  for (let from = await uploadOffset(client, content); from !== null; from = await uploadOffset(client, content)) {
    const answer = await putPart(client, content, from, Math.min(from + part, content.sizeBytes));
    if (!answer.ok) throw new Error(`PUT: ${answer.status} ${await answer.text()}`);
    await answer.arrayBuffer();
  }
}

async function get(id: string, range: string | null): Promise<string> {
  const headers = { authorization: `Bearer ${client.key}`, ...(range ? { range } : {}) };
  const answer = await fetch(`${client.url}/v1/artifacts/${id}/content`, { headers });
  if (answer.status !== (range ? 206 : 200)) throw new Error(`GET: ${answer.status} ${await answer.text()}`);
  const digest = createHash("sha256");
  for await (const chunk of answer.body!) digest.update(chunk);
  return digest.digest("hex");
}

async function inRanges(id: string): Promise<void> {
  for (let from = 0; from < content.sizeBytes; from += part) {
    const to = Math.min(from + part, content.sizeBytes);
    const expected = createHash("sha256");
    for (const piece of content.bytes(from, to)) expected.update(piece);
    if ((await get(id, `bytes=${from}-${to - 1}`)) !== expected.digest("hex"))
      throw new Error(`other bytes at ${from}`);
  }
}

await client.apply({
  name: "copy",
  steps: [{ key: "copy", runtime: "shell", script: 'cp "$MAIA_RUN_DIR"/inputs/* "$MAIA_ARTIFACTS_DIR/copy.txt"' }],
});
await measured(`upload of ${mebibytes} MiB in parts of ${values.part} MiB`, upload);
const run = await measured("a step that copies it into an artifact", async () =>
  client.finished((await client.submit("copy", { files: [{ name: "in", sha256: content.sha256 }] })).id, 3_600_000),
);
if (run.status !== "SUCCEEDED") throw new Error(JSON.stringify(run.failure));
const { id } = (await client.artifacts(run.id)).find(({ name }) => name === "copy.txt")!;
const sha256 = await measured("download of the artifact, whole", () => get(id, null));
await measured(`download of the artifact in ranges of ${values.part} MiB`, () => inRanges(id));
console.log(`Node ${process.version}, ${values.part} MiB per request, the same machine sends, serves and checks`);
if (sha256 !== content.sha256) throw new Error("the artifact has other bytes");
