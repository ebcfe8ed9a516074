import { type InstanceFacts, isConnected, type RunnerSight, type RunnerTrack } from "@maia/domain";
import { isEnginesOwn } from "./hosted-pool.js";
import { fromCursor, isIdOf, type Page, type PageRequest, toPage } from "./pages.js";
import type { RunnerRow } from "./projects.js";
import { fromDbTime } from "./time.js";
import type { Sql } from "./types.js";

/** A runner with what is known of it. */
export interface RunnerView extends RunnerRow {
  readonly sight: RunnerSight;
}

/** Runners that were not removed, newest first, with what is known of each: as many questions for a page as for one. */
export async function listRunners(sql: Sql, page: PageRequest): Promise<Page<RunnerView>> {
  const before = page.cursor === null ? "rnr_~" : fromCursor(page.cursor, isIdOf("rnr"));
  const rows = await sql.all<RunnerRow>(
    `SELECT * FROM "Runner" WHERE "deletedAt" IS NULL AND "id" < ? ORDER BY "id" DESC LIMIT ?`,
    before,
    page.limit + 1,
  );
  const { items, nextCursor } = toPage(
    rows,
    page,
    ({ id }) => id,
    (row) => row,
  );
  return { items: await sightsOf(sql, items), nextCursor };
}

/** A runner with what is known of it now. */
export async function viewRunner(sql: Sql, row: RunnerRow): Promise<RunnerView> {
  return (await sightsOf(sql, [row]))[0]!;
}

/** A runner by its id, removed or not. */
export function runnerById(
  sql: Sql,
  id: string,
): Promise<(RunnerRow & { readonly deletedAt: string | null }) | undefined> {
  return sql.get(`SELECT * FROM "Runner" WHERE "id" = ?`, id);
}

async function sightsOf(sql: Sql, runners: readonly RunnerRow[]): Promise<RunnerView[]> {
  const ask = new Question(
    sql,
    runners.map(({ id }) => id),
  );
  const [pauses, inFlight, transactions, steps, jobs, instances, engines] = await Promise.all([
    ask.all<PauseRow>(`SELECT "runnerId", "requestedAt", "quietAt", "resumedAt" FROM "RunnerPause" WHERE "id" IN
      (SELECT MAX("id") FROM "RunnerPause" WHERE "runnerId" IN (?) GROUP BY "runnerId")`),
    ask.counts(`SELECT "runnerId", COUNT(*) AS "count" FROM "Attempt" WHERE "status" IN ('DISPATCHING', 'RUNNING')
      AND "runnerId" IN (?) AND ("instanceId" IS NULL OR "handedAt" IS NOT NULL) GROUP BY "runnerId"`),
    ask.counts(`SELECT "runnerId", COUNT(*) AS "count" FROM "StepTransaction" WHERE "runnerId" IN (?) AND "closedAt" IS NULL
      GROUP BY "runnerId"`),
    ask.counts(
      `SELECT "queuedFor" AS "runnerId", COUNT(*) AS "count" FROM "RunStep" WHERE "queuedFor" IN (?) GROUP BY "queuedFor"`,
    ),
    ask.counts(
      `SELECT "runnerId", COUNT(*) AS "count" FROM "JobRun" WHERE "status" = 'QUEUED' AND "runnerId" IN (?) GROUP BY "runnerId"`,
    ),
    // Of those that said goodbye, the newest tells as much as all.
    ask.all<InstanceRow>(`SELECT "id", "runnerId", "version", "helloAt", "silentAt", "stoppingAt", "stoppedAt" FROM "RunnerInstance"
      WHERE "runnerId" IN (?) AND ("stoppedAt" IS NULL OR "id" IN (SELECT MAX("id") FROM "RunnerInstance" WHERE "runnerId" IN (?) GROUP BY "runnerId"))
      ORDER BY "id"`),
    runners.some(isEnginesOwn) ? engineFacts(sql) : [],
  ]);
  const pauseOf = new Map(pauses.map((pause) => [pause.runnerId, pause]));
  const instancesOf = Map.groupBy(instances, ({ runnerId }) => runnerId);
  return runners.map((row) => {
    const own = instancesOf.get(row.id) ?? [];
    const sight: RunnerSight = {
      track: row.track as RunnerTrack,
      facts: {
        pause: pauseFacts(pauseOf.get(row.id)),
        inFlight: inFlight.get(row.id) ?? 0,
        openTransactions: transactions.get(row.id) ?? 0,
        instances: isEnginesOwn(row) ? engines : own.map(instanceFacts),
      },
      versions: own.map((one) => ({ version: one.version, connected: isConnected(instanceFacts(one)) })),
      queued: (steps.get(row.id) ?? 0) + (jobs.get(row.id) ?? 0),
    };
    return { ...row, sight };
  });
}

/** How many ids one question takes; fewer are filled up, so that there are two texts to prepare and not a hundred. */
const IDS_AT_ONCE = 100;

/** Questions about the same runners. `(?)` stands for their ids. */
class Question {
  readonly #values: readonly string[];
  readonly #places: string;

  constructor(
    private readonly sql: Sql,
    ids: readonly string[],
  ) {
    const length = ids.length > 1 ? IDS_AT_ONCE : 1;
    this.#values = Array.from({ length }, (_, index) => ids[index] ?? "");
    this.#places = `(${this.#values.map(() => "?").join(", ")})`;
  }

  all<Row>(text: string): Promise<Row[]> {
    const times = text.split("(?)").length - 1;
    return this.sql.all(
      text.replaceAll("(?)", this.#places),
      ...Array.from({ length: times }, () => this.#values).flat(),
    );
  }

  async counts(text: string): Promise<Map<string, number>> {
    const rows = await this.all<{ runnerId: string; count: number }>(text);
    return new Map(rows.map(({ runnerId, count }) => [runnerId, count]));
  }
}

interface PauseRow {
  readonly runnerId: string;
  readonly requestedAt: string;
  readonly quietAt: string | null;
  readonly resumedAt: string | null;
}

function pauseFacts(row: PauseRow | undefined) {
  if (!row) return null;
  const { requestedAt, quietAt, resumedAt } = row;
  return { requestedAt: fromDbTime(requestedAt), quietAt: fromDbTime(quietAt), resumedAt: fromDbTime(resumedAt) };
}

interface InstanceRow {
  readonly id: string;
  readonly runnerId: string;
  readonly version: string;
  readonly helloAt: string;
  readonly silentAt: string | null;
  readonly stoppingAt: string | null;
  readonly stoppedAt: string | null;
}

function instanceFacts({ helloAt, silentAt, stoppingAt, stoppedAt }: Omit<InstanceRow, "id" | "runnerId" | "version">) {
  return {
    helloAt: fromDbTime(helloAt),
    silentAt: fromDbTime(silentAt),
    stoppingAt: fromDbTime(stoppingAt),
    stoppedAt: fromDbTime(stoppedAt),
  };
}

/** The hosted runner is the engines' own execution: they are its instances. */
async function engineFacts(sql: Sql): Promise<InstanceFacts[]> {
  const rows = await sql.all<{ startedAt: string; endedAt: string | null }>(
    `SELECT "startedAt", "endedAt" FROM "Engine" WHERE "endedAt" IS NULL OR "id" = (SELECT MAX("id") FROM "Engine")`,
  );
  return rows.map(({ startedAt, endedAt }) => {
    return { helloAt: fromDbTime(startedAt), silentAt: null, stoppingAt: null, stoppedAt: fromDbTime(endedAt) };
  });
}
