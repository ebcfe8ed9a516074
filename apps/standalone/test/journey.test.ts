import { createHash } from "node:crypto";
import { afterAll, describe, expect, it } from "@jest/globals";
import { diamond } from "./diamond.ts";
import type { LogItem, SseEvent } from "./support/client.ts";
import { Deployment, type Shape } from "./support/deployments.ts";

const TEXT = Array.from({ length: 400 }, (_, i) => `word${(i * 7919) % 1000}`).join(" ");
const results = new Map<Shape, { outputs: unknown; artifacts: string[] }>();

describe.each<Shape>(["local", "runner", "separate"])("a diamond of 12 steps over three runtimes, %s", (shape) => {
  it("gives outputs, artifacts with the right hashes, and logs 1..N from REST, SSE and SSE resumed anywhere (G10, G14, G15, G19)", async () => {
    await using maia = await Deployment.start(shape);
    const { client } = maia;
    await client.apply(diamond);
    const sha256 = await client.upload(TEXT);
    const job = await client.submit("twelve", { params: { who: "Ada" }, files: [{ name: "words.txt", sha256 }] });
    const run = await client.finished(job.id);
    expect({ status: run.status, failure: run.failure }).toEqual({ status: "SUCCEEDED", failure: null });
    expect(run.steps.map((step) => step.status)).toEqual(Array(12).fill("SUCCEEDED"));
    expect(run.outputs).toEqual({ first: expect.stringMatching(/^[0-9a-f]{64}$/), words: 400 });

    const artifacts = await client.artifacts(run.id);
    for (const artifact of artifacts) {
      const bytes = await client.content(artifact.id);
      expect({
        name: artifact.name,
        sha256: createHash("sha256").update(bytes).digest("hex"),
        size: bytes.byteLength,
      }).toEqual({
        name: artifact.name,
        sha256: artifact.sha256,
        size: artifact.sizeBytes,
      });
    }
    const own = artifacts
      .filter((artifact) => !artifact.system)
      .map((artifact) => `${artifact.stepKey}/${artifact.name} ${artifact.sha256}`);
    expect(own).toHaveLength(8);
    results.set(shape, { outputs: run.outputs, artifacts: own.sort() });

    const rest = await client.logs(run.id);
    const whole = await client.events(run.id);
    expect(linesOf(whole)).toEqual(bySeq(rest));
    expect(lineNumbers(rest, "hash-1")).toEqual(Array.from({ length: 50 }, (_, i) => `line ${i}`));
    for (const at of [0, 3, Math.floor(whole.length / 2), whole.length - 2]) {
      const resumed = await client.events(run.id, { after: whole[at]?.id ?? "" });
      expect(resumed.map((event) => event.id)).toEqual(whole.slice(at + 1).map((event) => event.id));
    }
    expect(await client.events(run.id, { after: whole.at(-1)?.id ?? "" })).toEqual([]);
  });
});

afterAll(() => {
  const [first, ...others] = [...results.values()];
  for (const other of others) expect(other).toEqual(first);
});

function linesOf(events: SseEvent[]): LogItem[] {
  const lines = events.filter((event) => event.event === "log_line");
  return bySeq(
    lines.flatMap(({ data }) =>
      (data.lines as LogItem[]).map((line) => ({
        ...line,
        stepKey: String(data.stepKey),
        attemptNo: Number(data.attemptNo),
      })),
    ),
  );
}

function bySeq(lines: LogItem[]): LogItem[] {
  return lines
    .map(({ at, stepKey, attemptNo, seq, stream, line }) => ({ at, stepKey, attemptNo, seq, stream, line }))
    .sort((a, b) => (a.stepKey === b.stepKey ? a.seq - b.seq : a.stepKey < b.stepKey ? -1 : 1));
}

function lineNumbers(lines: LogItem[], stepKey: string): string[] {
  return lines.filter((line) => line.stepKey === stepKey && line.stream === "stdout").map((line) => line.line);
}
