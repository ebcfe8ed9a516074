import type { Deployment } from "../support/deployments.ts";
import { eventually } from "../support/processes.ts";

/** Rows of the batch that runs beside the jobs. */
const ROWS = 40;
const INTERVAL_MS = 2_000;
/** What is asked for is asked for again until it is acked. */
const ACK_MS = 120_000;

interface JobRow {
  readonly id: string;
  readonly status: string;
  readonly runId: string | null;
  readonly itemIndex?: number | null;
  readonly scheduleId?: string | null;
}

interface Tick {
  readonly dueAt: string;
  readonly outcome: string;
  readonly jobId: string | null;
  readonly count?: number;
}

/** What goes on by itself while parts are killed: a batch and a schedule, each accepted once whatever dies meanwhile. */
export class Standing {
  readonly #maia: Deployment;
  readonly #batchId: string;
  readonly #scheduleId: string;

  private constructor(maia: Deployment, batchId: string, scheduleId: string) {
    this.#maia = maia;
    this.#batchId = batchId;
    this.#scheduleId = scheduleId;
  }

  static async begin(maia: Deployment): Promise<Standing> {
    const items = Array.from({ length: ROWS }, (_, n) => ({ params: { n } }));
    const batch = await acked(maia, "/v1/batches", { workflow: "chain", items, concurrency: 3 }, "batch");
    const schedule = {
      workflow: "chain",
      kind: "interval",
      intervalMs: INTERVAL_MS,
      misfire: "skip",
      overlap: "allow",
    };
    return new Standing(maia, batch, await acked(maia, "/v1/schedules", schedule, "schedule"));
  }

  /** Lets the schedule make no more jobs. */
  async stop(): Promise<void> {
    await eventually(
      "the schedule is disabled",
      async () => {
        const body = { enabled: false };
        return (await this.#maia.client.call("PATCH", `/v1/schedules/${this.#scheduleId}`, body)).status === 200;
      },
      ACK_MS,
    );
  }

  /** Checks that every row and every instant became one job and no more (G3, G4), and that each of them ended. */
  async check(violations: string[]): Promise<void> {
    const { client } = this.#maia;
    await eventually(
      "the batch has ended",
      async () => {
        const { status } = await client.get<{ status: string }>(`/v1/batches/${this.#batchId}`);
        return status !== "RUNNING" ? status : null;
      },
      180_000,
    ).then((status) => {
      if (status !== "SUCCEEDED") violations.push(`the batch ended ${status}`);
    });
    const rows = await all<JobRow>(this.#maia, `/v1/jobs?batchId=${this.#batchId}`);
    const indexes = rows.map(({ itemIndex }) => itemIndex).sort((a, b) => Number(a) - Number(b));
    if (indexes.join() !== Array.from({ length: ROWS }, (_, n) => n).join())
      violations.push(`G4 the batch of ${ROWS} rows has the rows ${indexes}`);

    const jobs = await all<JobRow>(this.#maia, `/v1/jobs?scheduleId=${this.#scheduleId}`);
    for (const { id } of jobs) {
      const run = await client.finished(id, 180_000);
      if (run.status !== "SUCCEEDED") violations.push(`the schedule's job ${id} ended ${run.status}`);
    }
    const ticks = await all<Tick>(this.#maia, `/v1/schedules/${this.#scheduleId}/ticks`);
    const fired = ticks.flatMap(({ jobId }) => jobId ?? []).sort();
    if (
      fired.join() !==
      jobs
        .map(({ id }) => id)
        .sort()
        .join()
    )
      violations.push(`G4 ${fired.length} instants fired, and the schedule has ${jobs.length} jobs`);
    checkInstants(ticks, violations);
  }
}

/** Each instant stands once, and between two that are told of there is none that is not. */
function checkInstants(ticks: readonly Tick[], violations: string[]): void {
  const ordered = [...ticks].sort((a, b) => a.dueAt.localeCompare(b.dueAt));
  for (const [index, tick] of ordered.entries()) {
    const next = ordered[index + 1];
    if (!next) return;
    const covered = (tick.count ?? 1) * INTERVAL_MS;
    if (Date.parse(next.dueAt) - Date.parse(tick.dueAt) !== covered)
      violations.push(`G4 after the instant ${tick.dueAt} comes ${next.dueAt}`);
  }
}

async function acked(maia: Deployment, path: string, body: object, key: string): Promise<string> {
  return eventually(
    `${path} is acked`,
    async () => {
      const answer = await maia.client.call<{ id: string }>("POST", path, body, { "idempotency-key": key });
      return answer.status === 201 ? answer.body.id : null;
    },
    ACK_MS,
  );
}

async function all<T>(maia: Deployment, path: string): Promise<T[]> {
  const items: T[] = [];
  for (let cursor: string | null = ""; cursor !== null; ) {
    const joint = path.includes("?") ? "&" : "?";
    const page: { items: T[]; nextCursor: string | null } = await maia.client.get(
      `${path}${joint}limit=100${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`,
    );
    items.push(...page.items);
    cursor = page.nextCursor;
  }
  return items;
}
