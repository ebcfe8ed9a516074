import { type DataResidency, newId } from "@maia/domain";
import { toDbTime } from "./time.js";
import type { Db, Sql } from "./types.js";

/** The name of the project and of the environment that exist from the first start. */
export const DEFAULT_NAME = "default";
/** The name of the runner that exists from the first start: the engine's own execution, or the one at RUNNER_URL. */
export const HOSTED_RUNNER = "hosted";

export interface ProjectRow {
  readonly id: string;
  readonly name: string;
  readonly createdAt: string;
}

export interface EnvironmentRow {
  readonly id: string;
  readonly projectId: string;
  readonly name: string;
  /** JSON object of strings. */
  readonly variables: string;
  readonly defaultRunnerId: string | null;
  readonly dataResidency: DataResidency;
  readonly createdAt: string;
  readonly updatedAt: string;
}

export interface RunnerRow {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly type: string;
  readonly platform: string;
  readonly deployment: string | null;
  readonly track: string;
  /** 0 or 1. */
  readonly autoUpdate: number;
  /** 0 or 1. */
  readonly restricted: number;
  /** JSON of an `AllowList`. */
  readonly allowlist: string;
  /** JSON object. */
  readonly config: string;
  readonly secretHash: string | null;
  readonly secretSealed: string | null;
  readonly secretKeyId: string | null;
  readonly secretVersion: number;
  readonly announcedStatus: string | null;
  readonly createdAt: string;
  readonly updatedAt: string;
}

/** Makes the default project with its environment and the hosted runner, where they are missing. */
export async function ensureDefaults(db: Db, now: Date): Promise<void> {
  if (await hasDefaults(db.sql)) return;
  await db.write(async ({ sql }) => {
    if (await hasDefaults(sql)) return; // another process was faster
    const at = toDbTime(now);
    const projectId = newId("project", now);
    await sql.run(`INSERT INTO "Project" ("id", "name", "createdAt") VALUES (?, ?, ?)`, projectId, DEFAULT_NAME, at);
    const environment = `INSERT INTO "Environment" ("id", "projectId", "name", "createdAt", "updatedAt") VALUES (?, ?, ?, ?, ?)`;
    await sql.run(environment, newId("environment", now), projectId, DEFAULT_NAME, at, at);
    const runner = `INSERT INTO "Runner" ("id", "name", "type", "platform", "track", "createdAt", "updatedAt") VALUES (?, ?, 'maia', 'hosted', 'current', ?, ?)`;
    await sql.run(runner, newId("runner", now), HOSTED_RUNNER, at, at);
  });
}

async function hasDefaults(sql: Sql): Promise<boolean> {
  return (await findRunner(sql, HOSTED_RUNNER)) !== undefined;
}

/** The project with this id, or else with this name. */
export function findProject(sql: Sql, idOrName: string): Promise<ProjectRow | undefined> {
  return sql.get(
    `SELECT * FROM "Project" WHERE "id" = ? OR "name" = ? ORDER BY "id" = ? DESC LIMIT 1`,
    idOrName,
    idOrName,
    idOrName,
  );
}

/** The environment of the project with this id, or else with this name. */
export function findEnvironment(sql: Sql, projectId: string, idOrName: string): Promise<EnvironmentRow | undefined> {
  const text = `SELECT * FROM "Environment" WHERE "projectId" = ? AND ("id" = ? OR "name" = ?) ORDER BY "id" = ? DESC LIMIT 1`;
  return sql.get(text, projectId, idOrName, idOrName, idOrName);
}

/** The runner with this id, or else with this name. One that was removed is not found. */
export function findRunner(sql: Sql, idOrName: string): Promise<RunnerRow | undefined> {
  return sql.get(
    `SELECT * FROM "Runner" WHERE ("id" = ? OR "name" = ?) AND "deletedAt" IS NULL ORDER BY "id" = ? DESC LIMIT 1`,
    idOrName,
    idOrName,
    idOrName,
  );
}
