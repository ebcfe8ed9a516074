import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, rm, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { Client } from "./support/client.ts";
import { Deployment } from "./support/deployments.ts";
import { WebServer } from "./support/listeners.ts";
import { eventually, freePort, MaiaProcess, temporaryFolder } from "./support/processes.ts";
import { unfinishedFiles } from "./support/url-job.ts";

const QUIET = { name: "files", reuse: true, steps: [{ key: "a", script: "export default () => ({})" }] };
const MIB = 1_024 * 1_024;
/** Node's file operations one after another: strace counts the calls of each thread by itself. */
const ONE_THREAD = { UV_THREADPOOL_SIZE: "1" };

let web: WebServer;
beforeAll(async () => {
  web = await WebServer.at("127.0.0.1");
});
afterAll(() => web[Symbol.asyncDispose]());

/** A job with three files of its own, in one request. */
function threeFiles(round: string): FormData {
  const body = new FormData();
  body.set("request", JSON.stringify({ workflow: "files" }));
  for (const no of [1, 2, 3]) body.append("files", new File([`${round}, ${no}: ${"x".repeat(40_000 * no)}`], `${no}`));
  return body;
}

async function send({ url, key }: Client, body: FormData): Promise<number | null> {
  const request = fetch(`${url}/v1/jobs`, { method: "POST", headers: { authorization: `Bearer ${key}` }, body });
  return request.then(
    ({ status }) => status,
    () => null,
  );
}

/** Kills a process with SIGKILL at the n-th call of a kind that one of its threads makes, until it is disposed. */
async function killAt(pid: number, calls: string, nth: number): Promise<AsyncDisposable> {
  const inject = [`trace=${calls}`, `inject=${calls}:signal=SIGKILL:when=${nth}`].flatMap((what) => ["-e", what]);
  const tracer = spawn("strace", ["-f", "-p", String(pid), ...inject], { stdio: ["ignore", "ignore", "pipe"] });
  const ended = once(tracer, "exit");
  let said = "";
  tracer.stderr.on("data", (chunk) => {
    said += chunk;
  });
  await eventually("strace is attached", async () => {
    if (tracer.exitCode !== null) throw new Error(`strace ended: ${said}`);
    return / attached/.test(said);
  });
  return {
    [Symbol.asyncDispose]: async () => {
      tracer.kill("SIGKILL");
      await ended;
    },
  };
}

async function sendWhile(client: Client, fault: Promise<AsyncDisposable>, body: FormData): Promise<number | null> {
  await using _ = await fault; // as long as the request takes
  return await send(client, body);
}

interface Kept {
  readonly jobs: number;
  readonly files: { sha256: string; jobRunId: string }[];
}

function rowsIn(dataDir: string): Kept {
  const db = new DatabaseSync(path.join(dataDir, "maia.db"), { readOnly: true });
  const jobs = db.prepare(`SELECT count(*) AS "n" FROM "JobRun"`).get() as { n: number };
  const files = db.prepare(`SELECT "sha256", "jobRunId" FROM "InputFile"`).all() as Kept["files"];
  db.close();
  return { jobs: jobs.n, files };
}

describe("an API that is killed while a job with three files comes in", () => {
  it.each([
    ["each", "fsync,fdatasync", (nth: number) => nth + 1],
    ["each", "rename", (nth: number) => nth + 1],
    ["an early, a middle and a late", "pwrite64", (nth: number) => Math.ceil(nth * 1.7)], // of its hundred, the database's
  ])(
    "at %s %s has all of the job or nothing of it, and no file that nobody needs (F02, F03)",
    async (_which, calls, next) => {
      await using maia = await Deployment.start("separate", ONE_THREAD, 0);
      const { client } = maia;
      await client.apply(QUIET);
      let [made, killed] = [0, 0];
      for (let nth = 1; ; nth = next(nth)) {
        const status = await sendWhile(client, killAt(maia.part("api").pid, calls, nth), threeFiles(`${nth}`));
        const wasKilled = status === null;
        if (wasKilled) {
          killed += 1;
          await maia.part("api").ended();
          maia.spawn("api");
          await eventually("it is back", async () => (await fetch(`${client.url}/readyz`)).ok);
        } else expect(status).toBe(201);
        const { jobs, files } = rowsIn(maia.dataDir);
        expect(wasKilled ? [made, made + 1] : [made + 1]).toContain(jobs);
        made = jobs;
        expect(files).toHaveLength(3 * jobs);
        const stored = (await readdir(path.join(maia.dataDir, "blobs"), { recursive: true })).map((name) =>
          name.replace("/", ""),
        );
        expect(stored).toEqual(expect.arrayContaining(files.map(({ sha256 }) => sha256)));
        expect(await unfinishedFiles(maia)).toEqual([]);
        if (!wasKilled) break;
      }
      expect(killed).toBeGreaterThan(2);
    },
    120_000,
  );

  it("between its files and its rows leaves files that go after a while, and can be sent again (F03)", async () => {
    const often = { MAIA_BLOB_GC_AGE_MS: "2000", MAIA_SWEEP_MS: "100" };
    await using maia = await Deployment.start("separate", { ...ONE_THREAD, ...often }, 0);
    const { client } = maia;
    await client.apply(QUIET);
    const blobs = async () => {
      const all = await readdir(path.join(maia.dataDir, "blobs"), { recursive: true });
      return all.filter((name) => name.includes("/")).length;
    };
    const before = await blobs();
    const fault = killAt(maia.part("api").pid, "pwrite64", 1); // the first that the database writes
    expect(await sendWhile(client, fault, threeFiles("both"))).toBeNull();
    await maia.part("api").ended();
    expect([await blobs(), rowsIn(maia.dataDir).jobs]).toEqual([before + 3, 0]);
    for (const part of ["api", "engine"]) maia.spawn(part);
    await eventually("it is back", async () => (await fetch(`${client.url}/readyz`)).ok);
    await eventually("the files have gone", async () => (await blobs()) === before);
    for (let i = 0; i < 2; i++) expect(await send(client, threeFiles("both"))).toBe(201);
    const { files } = rowsIn(maia.dataDir);
    expect([await blobs(), files.length, new Set(files.map(({ sha256 }) => sha256)).size]).toEqual([before + 3, 6, 3]);
  });
});

describe("an engine that is killed while a file is downloaded", () => {
  it("has no half of it afterwards: the next one brings the whole, and nothing is left over (F15)", async () => {
    await using maia = await Deployment.start("local", { MAIA_URL_ALLOW: "127.0.0.1", MAIA_LEASE_TTL_MS: "1500" });
    const { client } = maia;
    await client.apply(QUIET);
    const whole = Buffer.alloc(3 * MIB, "all of it\n");
    let asked = 0;
    web.on("/slow", (_, response) => {
      response.writeHead(200, { "content-length": whole.length });
      if (++asked === 1) response.write(whole.subarray(0, MIB));
      else response.end(whole);
    });
    const { id } = await client.submit("files", { urlFiles: [{ url: `http://127.0.0.1:${web.port}/slow` }] });
    await eventually("a part of it is here", async () => (await unfinishedFiles(maia)).length > 0);
    await maia.part("up").kill();
    maia.spawn("up");
    await eventually("it is back", async () => (await fetch(`${client.url}/readyz`)).ok);
    const run = (await client.finished(id)) as unknown as {
      status: string;
      inputs: { sizeBytes: number; id: string }[];
    };
    expect([run.status, run.inputs[0]!.sizeBytes]).toEqual(["SUCCEEDED", whole.length]);
    const content = await fetch(`${client.url}/v1/files/${run.inputs[0]!.id}/content`, {
      headers: { authorization: `Bearer ${client.key}` },
    });
    expect(Buffer.from(await content.arrayBuffer()).equals(whole)).toBe(true);
    expect(await unfinishedFiles(maia)).toEqual([]);
  });
});

describe("a full disk of files", () => {
  it("refuses uploads, and makes steps wait that were running; all else goes on (F58)", async () => {
    await using folder = await temporaryFolder("full");
    const [dataDir, disk] = [path.join(folder.path, "data"), path.join(folder.path, "disk")];
    for (const dir of [dataDir, disk]) await mkdir(dir);
    for (const name of ["blobs", "tmp"]) await symlink(path.join(disk, name), path.join(dataDir, name));
    const mount = `mount -t tmpfs -o size=8m tmpfs "$0" && mkdir -m 700 "$0/blobs" "$0/tmp" && exec unshare --user --map-user=1000 "$@"`;
    const port = await freePort();
    await using maia = new MaiaProcess(
      ["up"],
      { MAIA_DATA_DIR: dataDir, MAIA_API_PORT: String(port), MAIA_LOG_FORMAT: "json", MAIA_ISOLATION: "process-group" },
      ["unshare", "--map-root-user", "--mount", "sh", "-c", mount, disk],
    );
    const client = await Client.connect(`http://127.0.0.1:${port}`, dataDir);
    const held = Promise.withResolvers<void>();
    web.on("/held", (_, response) => void held.promise.then(() => response.end()));
    const script = `
      export default async function ({ artifacts }) {
        await fetch("http://127.0.0.1:${web.port}/held");
        for (let i = 0; i < 1000; i++) console.log("line", i);
        await artifacts.write("report.bin", Buffer.alloc(${3 * MIB}, "r"));
        return { done: true };
      }`;
    await client.apply({ name: "running", steps: [{ key: "a", script }] });
    await client.apply(QUIET);
    const { id } = await client.submit("running");
    await eventually("the step runs", async () => web.seen.includes("/held"));

    const filler = path.join(`/proc/${maia.pid}/root`, disk, "filler");
    await writeFile(filler, Buffer.alloc(6 * MIB));
    const put = await client.call("PUT", `/v1/blobs/${"a".repeat(64)}`, "x".repeat(4 * MIB));
    const part = await client.call("PUT", `/v1/blobs/${"a".repeat(64)}`, "x".repeat(4 * MIB - 2), {
      "content-range": `bytes 0-${4 * MIB - 1}/${5 * MIB}`,
    });
    const form = new FormData();
    form.set("request", JSON.stringify({ workflow: "files" }));
    form.append("files", new File(["x".repeat(4 * MIB)], "large"));
    expect([put.status, part.status, await send(client, form)]).toEqual([507, 507, 507]);
    expect(put.body).toMatchObject({ code: "STORAGE_FULL" });

    held.resolve();
    await eventually("the artifact waits", async () => maia.log.includes("an artifact has to wait"));
    expect((await fetch(`${client.url}/readyz`)).status).toBe(200);
    const other = await client.finished((await client.submit("files")).id);
    expect([other.status, (await client.job(id)).status]).toEqual(["SUCCEEDED", "RUNNING"]);
    await rm(filler);
    const run = await client.finished(id);
    expect({ status: run.status, failure: run.failure }).toEqual({ status: "SUCCEEDED", failure: null });
    expect((await client.logs(run.id)).filter(({ stream }) => stream === "stdout")).toHaveLength(1_000);
    expect((await client.artifacts(run.id)).find(({ name }) => name === "report.bin")?.sizeBytes).toBe(3 * MIB);
  });
});

/** Where the attempt that is running has its files. */
async function attemptFolder(dataDir: string): Promise<string> {
  const runs = path.join(dataDir, "runs");
  const input = (await readdir(runs, { recursive: true })).find((name) => name.endsWith("/run/input.json"));
  if (!input) throw new Error("no attempt is running");
  return path.join(runs, path.dirname(path.dirname(input)));
}

describe("a step whose run directory is removed under it", () => {
  it.each(["node", "python", "shell"] as const)(
    "in %s ends as its process ends, without what could not be kept, and Maia goes on (F67)",
    async (runtime) => {
      await using maia = await Deployment.start("local");
      const { client } = maia;
      const place = `/removed-${runtime}`;
      const url = `http://127.0.0.1:${web.port}${place}`;
      const held = Promise.withResolvers<void>();
      web.on(place, (_, response) => void held.promise.then(() => response.end()));
      const wait = `python3 -c 'import urllib.request; urllib.request.urlopen("${url}")'`;
      const scripts = {
        node: `import { writeFileSync } from "node:fs";
          export default async ({ env }) => { writeFileSync(env.MAIA_ARTIFACTS_DIR + "/a.txt", "x"); await fetch("${url}"); return {}; }`,
        python: `import os, urllib.request
def main(ctx):
    open(os.environ["MAIA_ARTIFACTS_DIR"] + "/a.txt", "w").write("x")
    urllib.request.urlopen("${url}")
    return {}`,
        shell: `echo x > "$MAIA_ARTIFACTS_DIR/a.txt"; ${wait}; exit 0`,
      };
      await client.apply({ name: "removed", steps: [{ key: "a", runtime, script: scripts[runtime] }] });
      const { id } = await client.submit("removed");
      await eventually("the step runs", async () => web.seen.includes(place));
      await rm(await attemptFolder(maia.dataDir), { recursive: true, force: true });
      held.resolve();
      const run = await client.finished(id);
      const [attempt] = run.steps[0]!.attempts;
      const said = (await client.logs(run.id)).map(({ stream, line }) => `${stream}: ${line}`).join("\n");
      const kept = (await client.artifacts(run.id)).filter(({ system }) => !system);
      expect(kept).toEqual([]);
      expect(said).toMatch(/system: not kept: the folder "artifacts" does not exist/);
      const fate = runtime === "shell" ? { status: "SUCCEEDED", exitCode: 0 } : { status: "FAILED", exitCode: 1 };
      expect(attempt).toMatchObject({ ...fate, reason: "exited" }); // node and python could not write what they gave
      if (runtime !== "shell") expect(said).toMatch(/stderr: .*No such file|stderr: .*ENOENT/i);
      const next = await client.finished((await client.submit("removed")).id);
      expect([next.status, maia.part("up").running]).toEqual(["SUCCEEDED", true]);
    },
  );
});
