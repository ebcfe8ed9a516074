import { mkdir, mkdtemp, readdir, rm, truncate, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { encodeFrames, type Frame } from "@maia/runner-protocol";
import { BlobStore } from "@maia/storage";
import { Attempt } from "../src/attempts/attempt.js";
import type { Attempts } from "../src/attempts/attempts.js";
import { Spool } from "../src/attempts/spool.js";
import { Window } from "../src/attempts/window.js";
import { Ledger } from "../src/ledger/ledger.js";
import { sweep } from "../src/sweep.js";
import { Play } from "./support/fake-executor.js";
import { silent, until } from "./support/runner.js";
import { aTask } from "./support/tasks.js";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "maia-spool-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const frames: Frame[] = [
  { type: "log", seq: 1, stream: "stdout", line: "é日🙂", at: "2026-11-20T12:00:00.123Z" },
  { type: "exit", lastSeq: 1, exitCode: 0, signal: null, reason: "exited", error: null },
];
async function openEnded() {
  const spool = await Spool.openEnded(path(), "att_1");
  return spool && Object.assign(spool, { [Symbol.asyncDispose]: () => spool.close() });
}

const path = () => join(dir, "att_1.ndjson");

describe("a spool", () => {
  it("counts as an end only when every byte up to its exit is there (G8)", async () => {
    const spool = await Spool.create(path());
    await spool.append(encodeFrames(frames), 2);
    await spool.close();
    await using whole = await openEnded();
    expect(whole?.lines).toBe(2);
    for (let size = whole!.sizeBytes - 1; size >= 0; size--) {
      await truncate(path(), size);
      expect(await openEnded()).toBeNull();
    }
    expect(await Spool.openEnded(join(dir, "none"), "att_1")).toBeNull();
  });

  it("is not believed with a hole in it", async () => {
    await writeFile(path(), encodeFrames([frames[0]!, { ...frames[1]!, lastSeq: 2 } as Frame]));
    expect(await openEnded()).toBeNull();
  });

  it("on a full disk holds its step up until there is room, and loses nothing (F39)", async () => {
    const spool = await Spool.create(path());
    const append = spool.append.bind(spool);
    let refused = 0;
    spool.append = async (text, lines) => {
      if (text.includes("two") && refused++ < 2)
        throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
      return append(text, lines);
    };
    const play = new Play().log("two").log("three").exit();
    const attempt = new Attempt(
      aTask().task,
      new Map(),
      silent,
      () => new Date(),
      () => {},
    );
    await attempt.run(spool, async function* () {
      yield [frames[0]!];
      yield* play.batches();
    });
    expect(refused).toBe(3);
    await using whole = await openEnded();
    expect(whole?.lines).toBe(4);
  });
});

describe("a window", () => {
  it("passes once, after its time without a restart", async () => {
    let passed = 0;
    using window = new Window(100, () => passed++);
    window.restart();
    await new Promise((resolve) => setTimeout(resolve, 60));
    window.restart();
    await until("the window has passed", () => passed > 0);
    expect(passed).toBe(1);
  });

  it("may be longer than a timer takes", async () => {
    let passed = 0;
    using window = new Window(Number.MAX_SAFE_INTEGER, () => passed++);
    window.restart();
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(passed).toBe(0);
  });
});

describe("what a runner remembers", () => {
  it("is forgotten when it is old, and never while an attempt uses it", async () => {
    const now = new Date();
    const blobs = await BlobStore.open(join(dir, "blobs"), join(dir, "tmp"));
    const spoolDir = join(dir, "spool");
    const { ledger } = await Ledger.open(join(dir, "ledger"), { keepMs: 1_000, now });
    await ledger.accept("att_old", "run_1", 1, now);
    const [old, used, young] = await Promise.all(["old", "used", "young"].map((text) => blobs.put(Buffer.from(text))));
    await mkdir(spoolDir);
    for (const name of ["att_old", "att_running", "att_young"]) await writeFile(join(spoolDir, `${name}.ndjson`), "");
    const before = new Date(now.getTime() - 10_000);
    for (const file of [
      blobs.path(old!.sha256),
      blobs.path(used!.sha256),
      join(spoolDir, "att_old.ndjson"),
      join(spoolDir, "att_running.ndjson"),
    ]) {
      await utimes(file, before, before);
    }
    const attempts = {
      isRunning: (id: string) => id === "att_running",
      inUse: () => new Set([used!.sha256]),
    } as unknown as Attempts;
    const keep = { ledgerMs: 1_000, spoolMs: 5_000, blobMs: 5_000 };
    await sweep({ ledger, attempts, blobs, spoolDir, keep, logger: silent, clock: () => now });
    expect((await readdir(spoolDir)).sort()).toEqual(["att_running.ndjson", "att_young.ndjson"]);
    expect(await Promise.all([old!, used!, young!].map(({ sha256 }) => blobs.has(sha256)))).toEqual([
      false,
      true,
      true,
    ]);
    expect(ledger.stateOf("att_old")).toBe("accepted");
    await ledger.close();
  });
});
