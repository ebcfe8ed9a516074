import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { expect, it, jest } from "@jest/globals";
import Database from "better-sqlite3";
import { Client } from "../support/client.ts";
import { LossyDisk, readCalls } from "../support/power-cut.ts";
import { eventually, freePort, MaiaProcess, temporaryFolder } from "../support/processes.ts";
import { strace } from "../support/strace.ts";

jest.setTimeout(180_000); // several processes, on a machine that may be busy

const CUTS = 40;

it("a power cut at any moment leaves a whole database with every job that was acknowledged (F71, G1)", async () => {
  await using folder = await temporaryFolder("power");
  const [dataDir, log] = [path.join(folder.path, "data"), path.join(folder.path, "calls")];
  const port = await freePort();
  const env = { MAIA_DATA_DIR: dataDir, MAIA_API_PORT: String(port), MAIA_LOG_LEVEL: "error" };
  await using first = new MaiaProcess(["api"], env);
  const client = await Client.connect(`http://127.0.0.1:${port}`, dataDir);
  await client.apply({ name: "one", steps: [{ key: "a", script: "export default () => ({})" }] });
  await first.stop();
  const file = path.join(dataDir, "maia.db");
  const before = new Map([[file, await readFile(file)]]);
  expect(await readdir(dataDir)).not.toContain("maia.db-wal"); // the file is all there is

  const calls = "trace=openat,pwrite64,ftruncate,fsync,fdatasync,write,writev,sendto,sendmsg";
  const traced = strace("-o", log, "-xx", "-s", "1000000", "-e", calls);
  await using api = new MaiaProcess(["api"], env, traced);
  await Client.connect(`http://127.0.0.1:${port}`, dataDir);
  for (let i = 0; i < 10; i++) await Promise.all(Array.from({ length: 10 }, () => client.submit("one")));
  await api.kill();
  await eventually("the record is whole", async () =>
    (await readFile(log, "latin1")).includes("+++ killed by SIGKILL"),
  );
  const recorded = readCalls(log, (name) => /\/data\/maia\.db(-wal)?$/.test(name));
  const acks = recorded.map((call) =>
    call.kind === "said" && call.text.startsWith("HTTP/1.1 201") ? /"id":"(job_\w+)"/.exec(call.text)?.[1] : undefined,
  );
  expect(acks.filter(Boolean).length).toBeGreaterThan(80); // an answer that left in two pieces is not seen as one
  const ready = recorded.findIndex((call) => call.kind === "said" && call.text.startsWith("HTTP/1.1"));
  const disk = new LossyDisk(before);
  for (let cut = 1, at = 0; cut <= CUTS; cut++) {
    const end = ready + Math.round(((recorded.length - ready) * cut) / CUTS);
    for (; at < end; at++) disk.apply(recorded[at]!);
    const place = path.join(folder.path, `cut-${cut}`);
    await mkdir(place);
    for (const [name, bytes] of disk.files) await writeFile(path.join(place, path.basename(name)), bytes);
    const db = new Database(path.join(place, "maia.db"));
    expect(db.pragma("integrity_check")).toEqual([{ integrity_check: "ok" }]);
    const kept = new Set(db.prepare(`SELECT "id" FROM "JobRun"`).pluck().all());
    db.close();
    expect(acks.slice(0, end).filter((id) => id && !kept.has(id))).toEqual([]);
    await rm(place, { recursive: true });
  }
  // Were answers not to wait for their sync, this model would tell: without its syncs, the disk has none of the jobs.
  const unsynced = new LossyDisk(before);
  for (const call of recorded) if (call.kind !== "sync") unsynced.apply(call);
  expect(unsynced.files).toEqual(before);
});
