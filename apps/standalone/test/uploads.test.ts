import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { readdir } from "node:fs/promises";
import path from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { describe, expect, it } from "@jest/globals";
import { Deployment } from "./support/deployments.ts";
import { forgetPeak, LargeContent, MIB, memoryOf, putPart, uploadOffset } from "./support/large-files.ts";
import { Pipe } from "./support/pipe.ts";
import { eventually, MaiaProcess, temporaryFolder } from "./support/processes.ts";

const copy = {
  name: "copy",
  steps: [
    {
      key: "copy",
      runtime: "shell" as const,
      script: 'cp "$MAIA_RUN_DIR"/inputs/* "$MAIA_ARTIFACTS_DIR/copy.txt"',
    },
  ],
};

/** The connection breaks while bytes are on their way. */
async function putBroken(maia: Deployment, content: LargeContent, from: number, at: number): Promise<void> {
  const { client } = maia;
  const stop = new AbortController();
  const bytes = async function* () {
    yield* content.bytes(from, at);
    await eventually("they have arrived", async () => (await uploadOffset(client, content)) === at);
    stop.abort();
  };
  const request = fetch(`${client.url}/v1/blobs/${content.sha256}`, {
    method: "PUT",
    headers: {
      authorization: `Bearer ${client.key}`,
      "content-range": `bytes ${from}-${content.sizeBytes - 1}/${content.sizeBytes}`,
    },
    body: ReadableStream.from(bytes()),
    duplex: "half",
    signal: stop.signal,
  } as RequestInit);
  await expect(request).rejects.toThrow();
}

/** Goes through a step into an artifact, and out again in ranges. */
async function through({ client }: Deployment, content: LargeContent): Promise<void> {
  const files = [{ name: "in", sha256: content.sha256 }];
  const run = await client.finished((await client.submit("copy", { files })).id);
  expect({ status: run.status, failure: run.failure }).toEqual({ status: "SUCCEEDED", failure: null });
  const { id, sha256 } = (await client.artifacts(run.id)).find(({ name }) => name === "copy.txt")!;
  expect(sha256).toBe(content.sha256);
  const digest = createHash("sha256");
  for (let from = 0; from < content.sizeBytes; from += 20 * MIB) {
    const headers = { authorization: `Bearer ${client.key}`, range: `bytes=${from}-${from + 20 * MIB - 1}` };
    const answer = await fetch(`${client.url}/v1/artifacts/${id}/content`, { headers });
    expect(answer.status).toBe(206);
    for await (const chunk of answer.body!) digest.update(chunk);
  }
  expect(digest.digest("hex")).toBe(content.sha256);
}

describe("a large file", () => {
  it("comes in parts over a cut and a crash, goes through a step and out again in ranges, and memory does not grow with it", async () => {
    await using maia = await Deployment.start("local");
    const { client } = maia;
    await client.apply(copy);
    const content = new LargeContent(64);
    expect((await putPart(client, content, 0, 10 * MIB)).status).toBe(202);
    await putBroken(maia, content, 10 * MIB, 25 * MIB);
    await maia.part("up").kill();
    maia.spawn("up");
    await eventually("it is back", async () => (await fetch(`${client.url}/readyz`)).ok);
    expect(await uploadOffset(client, content)).toBe(25 * MIB);
    expect((await putPart(client, content, 25 * MIB, 64 * MIB)).status).toBe(201);
    expect(await uploadOffset(client, content)).toBeNull();
    await through(maia, content);

    // By now the process has all that it ever needs for one file; another one, half as large again, takes no more.
    const other = new LargeContent(96, "another");
    const { pid } = maia.part("up");
    const { now } = await memoryOf(pid);
    await forgetPeak(pid);
    for (let from = 0; from < other.sizeBytes; from += 16 * MIB) await putPart(client, other, from, from + 16 * MIB);
    await through(maia, other);
    expect((await memoryOf(pid)).peak - now).toBeLessThan(64 * MIB);
    expect(await readdir(path.join(maia.dataDir, "tmp"))).toEqual([]);
  }, 240_000);

  it("is sent by the command once, however often the connection breaks", async () => {
    await using maia = await Deployment.start("local");
    await using pipe = await Pipe.to(Number(new URL(maia.url).port));
    await using folder = await temporaryFolder("upload");
    await maia.client.apply(copy);
    const content = new LargeContent(64);
    const file = path.join(folder.path, "large.txt");
    await pipeline(Readable.from(content.bytes(0, content.sizeBytes)), createWriteStream(file));
    pipe.cutAt(10 * MIB, 30 * MIB);
    const env = { MAIA_URL: pipe.url, MAIA_API_KEY: maia.client.key };
    const run = () => new MaiaProcess(["run", "copy", "--file", file, "--wait", "--json"], env);
    const first = run();
    await first.ended();
    expect([first.exitCode, first.log.match(/Going on with large\.txt/g)?.length]).toEqual([0, 2]);
    expect(pipe.passed).toBeLessThan(content.sizeBytes + 16 * MIB);
    const sent = pipe.passed;
    const again = run();
    await again.ended();
    expect([again.exitCode, again.log.includes("Sending")]).toEqual([0, false]);
    expect(pipe.passed - sent).toBeLessThan(MIB);
  }, 240_000);
});
