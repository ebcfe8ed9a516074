import { createHash } from "node:crypto";
import { once } from "node:events";
import { readdir } from "node:fs/promises";
import { createServer } from "node:http";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import type { Run, SseEvent, Workflow } from "./support/client.ts";
import { Deployment } from "./support/deployments.ts";
import { eventually } from "./support/processes.ts";

const BYTES = "name,amount\nAda,3\n";
const SHA256 = createHash("sha256").update(BYTES).digest("hex");

const workflow: Workflow = {
  name: "records",
  inputSpec: { version: 2, paramsSchema: { type: "object", properties: { top: { type: "integer", default: 10 } } } },
  steps: [
    {
      key: "read",
      script: `import { readFile } from "node:fs/promises";
        export default async ({ files, artifacts }) => {
          const text = await readFile(files[0].path, "utf8");
          console.log("read " + text.length + " characters");
          await artifacts.write("copy.csv", text);
          return { characters: text.length };
        }`,
    },
    {
      key: "say",
      deps: ["read"],
      script: "export default ({ upstream }) => ({ twice: upstream.read.characters * 2 })",
    },
  ],
};

let maia: Deployment;
let early: Run;
let run: Run;
let events: SseEvent[];

beforeAll(async () => {
  let asked = false;
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  const source = createServer(async (_request, response) => {
    asked = true;
    await released;
    response.setHeader("content-type", "text/csv").end(BYTES);
  });
  await once(source.listen(0, "127.0.0.1"), "listening");
  const { port } = source.address() as { port: number };
  maia = await Deployment.start("local", { MAIA_URL_ALLOW: "127.0.0.1" });
  await maia.client.apply(workflow);
  const url = `http://127.0.0.1:${port}/sales`;
  const job = await maia.client.submit("records", { urlFiles: [{ url, name: "sales.csv" }] });
  await eventually("the source is asked", async () => asked);
  early = await maia.client.run((await maia.client.job(job.id)).runId!);
  release();
  run = await maia.client.finished(job.id);
  events = await maia.client.events(run.id);
  source.close();
  source.closeAllConnections();
});
afterAll(() => maia[Symbol.asyncDispose]());

const told = (kind: string, ...fields: string[]) =>
  events.filter(({ event }) => event === kind).map(({ data }) => fields.map((field) => data[field]).join(" "));

async function systemArtifact(stepKey: string, name: string) {
  const found = (await maia.client.artifacts(run.id)).find(
    (artifact) => artifact.system && artifact.stepKey === stepKey && artifact.name === name,
  );
  return JSON.parse(Buffer.from(await maia.client.content(found!.id)).toString());
}

describe("a run with a file behind a URL", () => {
  it("is PENDING_INPUTS with all steps PENDING while the file is on its way, and then goes on", () => {
    expect({ status: early.status, steps: early.steps.map(({ status }) => status) }).toEqual({
      status: "PENDING_INPUTS",
      steps: ["PENDING", "PENDING"],
    });
    expect(told("run_status", "status")).toEqual(["PENDING_INPUTS", "RUNNING", "SUCCEEDED"]);
    expect(run).toMatchObject({ status: "SUCCEEDED", failure: null });
  });

  it("tells its followers of files, steps, attempts, lines and artifacts, each by its own kind of event", () => {
    expect(told("input_file_status", "name", "status", "sha256").at(-1)).toBe(`sales.csv READY ${SHA256}`);
    expect(told("step_status", "stepKey", "status")).toEqual([
      "read RUNNING",
      "read SUCCEEDED",
      "say RUNNING",
      "say SUCCEEDED",
    ]);
    expect(told("attempt_status", "stepKey", "attemptNo", "status")).toEqual(
      ["read", "say"].flatMap((key) => ["DISPATCHING", "RUNNING", "SUCCEEDED"].map((status) => `${key} 1 ${status}`)),
    );
    const lines = events.flatMap(({ event, data }) => (event === "log_line" ? (data.lines as { line: string }[]) : []));
    expect(lines.map(({ line }) => line)).toEqual([`read ${BYTES.length} characters`]);
    expect(told("artifact_created", "stepKey", "name", "system").sort()).toEqual([
      "read copy.csv false",
      "read input.json true",
      "read output.json true",
      "say input.json true",
      "say output.json true",
    ]);
  });

  it("leaves input.json and output.json of every attempt, with what its steps got and gave", async () => {
    const initialInput = {
      top: 10,
      files: [expect.objectContaining({ name: "sales.csv", source: "url", status: "READY", sha256: SHA256 })],
    };
    expect(await systemArtifact("say", "input.json")).toEqual({
      ...{ runId: run.id, stepKey: "say", attemptNo: 1 },
      ...{ initialInput, upstream: { read: { characters: BYTES.length } } },
    });
    const output = await systemArtifact("say", "output.json");
    expect(output).toEqual({ ok: true, timestamp: expect.any(String), data: { twice: BYTES.length * 2 } });
    expect(new Date(output.timestamp).toISOString()).toBe(output.timestamp);
  });

  it("keeps its rows in maia.db and its bytes in blobs, all still there after a kill and a restart", async () => {
    const { client } = maia;
    const whole = async () => [
      await client.run(run.id),
      await client.events(run.id),
      await client.logs(run.id),
      await client.artifacts(run.id),
    ];
    const before = await whole();
    await maia.part("up").kill();
    expect(await readdir(maia.dataDir)).toEqual(expect.arrayContaining(["blobs", "deps", "maia.db", "runs"]));
    const blobs = await readdir(`${maia.dataDir}/blobs`, { recursive: true });
    expect(blobs.filter((path) => path.replaceAll("/", "").endsWith(SHA256))).toHaveLength(1);
    maia.spawn("up");
    await eventually("Maia is back", async () => (await fetch(`${maia.url}/readyz`)).ok);
    expect(await whole()).toEqual(before);
  });
});
