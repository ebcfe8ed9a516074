import { createHash } from "node:crypto";
import { rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { expect, it, jest } from "@jest/globals";
import Database from "better-sqlite3";
import { Client, type Run } from "../support/client.ts";
import { aMarkedStep } from "../support/marked-steps.ts";
import { eventually, freePort, MaiaProcess, temporaryFolder } from "../support/processes.ts";
import { Sink } from "../support/sink.ts";
import { strace } from "../support/strace.ts";

jest.setTimeout(180_000); // several processes, on a machine that may be busy

const attemptsOf = (run: Run) => run.steps.flatMap(({ attempts }) => attempts.map(({ status }) => status));

/** Prints 20 KB every 20 ms, more than a database has room for already, until the sink says "enough". */
const TALK = `
let count = 0;
const enough = async () => (await (await fetch(process.env.SINK + "/poll-" + count)).text()) === "enough";
while (!(await enough())) {
  console.log("line " + ++count + " " + "x".repeat(20_000));
  await new Promise((resolve) => setTimeout(resolve, 20));
}
export default () => ({ count });
`;

/** Runs what follows in mounts of its own, with a small disk at a folder. */
function onASmallDisk(folder: string, size: string): string[] {
  const asRoot = process.getuid?.() === 0 ? [] : ["--map-root-user"];
  const mount = `mount -t tmpfs -o size=${size},mode=755 tmpfs "$0" && exec "$@"`;
  return ["unshare", ...asRoot, "--mount", "sh", "-c", mount, folder];
}

it("a full disk refuses what is asked for and answers reads, fails no step, and all goes on by itself once there is room (F57, F58, G26)", async () => {
  await using folder = await temporaryFolder("full");
  await using sink = await Sink.open();
  const port = await freePort();
  const env = {
    MAIA_DATA_DIR: path.join(folder.path, "data"),
    MAIA_API_PORT: String(port),
    MAIA_ISOLATION: "process-group",
  };
  await using maia = new MaiaProcess(["up"], env, onASmallDisk(folder.path, "64m"));
  /** The folder as Maia sees it. */
  const inside = path.join(`/proc/${maia.pid}/root`, folder.path);
  const url = `http://127.0.0.1:${port}`;
  const client = await Client.connect(url, path.join(inside, "data"));
  await client.apply({ name: "talk", env: { SINK: sink.url }, steps: [{ key: "a", script: TALK }] });
  await client.apply({ name: "one", env: { SINK: sink.url }, steps: [aMarkedStep("a")] });
  const running = await client.submit("talk");
  const runId = await eventually("it runs", async () => (await client.job(running.id)).runId);
  await eventually("it talks", async () => sink.entries.length > 3);

  const filler = path.join(inside, "filler");
  for (let blockBytes = 1 << 20; blockBytes >= 512; ) {
    const isFull = await writeFile(filler, Buffer.alloc(blockBytes), { flag: "a" }).then(
      () => false,
      (error: NodeJS.ErrnoException) => error.code === "ENOSPC",
    );
    if (isFull) blockBytes /= 2;
  }
  const refused = await eventually("a job is refused", async () => {
    const answer = await client.call("POST", "/v1/jobs", { workflow: "one", params: { text: "x".repeat(500_000) } });
    return answer.status === 201 ? null : answer;
  });
  expect(refused).toMatchObject({ status: 507, body: { code: "STORAGE_FULL" } });
  const bytes = Buffer.alloc(100_000, "x");
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  const headers = { authorization: `Bearer ${client.key}`, "content-type": "application/octet-stream" };
  const upload = () => fetch(`${url}/v1/blobs/${sha256}`, { method: "PUT", headers, body: bytes });
  expect((await upload()).status).toBe(507);
  expect([(await client.call("GET", "/healthz")).status, (await client.run(runId)).status]).toEqual([200, "RUNNING"]);
  expect(maia.running).toBe(true);

  await rm(filler);
  sink.answer = "enough";
  const next = await eventually("a job is taken", async () => client.submit("one").catch(() => null));
  expect((await upload()).status).toBe(201);
  const run = await client.finished(running.id);
  expect([run.status, attemptsOf(run)]).toEqual(["SUCCEEDED", ["SUCCEEDED"]]);
  const lines = (await client.logs(run.id)).filter(({ stream }) => stream === "stdout");
  const numbers = lines.map(({ line }) => Number(/^line (\d+) x{20000}$/.exec(line)?.[1]));
  expect(numbers).toEqual(Array.from({ length: numbers.length }, (_, i) => i + 1));
  expect(sink.entries).toContain(`poll-${numbers.length}`); // all that it printed
  expect(sink.entries).not.toContain(`poll-${numbers.length + 1}`);
  expect((await client.finished(next.id)).status).toBe("SUCCEEDED");
  expect(sink.doubles()).toEqual([]);
});

it("a disk that fails a sync acknowledges nothing, ends the process, and the next one finds all that was acknowledged (F59, G1, G26)", async () => {
  await using folder = await temporaryFolder("sync");
  const port = await freePort();
  const dataDir = path.join(folder.path, "data");
  const env = { MAIA_DATA_DIR: dataDir, MAIA_API_PORT: String(port) };
  const url = `http://127.0.0.1:${port}`;
  await using first = new MaiaProcess(["api"], env);
  const client = await Client.connect(url, dataDir);
  await client.apply({ name: "one", steps: [aMarkedStep("a")] });
  await first.stop();

  // The start itself syncs a little; of the jobs that follow, one meets the disk's failure.
  const failing = ["-o", "/dev/null", "-e", "trace=fsync", "-e", "inject=fsync:error=EIO:when=12+"];
  await using second = new MaiaProcess(["api"], env, strace(...failing));
  await eventually("it is ready", async () => (await fetch(`${url}/readyz`)).ok);
  const acked: string[] = [];
  const statuses = new Set<number>();
  for (let asked = 0; asked < 200 && second.running; asked++) {
    const answer = await client.call<{ id: string }>("POST", "/v1/jobs", { workflow: "one" }).catch(() => null);
    if (answer?.status === 201) acked.push(answer.body.id);
    else if (answer) statuses.add(answer.status);
  }
  await second.ended();
  expect(second.exitCode).not.toBe(0);
  expect([...statuses].filter((status) => status < 500)).toEqual([]);
  expect(acked.length).toBeGreaterThan(0);
  expect(acked.length).toBeLessThan(200);

  const db = new Database(path.join(dataDir, "maia.db"));
  expect(db.pragma("integrity_check")).toEqual([{ integrity_check: "ok" }]);
  db.close();
  await using third = new MaiaProcess(["api"], env);
  await eventually("it is ready again", async () => (await fetch(`${url}/readyz`)).ok);
  for (const id of acked) expect((await client.job(id)).status).toBe("QUEUED");
  expect((await client.submit("one")).status).toBe("QUEUED");
  await third.stop();
});
