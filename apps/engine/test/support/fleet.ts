import { type AttemptRef, toDbTime } from "@maia/db";
import { type AllowList, newId } from "@maia/domain";
import { landFrames } from "@maia/record";
import type { Frame } from "@maia/runner-protocol";
import type { World } from "./world.js";

interface Bound {
  readonly id: string;
  readonly runId: string;
  readonly projectId: string;
  readonly stepKey: string;
  readonly no: number;
  readonly epoch: number;
  readonly instanceId: string;
  readonly stopRequestedAt: string | null;
}

/** Short times, for rules that speak of minutes and hours. */
export const SHORT = {
  MAIA_RUNNER_HEARTBEAT_MS: "50",
  MAIA_RUNNER_UNKNOWN_MS: "300",
  MAIA_RUNNER_RECONNECT_WINDOW_MS: "600",
  MAIA_PAUSE_AUTO_RESUME_MS: "700",
  MAIA_RESUME_QUEUE_TIMEOUT_MS: "300",
};

/** A fleet as the gateway keeps it in the database: runners, their instances, and what these report. */
export class Fleet {
  constructor(private readonly world: World) {}

  /** A runner with an instance, for which all jobs are from now on. */
  async open(slots = 2): Promise<{ runner: string; instance: string }> {
    const runner = await this.runner("north");
    this.world.runnerId = runner;
    return { runner, instance: await this.hello(runner, slots) };
  }

  async runner(name: string, rules: { restricted?: boolean; allowlist?: AllowList } = {}): Promise<string> {
    const id = newId("runner", new Date());
    const at = toDbTime(new Date());
    const { restricted = false, allowlist = { projects: {} } } = rules;
    await this.#write(
      `INSERT INTO "Runner" ("id", "name", "type", "platform", "track", "restricted", "allowlist", "createdAt", "updatedAt") VALUES (?, ?, 'maia', 'self_managed', 'current', ?, ?, ?, ?)`,
      ...[id, name, restricted ? 1 : 0, JSON.stringify(allowlist), at, at],
    );
    return id;
  }

  async hello(runnerId: string, slots = 2): Promise<string> {
    const id = newId("instance", new Date());
    const at = toDbTime(new Date());
    await this.#write(
      `INSERT INTO "RunnerInstance" ("id", "runnerId", "ledgerId", "generation", "secretVersion", "protocol", "version", "slots", "free", "isolation", "helloAt", "lastSeenAt") VALUES (?, ?, ?, 1, 1, '1', 'test', ?, ?, 'sandbox', ?, ?)`,
      ...[id, runnerId, `ledger-${id}`, slots, slots, at, at],
    );
    return id;
  }

  /** A poll of the instance, and a beat of the gateway that took it. */
  async beat(...instanceIds: string[]): Promise<void> {
    const at = toDbTime(new Date());
    await this.#write(
      `INSERT INTO "Gateway" ("id", "heartbeatSeq", "beatAt") VALUES ('gtw_1', 1, ?) ON CONFLICT ("id") DO UPDATE SET "heartbeatSeq" = "heartbeatSeq" + 1`,
      at,
    );
    for (const id of instanceIds) {
      const text = `UPDATE "RunnerInstance" SET "heartbeatSeq" = "heartbeatSeq" + 1, "silentAt" = NULL, "lastSeenAt" = ? WHERE "id" = ?`;
      await this.#write(text, at, id);
    }
  }

  async set(instanceId: string, column: "stoppingAt" | "stoppedAt" | "silentAt"): Promise<void> {
    await this.#write(`UPDATE "RunnerInstance" SET "${column}" = ? WHERE "id" = ?`, toDbTime(new Date()), instanceId);
  }

  async pause(runnerId: string): Promise<string> {
    const id = newId("pause", new Date());
    const at = toDbTime(new Date());
    await this.#write(`INSERT INTO "RunnerPause" ("id", "runnerId", "requestedAt") VALUES (?, ?, ?)`, id, runnerId, at);
    return id;
  }

  async resume(pauseId: string): Promise<void> {
    await this.#write(`UPDATE "RunnerPause" SET "resumedAt" = ? WHERE "id" = ?`, toDbTime(new Date()), pauseId);
  }

  /** Waits until so many offered tasks can be handed over, and hands them over. */
  async take(count = 1): Promise<Bound[]> {
    const taken: Bound[] = [];
    while (taken.length < count) {
      const rows = await this.world.db.sql.all<Bound>(
        `${BOUND} AND a."offeredAt" IS NOT NULL AND a."handedAt" IS NULL`,
      );
      for (const row of rows.slice(0, count - taken.length)) {
        await this.#write(`UPDATE "Attempt" SET "handedAt" = ? WHERE "id" = ?`, toDbTime(new Date()), row.id);
        taken.push(row);
      }
      if (taken.length < count) await this.world.change();
    }
    return taken;
  }

  /** The next task, handed over. */
  async next(): Promise<Bound> {
    const [bound] = await this.take();
    return bound!;
  }

  /** The next task, whose process runs. */
  async begin(): Promise<Bound> {
    const bound = await this.next();
    await this.started(bound);
    return bound;
  }

  /** The next task, carried out. */
  async carryOut(): Promise<Bound> {
    const bound = await this.next();
    await this.end(bound);
    return bound;
  }

  /** What is offered and not handed over. */
  async offered(): Promise<Bound[]> {
    return this.world.db.sql.all(`${BOUND} AND a."offeredAt" IS NOT NULL AND a."handedAt" IS NULL`);
  }

  async started(bound: Bound): Promise<void> {
    await this.#report(bound, [
      { type: "started", seq: 1, attemptId: bound.id, epoch: bound.epoch, pid: 1, isolation: "sandbox" },
    ]);
  }

  /** Reports a whole attempt: it ran, and this is how it ended. */
  async end(bound: Bound, exitCode = 0): Promise<void> {
    await this.#report(bound, [
      { type: "started", seq: 1, attemptId: bound.id, epoch: bound.epoch, pid: 1, isolation: "sandbox" },
      { type: "output", seq: 2, data: { by: bound.instanceId } },
      { type: "exit", lastSeq: 2, exitCode, signal: null, reason: "exited", error: null },
    ]);
  }

  /** The status of a runner that its followers were told last. */
  async status(runnerId: string): Promise<string | null> {
    const text = `SELECT "announcedStatus" AS "status" FROM "Runner" WHERE "id" = ?`;
    return (await this.world.db.sql.get<{ status: string | null }>(text, runnerId))?.status ?? null;
  }

  async untilStatus(runnerId: string, wanted: string, meanwhile = async () => {}): Promise<void> {
    const isSo = async () => {
      if ((await this.status(runnerId)) === wanted) return true;
      await meanwhile();
      return false;
    };
    await this.world.comesTrue(isSo, async () => `the runner is ${await this.status(runnerId)} and not ${wanted}`);
  }

  /** The reasons with which a job's attempts ended. */
  async failures(jobId: string): Promise<string[]> {
    const text = `SELECT a."failure" FROM "Attempt" a JOIN "Run" r ON r."id" = a."runId" WHERE r."jobRunId" = ? AND a."failure" IS NOT NULL ORDER BY a."id"`;
    const rows = await this.world.db.sql.all<{ failure: string }>(text, jobId);
    return rows.map(({ failure }) => JSON.parse(failure).code);
  }

  async #report(bound: Bound, frames: Frame[]): Promise<void> {
    await this.world.db.write(async (tx) => {
      const row = await tx.sql.get<{ epoch: number }>(`SELECT "epoch" FROM "Attempt" WHERE "id" = ?`, bound.id);
      const ref: AttemptRef = { ...bound, epoch: row!.epoch };
      await landFrames(tx, ref, frames, null, new Date());
      tx.ring("engine");
    });
  }

  async #write(text: string, ...values: (string | number | null)[]): Promise<void> {
    await this.world.db.write(async (tx) => {
      await tx.sql.run(text, ...values);
      tx.ring("engine");
    });
  }
}

const BOUND = `SELECT a."id", a."runId", r."projectId", a."stepKey", a."no", a."epoch", a."instanceId", a."stopRequestedAt"
  FROM "Attempt" a JOIN "Run" r ON r."id" = a."runId" WHERE a."status" IN ('DISPATCHING', 'RUNNING') AND a."instanceId" IS NOT NULL`;
