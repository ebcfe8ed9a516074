import { type JsonObject, newId } from "@maia/domain";
import { toDbTime } from "./time.js";
import type { Sql, Tx } from "./types.js";

export type RunnerCommandType = "STOP" | "RESTART" | "CONNECTIVITY" | "SEND" | "FETCH" | "RECEIVE";

/** Something that an instance is to do. */
export interface NewRunnerCommand {
  readonly runnerId: string;
  readonly instanceId: string;
  readonly type: RunnerCommandType;
  readonly data?: JsonObject;
}

/** Has an instance do something, and wakes its poll. One that is to stop or restart gets no new tasks from now on. */
export async function createRunnerCommand(tx: Tx, command: NewRunnerCommand, now: Date): Promise<string> {
  const { runnerId, instanceId, type, data = {} } = command;
  const id = newId("command", now);
  const at = toDbTime(now);
  const text = `INSERT INTO "RunnerCommand" ("id", "runnerId", "instanceId", "type", "data", "createdAt") VALUES (?, ?, ?, ?, ?, ?)`;
  await tx.sql.run(text, id, runnerId, instanceId, type, JSON.stringify(data), at);
  if (type === "STOP" || type === "RESTART") {
    const stopping = `UPDATE "RunnerInstance" SET "stoppingAt" = COALESCE("stoppingAt", ?) WHERE "id" = ?`;
    await tx.sql.run(stopping, at, instanceId);
  }
  tx.ring("engine");
  return id;
}

/** A command as its instance gets it. */
export interface UntakenCommand {
  readonly id: string;
  readonly type: string;
  /** JSON object. */
  readonly data: string;
}

/** What an instance has not said that it has, oldest first. It is not told to end before its open transactions have. */
export function untakenCommands(sql: Sql, instanceId: string): Promise<UntakenCommand[]> {
  const text = `SELECT "id", "type", "data" FROM "RunnerCommand" c WHERE "instanceId" = ? AND "takenAt" IS NULL
       AND ("type" NOT IN ('STOP', 'RESTART') OR NOT EXISTS (SELECT 1 FROM "StepTransaction" t
         WHERE t."runnerId" = c."runnerId" AND t."instanceId" = c."instanceId" AND t."closedAt" IS NULL))
     ORDER BY "id" LIMIT 100`;
  return sql.all(text, instanceId);
}

/** Notes that an instance has a command. Ids of others, and unknown ones, change nothing. */
export async function takeCommand({ sql }: Tx, instanceId: string, id: string, now: Date): Promise<void> {
  const text = `UPDATE "RunnerCommand" SET "takenAt" = ? WHERE "id" = ? AND "instanceId" = ? AND "takenAt" IS NULL`;
  await sql.run(text, toDbTime(now), id, instanceId);
}

/** Keeps what came of a command, and wakes who waits for it. The first word counts. */
export async function finishCommand(
  tx: Tx,
  instanceId: string,
  id: string,
  result: JsonObject,
  now: Date,
): Promise<void> {
  const at = toDbTime(now);
  const text = `UPDATE "RunnerCommand" SET "result" = ?, "finishedAt" = ?, "takenAt" = COALESCE("takenAt", ?)
    WHERE "id" = ? AND "instanceId" = ? AND "finishedAt" IS NULL`;
  if ((await tx.sql.run(text, JSON.stringify(result), at, at, id, instanceId)) === 1) tx.ring("engine");
}

/** How a command stands. */
export interface CommandState {
  readonly takenAt: string | null;
  readonly finishedAt: string | null;
  /** JSON object. */
  readonly result: string | null;
}

export async function readCommand(sql: Sql, id: string): Promise<CommandState | null> {
  const text = `SELECT "takenAt", "finishedAt", "result" FROM "RunnerCommand" WHERE "id" = ?`;
  return (await sql.get<CommandState>(text, id)) ?? null;
}
