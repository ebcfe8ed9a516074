import { nodeStep } from "../scripts.ts";
import type { Job, Load, Trial } from "../trial.ts";

const ROWS = 6;
/** How many batches go on side by side: each must end before its failed rows can be tried again. */
const LANES = 3;
/** Rows that fail whenever they are tried. */
const BAD = [1, 4];

interface Batch {
  readonly id: string;
  readonly status: string;
  readonly itemCount: number;
  readonly counts: Readonly<Record<"waiting" | "queued" | "running" | "succeeded" | "failed" | "canceled", number>>;
  readonly originBatchId?: string;
}

/** What was asked of a batch and acked. */
interface Acked {
  readonly id: string;
  /** What its rows must have as their parameter `n`. */
  readonly rows: readonly number[];
  readonly originId: string | null;
  isCanceled: boolean;
  /** When it was held, from the ack on until it was asked to go on. */
  readonly holds: { fromMs: number; untilMs: number }[];
}

/** Batches that are held, go on, are canceled, and whose failed rows are tried again: each row is one job (G4). */
export class Batches implements Load {
  readonly name = "batches";
  readonly env = {};
  readonly #acked: Acked[] = [];

  async prepare({ client, stepEnv: env }: Trial): Promise<void> {
    const script = nodeStep(`if (ctx.params.bad) throw new Error("as asked"); return { n: ctx.params.n };`);
    await client.apply({ name: "row", env, steps: [{ key: "only", script }] });
  }

  async submit(trial: Trial): Promise<void> {
    await Promise.all(Array.from({ length: LANES }, (_, lane) => this.#keepAsking(trial, lane)));
  }

  async #keepAsking(trial: Trial, lane: number): Promise<void> {
    for (let n = 0; !trial.isOver; n++) {
      const rows = Array.from({ length: ROWS }, (_, row) => row);
      const items = rows.map((row) => ({ params: { n: row, bad: BAD.includes(row) } }));
      const request = { workflow: "row", items, concurrency: 3 };
      const batch = await this.#made(trial, "batch", "/v1/batches", request, `batch-${lane}-${n}`, rows, null);
      await trial.rest(100, 1_000);
      await trial.pick(held, canceled, leftAlone)(trial, batch);
      if (batch.isCanceled || (await ended(trial, batch.id))?.status !== "FAILED") continue;
      await this.#made(trial, "retry", `/v1/batches/${batch.id}/retry`, {}, `retry-${lane}-${n}`, BAD, batch.id);
    }
  }

  async #made(
    trial: Trial,
    kind: string,
    path: string,
    request: object,
    key: string,
    rows: readonly number[],
    originId: string | null,
  ): Promise<Acked> {
    const { id } = await trial.make(kind, path, request, key);
    const batch: Acked = { id, rows, originId, isCanceled: false, holds: [] };
    this.#acked.push(batch);
    return batch;
  }

  async check(trial: Trial): Promise<readonly string[]> {
    const jobs: string[] = [];
    for (const batch of this.#acked) {
      const end = await ended(trial, batch.id);
      const rows = await trial.list<Job>(`/v1/jobs?batchId=${batch.id}`);
      if (end) checkBatch(trial, batch, end, rows);
      else trial.violate(`G13 batch ${batch.id} does not end`);
      jobs.push(...rows.map(({ id }) => id));
    }
    const listed = (await trial.list<Batch>("/v1/batches")).map(({ id }) => id).sort();
    const acked = this.#acked.map(({ id }) => id).sort();
    if (listed.join() !== acked.join())
      trial.violate(`G2 ${acked.length} batches were asked for, ${listed.length} exist`);
    return jobs;
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

async function held(trial: Trial, batch: Acked): Promise<void> {
  if (!(await trial.change("pause", "POST", `/v1/batches/${batch.id}/pause`))) return;
  const fromMs = Date.now();
  await trial.rest(500, 2_500);
  batch.holds.push({ fromMs, untilMs: Date.now() });
  await trial.change("resume", "POST", `/v1/batches/${batch.id}/resume`);
}

async function canceled(trial: Trial, batch: Acked): Promise<void> {
  batch.isCanceled = await trial.change("cancel", "POST", `/v1/batches/${batch.id}/cancel`);
}

async function leftAlone(): Promise<void> {}

async function ended(trial: Trial, id: string): Promise<Batch | null> {
  for (const deadline = Date.now() + 300_000; Date.now() < deadline; ) {
    const batch = await trial.read<Batch>(`/v1/batches/${id}`);
    if (batch.status !== "RUNNING" && batch.status !== "PAUSED") return batch;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return null;
}

function checkBatch(trial: Trial, batch: Acked, end: Batch, jobs: readonly Job[]): void {
  const fault = (what: string) => trial.violate(`G4 batch ${batch.id} ${what}`);
  const rows = [...jobs].sort((a, b) => Number(a.itemIndex) - Number(b.itemIndex));
  if (rows.some(({ itemIndex }, at) => itemIndex !== at)) fault(`has the rows ${rows.map((row) => row.itemIndex)}`);
  if (rows.some(({ params, itemIndex }) => params.n !== batch.rows[itemIndex ?? -1])) fault("has rows of another");
  if (end.originBatchId !== (batch.originId ?? undefined)) fault(`comes from ${end.originBatchId}`);
  if (end.itemCount !== batch.rows.length) fault(`has ${end.itemCount} items`);
  if (batch.isCanceled) checkCanceled(trial, batch, end, rows);
  else checkEnd(batch, end, rows, fault);
}

function checkEnd(batch: Acked, end: Batch, rows: readonly Job[], fault: (what: string) => void): void {
  if (rows.length !== batch.rows.length) fault(`has ${rows.length} of ${batch.rows.length} rows`);
  if (end.status !== "FAILED") fault(`ended ${end.status}`);
  for (const { id, params, status } of rows)
    if (status !== (params.bad ? "FAILED" : "SUCCEEDED")) fault(`has job ${id} of row ${params.n} end ${status}`);
  for (const { fromMs, untilMs } of batch.holds)
    for (const { id, startedAt } of rows)
      if (startedAt && Date.parse(startedAt) > fromMs && Date.parse(startedAt) < untilMs)
        fault(`started job ${id} while it was held`);
}

/** It may have failed or canceled rows, or rows that were never opened, but none that goes on. */
function checkCanceled(trial: Trial, { id }: Acked, { status, counts }: Batch, rows: readonly Job[]): void {
  const { queued, running, waiting } = counts;
  if (queued + running > 0) trial.violate(`G15 batch ${id} was canceled, and rows of it go on`);
  const isDone = waiting === 0 && rows.every((row) => row.status !== "CANCELED");
  if (status !== "CANCELED" && !isDone && !(status === "FAILED" && counts.failed > 0))
    trial.violate(`G15 batch ${id} was canceled, and ended ${status}`);
}
