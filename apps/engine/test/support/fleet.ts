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

/** A fleet as the gateway keeps it in the database: runners, their instances, and what these report. */
export class Fleet {
  constructor(private readonly world: World) {}

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
