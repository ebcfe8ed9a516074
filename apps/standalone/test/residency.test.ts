import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import type { Run } from "./support/client.ts";
import { Deployment } from "./support/deployments.ts";
import { eventually, MaiaProcess } from "./support/processes.ts";

let maia: Deployment;
const started: MaiaProcess[] = [];

beforeEach(async () => {
  maia = await Deployment.start("local", {
    MAIA_RUNNER_HEARTBEAT_MS: "500",
    MAIA_RUNNER_UNKNOWN_MS: "3000",
    MAIA_BLOB_GC_AGE_MS: "0",
  });
  await maia.client.call("POST", "/v1/runners", { name: "eu-1", platform: "self_managed" });
  const environment = { name: "eu", dataResidency: "runner", defaultRunner: "eu-1" };
  const made = await maia.client.call("POST", "/v1/projects/default/environments", environment);
  expect(made.body).toMatchObject({ dataResidency: "runner", defaultRunnerName: "eu-1" });
});
afterEach(async () => {
  await Promise.all(started.splice(0).map((runner) => runner.kill()));
  await maia[Symbol.asyncDispose]();
});

const folderOf = (name: string) => path.join(maia.dataDir, "..", name);

/** Starts a process of the runner with a data directory of its own, and with a store that it may share. */
async function dial(folder = "north", keep = "kept", more: Record<string, string> = {}): Promise<MaiaProcess> {
  const { clientId, clientSecret } = await maia.client.get<Record<string, string>>("/v1/runners/eu-1/credentials");
  const runner = new MaiaProcess(["runner"], {
    MAIA_GATEWAY_URL: maia.url,
    MAIA_CLIENT_ID: clientId!,
    MAIA_CLIENT_SECRET: clientSecret!,
    MAIA_RUNNER_DATA_DIR: folderOf(folder),
    MAIA_RUNNER_KEEP_DIR: folderOf(keep),
    MAIA_RUNNER_CPU_MARK: "100",
    MAIA_RUNNER_MEMORY_MARK: "100",
    ...more,
  });
  started.push(runner);
  return runner;
}

/** What the artifact is full of. It stands nowhere in the definition, so that only the bytes themselves have it. */
const MARKER = "keepsake-of-the-runner";
const write = `for i in 1 2 3 4 5 6 7 8; do printf '%s%s\\n' keepsake -of-the-runner; done > "$MAIA_ARTIFACTS_DIR/secret.txt"\n`;
const BYTES = `${MARKER}\n`.repeat(8);
const read = `export default ({ artifacts }) => ({ text: readFileSync(artifacts.path("write", "secret.txt"), "utf8").length });\n`;

const workflow = {
  name: "letters",
  steps: [
    { key: "write", runtime: "shell" as const, script: write },
    {
      key: "read",
      deps: ["write"],
      artifacts: [{ from: "write", name: "secret.txt" }],
      script: `import { readFileSync } from "node:fs";\n${read}`,
    },
  ],
  outputsSpec: { version: 1, outputs: { length: { stepKey: "read", field: "text" } } },
};

/** A run of the workflow in the environment, and the artifact that it left. */
async function letters(): Promise<{ run: Run; artifact: Artifact }> {
  await maia.client.apply(workflow);
  const job = await maia.client.submit("letters", { environment: "eu" });
  const run = await maia.client.finished(job.id);
  return { run, artifact: await secretOf(run) };
}

interface Artifact {
  id: string;
  name: string;
  sizeBytes: number;
  sha256: string;
  location: Record<string, string>;
}

async function secretOf({ id }: { id: string }): Promise<Artifact> {
  const artifacts = (await maia.client.artifacts(id)) as unknown as Artifact[];
  const found = artifacts.filter(({ name }) => name === "secret.txt");
  expect(found).toHaveLength(1);
  return found[0]!;
}

async function content(artifactId: string, headers: Record<string, string> = {}, method = "GET"): Promise<Response> {
  const authorization = `Bearer ${maia.client.key}`;
  return fetch(`${maia.url}/v1/artifacts/${artifactId}/content`, { method, headers: { authorization, ...headers } });
}

/** Content in the store that no row knows. */
async function orphan(): Promise<string> {
  const hash = createHash("sha256").update("orphan").digest("hex");
  const file = path.join(folderOf("kept"), "blobs", hash.slice(0, 2), hash.slice(2));
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, "orphan");
  return file;
}

/** The files below a folder that hold a text. */
async function filesWith(folder: string, text: string): Promise<string[]> {
  const names = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = names.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
  const holds = await Promise.all(paths.map(async (file) => (await readFile(file)).includes(text)));
  return paths.filter((_, index) => holds[index]);
}

describe("An environment that keeps its data at the runner", () => {
  it("has the bytes of artifacts in the runner's store and nowhere with Maia, and steps find them there (F79)", async () => {
    await dial();
    const { run, artifact } = await letters();
    expect({ status: run.status, outputs: run.outputs }).toEqual({
      status: "SUCCEEDED",
      outputs: { length: BYTES.length },
    });
    const runnerId = expect.stringMatching(/^rnr_/);
    expect(artifact).toMatchObject({
      sizeBytes: BYTES.length,
      location: { residency: "runner", runnerId, runnerName: "eu-1" },
    });
    expect(await filesWith(maia.dataDir, MARKER)).toEqual([]);
    expect(await filesWith(folderOf("kept"), MARKER)).toHaveLength(1);
  });

  it("is asked for bytes as any other: whole, in ranges, by HEAD and by ETag, through the runner's connection (F79)", async () => {
    await dial();
    const { artifact } = await letters();
    const whole = await content(artifact.id);
    expect([whole.status, await whole.text()]).toEqual([200, BYTES]);
    const part = await content(artifact.id, { range: "bytes=9-15" });
    expect([part.status, await part.text()]).toEqual([206, BYTES.slice(9, 16)]);
    expect(part.headers.get("content-range")).toBe(`bytes 9-15/${BYTES.length}`);
    const last = await content(artifact.id, { range: "bytes=-7" });
    expect([last.status, await last.text()]).toEqual([206, BYTES.slice(-7)]);
    const head = await content(artifact.id, {}, "HEAD");
    expect([head.status, head.headers.get("content-length")]).toEqual([200, String(BYTES.length)]);
    expect((await content(artifact.id, { "if-none-match": `"${artifact.sha256}"` })).status).toBe(304);
    expect((await content(artifact.id, { range: `bytes=${BYTES.length}-` })).status).toBe(416);
    expect(await filesWith(maia.dataDir, MARKER)).toEqual([]);
  });

  it("says which runner has the bytes while that is not connected, and gives them when it is back (F79)", async () => {
    const runner = await dial();
    const { artifact } = await letters();
    await runner.stop();
    const away = await maia.client.call("GET", `/v1/artifacts/${artifact.id}/content`);
    expect([away.status, away.body.code]).toEqual([503, "RUNNER_NOT_CONNECTED"]);
    expect(away.body.detail).toMatch(
      /kept by the runner eu-1 .* no instance of it that has them is connected; start one/,
    );
    await dial();
    await eventually("the bytes are there again", async () => (await content(artifact.id)).ok);
    expect(await (await content(artifact.id)).text()).toBe(BYTES);
  });

  it("has a later step done by whoever shares the store (F79)", async () => {
    const first = await dial("north", "shared");
    const { run } = await letters();
    await first.stop();
    await dial("south", "shared");
    const again = await maia.client.call("POST", `/v1/runs/${run.id}/rerun`, { from: "read" });
    const second = await maia.client.finished(String(again.body.id));
    expect(second.outputs).toEqual({ length: BYTES.length });
    expect(instancesOf(second)).not.toEqual(instancesOf(run));
    expect(await filesWith(maia.dataDir, MARKER)).toEqual([]);
  });

  it("waits with a step whose data nobody has who is connected, says so, and goes on where the data is (F79)", async () => {
    const first = await dial("north", "kept-north");
    const { run } = await letters();
    await first.stop();
    await dial("south", "kept-south");
    const again = await maia.client.call("POST", `/v1/runs/${run.id}/rerun`, { from: "read" });
    const jobId = String(again.body.id);
    await eventually("it says what it waits for", async () => {
      const why = await maia.client.get<{ items: { code: string }[] }>(`/v1/jobs/${jobId}/why`);
      return why.items.some(({ code }) => code === "RUNNER_DATA_AWAY");
    });
    const other = await letters(); // what waits holds up nobody else
    expect(other.run.status).toBe("SUCCEEDED");
    await dial("north", "kept-north");
    const second = await maia.client.finished(jobId);
    expect([second.status, instancesOf(second)]).toEqual(["SUCCEEDED", instancesOf(run).slice(0, 1)]);
  });

  it("takes no job that the hosted runner would do, and no files that would be uploaded to Maia (F79)", async () => {
    await maia.client.apply(workflow);
    const ask = (more: object) =>
      maia.client.call("POST", "/v1/jobs", { workflow: "letters", environment: "eu", ...more });
    const hosted = await ask({ runner: "hosted" });
    expect([hosted.status, hosted.body.errors]).toEqual([
      422,
      [
        {
          pointer: "/runner",
          message: expect.stringMatching(/environment eu keeps its data .* name a runner that dials/),
        },
      ],
    ]);
    const sha256 = await maia.client.upload("a file that Maia has");
    const uploaded = await ask({ files: [{ name: "a.txt", sha256 }] });
    expect([uploaded.status, uploaded.body.errors]).toEqual([
      422,
      [{ pointer: "/files", message: expect.stringMatching(/send files as multipart.* or name them in urlFiles/) }],
    ]);
  });

  it("has files that come with the request passed on to the runner's store, and kept nowhere else (F79)", async () => {
    const { client } = maia;
    const count = `export default ({ files }) => ({ length: files.map(({ path }) => readFileSync(path, "utf8").length) });\n`;
    const steps = [{ key: "count", script: `import { readFileSync } from "node:fs";\n${count}` }];
    const inputSpec = { version: 2, filesInput: { uploadFiles: { required: true, maxItems: 2 } } };
    const outputsSpec = { version: 1, outputs: { length: { stepKey: "count", field: "length" } } };
    await client.apply({ name: "sent", inputSpec, outputsSpec, steps });
    const send = async (order: "first" | "last") => {
      const form = new FormData();
      const request = JSON.stringify({ workflow: "sent", environment: "eu" });
      if (order === "first") form.append("request", request);
      form.append("files", new Blob([BYTES]), "one.txt");
      form.append("files", new Blob([BYTES.repeat(2_000)]), "two.txt");
      if (order === "last") form.append("request", request);
      const authorization = `Bearer ${client.key}`;
      const answer = await fetch(`${maia.url}/v1/jobs`, { method: "POST", headers: { authorization }, body: form });
      return { status: answer.status, body: (await answer.json()) as { id: string; code: string } };
    };
    expect(await send("first")).toMatchObject({ status: 503, body: { code: "RUNNER_NOT_CONNECTED" } });
    await dial();
    await eventually("the runner is there", async () => {
      const { connected } = await client.get<{ connected: boolean }>("/v1/runners/eu-1");
      return connected;
    });
    const job = await send("first");
    expect(job.status).toBe(201);
    const run = await client.finished(job.body.id);
    expect([run.failure, run.outputs]).toEqual([null, { length: [BYTES.length, BYTES.length * 2_000] }]);
    const inputs = (run as unknown as { inputs: { id: string; mime: string; location: object }[] }).inputs;
    const location = { residency: "runner", runnerName: "eu-1" };
    expect(inputs).toMatchObject([
      { mime: "text/plain", location },
      { mime: "text/plain", location },
    ]);
    const bytes = await client.call<string>("GET", `/v1/files/${inputs[1]!.id}/content`);
    expect(bytes.body === BYTES.repeat(2_000)).toBe(true);
    expect(await send("last")).toMatchObject({ status: 422, body: { code: "INVALID" } }); // nobody knew where to yet
    expect(await filesWith(maia.dataDir, MARKER)).toEqual([]);
  });

  it("has files behind URLs fetched by the runner, through its own guard, and read from its store (F79, G18)", async () => {
    await using source = await Gate.open(BYTES);
    source.isOpen = true;
    const { client } = maia;
    const count = `export default ({ files }) => ({ length: readFileSync(files[0].path, "utf8").length });\n`;
    const steps = [{ key: "count", script: `import { readFileSync } from "node:fs";\n${count}` }];
    const inputSpec = { version: 2, filesInput: { urlFiles: { enabled: true } } };
    const outputsSpec = { version: 1, outputs: { length: { stepKey: "count", field: "length" } } };
    await client.apply({ name: "counted", inputSpec, outputsSpec, steps });
    const submit = () =>
      client.submit("counted", { environment: "eu", urlFiles: [{ url: source.url, name: "in.txt" }] });
    const job = await submit();
    await eventually("it says that it waits for its runner", async () => {
      const why = await client.get<{ items: { code: string }[] }>(`/v1/jobs/${job.id}/why`);
      const codes = why.items.map(({ code }) => code);
      return codes.includes("RUNNER_NOT_CONNECTED") && codes.includes("FETCHING_INPUT");
    });
    const guarded = await dial();
    const blocked = await client.finished(job.id);
    expect([blocked.status, blocked.failure?.code]).toEqual(["FAILED", "INPUT_DOWNLOAD_FAILED"]);
    expect([blocked.failure?.message, source.asked]).toEqual([expect.stringContaining("MAIA_URL_ALLOW"), 0]);
    await guarded.stop();
    await dial("north", "kept", { MAIA_URL_ALLOW: "127.0.0.1" });
    const run = await client.finished((await submit()).id);
    expect([run.failure, run.outputs]).toEqual([null, { length: BYTES.length }]);
    const [file] = (run as unknown as { inputs: { id: string; location: object }[] }).inputs;
    expect(file!.location).toMatchObject({ residency: "runner", runnerName: "eu-1" });
    const bytes = await client.call<string>("GET", `/v1/files/${file!.id}/content`);
    expect([bytes.status, bytes.body]).toEqual([200, BYTES]);
    const again = await client.call("POST", `/v1/runs/${run.id}/rerun`, {});
    expect((await client.finished(String(again.body.id))).outputs).toEqual({ length: BYTES.length });
    expect(source.asked).toBe(1);
    expect(await filesWith(maia.dataDir, MARKER)).toEqual([]);
  });

  it("gives up what no run has any more, and nothing else (F79)", async () => {
    await dial("north", "kept", { MAIA_RUNNER_KEEP_SWEEP_MS: "100", MAIA_BLOB_GC_AGE_MS: "0" });
    const [one, two] = [await letters(), await letters()]; // the same bytes
    await maia.client.call("DELETE", `/v1/runs/${one.run.id}`);
    const other = await letters();
    await maia.client.call("DELETE", `/v1/runs/${other.run.id}`);
    const left = await orphan(); // as a crash leaves one between storing and telling
    await eventually("the store was swept", async () => !existsSync(left));
    expect(await (await content(two.artifact.id)).text()).toBe(BYTES);
    await maia.client.call("DELETE", `/v1/runs/${two.run.id}`);
    await eventually("the bytes are gone", async () => (await filesWith(folderOf("kept"), MARKER)).length === 0);
  });

  it("keeps an artifact once when its runner is killed between storing and telling it (F79, G14)", async () => {
    await using gate = await Gate.open();
    const runner = await dial();
    const { client } = maia;
    const script = `export default async ({ artifacts }) => {
      while (!(await fetch("${gate.url}")).ok) await new Promise((resolve) => setTimeout(resolve, 100));
      await artifacts.write("secret.txt", ["keepsake", "-of-the-runner\\n"].join("").repeat(8));
    };`;
    await client.apply({ name: "killed", steps: [{ key: "write", script }] });
    const job = await client.submit("killed", { environment: "eu" });
    await eventually("the step runs", async () => gate.asked > 0);
    maia.part("up").signal("SIGSTOP"); // nobody hears what the runner has to tell
    gate.isOpen = true;
    await eventually("the artifact is kept", async () => (await filesWith(folderOf("kept"), MARKER)).length === 1);
    await eventually(
      "its frames are, too",
      async () => (await filesWith(path.join(folderOf("north"), "spool"), '"exit"')).length === 1,
    );
    await runner.kill();
    maia.part("up").signal("SIGCONT");
    await dial();
    const run = await client.finished(job.id);
    expect(run.steps[0]!.attempts.map(({ status }) => status)).toEqual(["SUCCEEDED"]);
    const artifact = await secretOf(run);
    expect(await (await content(artifact.id)).text()).toBe(BYTES);
    expect(await filesWith(folderOf("kept"), MARKER)).toHaveLength(1);
    expect(await filesWith(maia.dataDir, MARKER)).toEqual([]);
  });
});

/** What a step asks until it may go on; it sees nothing of the host but the network. */
class Gate implements AsyncDisposable {
  isOpen = false;
  asked = 0;
  readonly #server: Server;

  private constructor(body: string) {
    this.#server = createServer((_, res) => {
      this.asked += 1;
      res.writeHead(this.isOpen ? 200 : 503).end(body);
    });
  }

  static async open(body = ""): Promise<Gate> {
    const gate = new Gate(body);
    gate.#server.listen(0, "127.0.0.1");
    await once(gate.#server, "listening");
    return gate;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }
}

function instancesOf(run: Run): string[] {
  return run.steps.flatMap(({ attempts }) =>
    attempts.map((attempt) => (attempt as unknown as { instanceId: string }).instanceId),
  );
}
