import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "@jest/globals";
import type { Trouble } from "../src/errors.js";
import type { Writer } from "../src/providers/provider.js";
import type { BellTopic, Models, Sql } from "../src/types.js";
import { WriteQueue } from "../src/write-queue.js";

/** A database that does nothing but fail when told to. */
class FakeWriter implements Writer {
  readonly sql = { run: async () => 1 } as unknown as Sql;
  readonly models = {} as Models;
  trouble: { kind: Trouble; error: unknown } | null = null;
  readonly log: string[] = [];
  /** What goes wrong at the next steps of this name. */
  readonly failures: { step: string; kind: Trouble }[] = [];

  begin(): void {
    this.trouble = null;
    this.#step("begin");
  }
  commit(): void {
    this.#step("commit");
  }
  rollback(): void {
    this.#step("rollback");
  }
  savepoint(): void {}
  releaseSavepoint(): void {}
  rollbackToSavepoint(): void {}
  shrink(): void {}

  #step(step: string): void {
    this.log.push(step);
    const index = this.failures.findIndex((failure) => failure.step === step);
    const [failure] = index < 0 ? [] : this.failures.splice(index, 1);
    if (!failure) return;
    const error = Object.assign(new Error(`${step} failed`), { code: `SQLITE_${failure.kind}` });
    this.trouble = { kind: failure.kind, error };
    throw error;
  }
}

function aQueue(retryBudgetMs = 1_000) {
  const writer = new FakeWriter();
  const commits: BellTopic[][] = [];
  const fatal: unknown[] = [];
  const queue = new WriteQueue(writer, {
    retryBudgetMs,
    others: { sayWaiting: () => {}, pause: async (ms) => void (await sleep(ms)) },
    onCommit: (topics) => commits.push([...topics]),
    onFatal: (error) => fatal.push(error),
  });
  return { writer, queue, commits, fatal };
}

describe("the write queue", () => {
  it("runs the callbacks again when the commit finds the database busy, and rings once", async () => {
    const { writer, queue, commits } = aQueue();
    writer.failures.push({ step: "commit", kind: "busy" });
    let runs = 0;
    const result = await queue.write((tx) => {
      tx.ring("engine");
      runs += 1;
      return runs;
    });
    expect([result, runs]).toEqual([2, 2]);
    expect(writer.log).toEqual(["begin", "commit", "rollback", "begin", "commit"]);
    expect(commits).toEqual([["engine"]]);
  });

  it("commits what waits together at once, but no more than 256 writes", async () => {
    const { writer, queue } = aQueue();
    await Promise.all(Array.from({ length: 300 }, () => queue.write(() => {})));
    expect(writer.log).toEqual(["begin", "commit", "begin", "commit"]);
  });

  it("lets timers and sockets have their turn between two groups (M4)", async () => {
    const { queue } = aQueue();
    let turns = 0;
    const timer = setInterval(() => (turns += 1), 1);
    const write = () => queue.write(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3));
    for (let i = 0; i < 10; i++) await write();
    clearInterval(timer);
    expect(turns).toBeGreaterThanOrEqual(5);
  });

  it("fails a whole group with STORAGE_FULL when its commit finds the disk full, and the next one works (M15)", async () => {
    const { writer, queue, commits } = aQueue();
    writer.failures.push({ step: "commit", kind: "full" });
    const results = await Promise.allSettled([queue.write(() => 1), queue.write(() => 2)]);
    expect(results.map((result) => result.status === "rejected" && result.reason.code)).toEqual([
      "STORAGE_FULL",
      "STORAGE_FULL",
    ]);
    expect(await queue.write(() => 3)).toBe(3);
    expect(commits).toHaveLength(1);
  });

  it("fails a group whose callback kept silent about a full disk", async () => {
    const { writer, queue } = aQueue();
    const silent = queue.write(() => {
      writer.trouble = { kind: "full", error: new Error("full") };
      return "fine";
    });
    await expect(silent).rejects.toMatchObject({ code: "STORAGE_FULL" });
  });

  it("acknowledges nothing and writes nothing more once the disk has failed (F59)", async () => {
    const { writer, queue, commits, fatal } = aQueue();
    writer.failures.push({ step: "commit", kind: "io" });
    const results = await Promise.allSettled([queue.write(() => 1), queue.write(() => 2)]);
    expect(results.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    await expect(queue.write(() => 3)).rejects.toThrow("the disk of the database failed");
    expect(fatal).toHaveLength(1);
    expect(commits).toEqual([]);
  });

  it("treats a transaction that cannot be undone as a failed disk", async () => {
    const { writer, queue, fatal } = aQueue();
    writer.failures.push({ step: "commit", kind: "full" }, { step: "rollback", kind: "io" });
    await expect(queue.write(() => 1)).rejects.toThrow("commit failed");
    expect(fatal).toHaveLength(1);
  });

  it("gives up on a write after its own budget, not that of the one before it", async () => {
    const { writer, queue } = aQueue(1_000);
    writer.failures.push(...Array.from({ length: 1_000 }, () => ({ step: "begin", kind: "busy" as const })));
    const first = queue.write(() => 1);
    await sleep(500);
    const second = queue.write(() => 2);
    await expect(first).rejects.toMatchObject({ code: "BUSY" });
    writer.failures.length = 0;
    expect(await second).toBe(2);
  });

  it("takes a write from something that a callback has set off, once that callback has ended", async () => {
    const { queue } = aQueue();
    const later = Promise.withResolvers<string>();
    await queue.write(() => {
      setTimeout(() => later.resolve(queue.write(() => "written")), 1);
    });
    expect(await later.promise).toBe("written");
  });

  it("finishes what waits before it closes", async () => {
    const { queue } = aQueue();
    const waiting = queue.write(() => 1);
    await queue.close();
    expect(await waiting).toBe(1);
    await expect(queue.write(() => 2)).rejects.toThrow("closed");
  });
});
