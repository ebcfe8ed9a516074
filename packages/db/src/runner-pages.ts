import { fromCursor, isIdOf, type Page, type PageRequest, toPage } from "./pages.js";
import { fromDbTime, withMoments } from "./time.js";
import type { Sql } from "./types.js";

/** An entry of a runner's history. `data` is JSON text. */
export interface ActivityView {
  readonly id: string;
  readonly at: Date;
  readonly actor: string;
  readonly action: string;
  readonly note: string;
  readonly data: string;
}

/** What was done to a runner and what it did, newest first. */
export async function listActivity(sql: Sql, runnerId: string, page: PageRequest): Promise<Page<ActivityView>> {
  const rows = await sql.all<Omit<ActivityView, "at"> & { at: string }>(
    `SELECT "id", "at", "actor", "action", "note", "data" FROM "RunnerActivity" WHERE "runnerId" = ? AND "id" < ? ORDER BY "id" DESC LIMIT ?`,
    runnerId,
    page.cursor === null ? "act_~" : fromCursor(page.cursor, isIdOf("act")),
    page.limit + 1,
  );
  return toPage(
    rows,
    page,
    ({ id }) => id,
    (row) => ({ ...row, at: fromDbTime(row.at) }),
  );
}

/** An instance as readers see it. Labels, capabilities and load are JSON text. */
export interface InstanceView {
  readonly id: string;
  readonly generation: number;
  readonly protocol: string;
  readonly version: string;
  readonly slots: number;
  readonly labels: string;
  readonly isolation: string;
  readonly capabilities: string;
  readonly free: number;
  readonly running: number;
  readonly load: string;
  readonly helloAt: Date;
  readonly lastSeenAt: Date;
  readonly silentAt: Date | null;
  readonly stoppingAt: Date | null;
  readonly stoppedAt: Date | null;
}

interface InstanceRow extends Omit<InstanceView, Moments> {
  readonly helloAt: string;
  readonly lastSeenAt: string;
  readonly silentAt: string | null;
  readonly stoppingAt: string | null;
  readonly stoppedAt: string | null;
}
type Moments = "helloAt" | "lastSeenAt" | "silentAt" | "stoppingAt" | "stoppedAt";

/** The processes of a runner, the newest first; those that are gone too. */
export async function listInstances(sql: Sql, runnerId: string, page: PageRequest): Promise<Page<InstanceView>> {
  const rows = await sql.all<InstanceRow>(
    `SELECT "id", "generation", "protocol", "version", "slots", "labels", "isolation", "capabilities", "free", "running", "load",
       "helloAt", "lastSeenAt", "silentAt", "stoppingAt", "stoppedAt" FROM "RunnerInstance" WHERE "runnerId" = ? AND "id" < ? ORDER BY "id" DESC LIMIT ?`,
    runnerId,
    page.cursor === null ? "ins_~" : fromCursor(page.cursor, isIdOf("ins")),
    page.limit + 1,
  );
  return toPage(rows, page, ({ id }) => id, withMoments);
}
