import { setImmediate as nextTurn } from "node:timers/promises";
import { type BatchJob, type BatchView, batchJobs, type Db, fromDbTime } from "@maia/db";
import type { JsonObject } from "@maia/domain";
import { readItems, type StoredItem } from "@maia/intake";
import type { BlobStore } from "@maia/storage";
import { stringify } from "csv-stringify/sync";

/** How many rows are read at a time; each may have outputs of half a megabyte. */
const PAGE = 50;

/** What Maia adds to the columns of the input; outputs follow as `output.NAME`. */
const ADDED = ["row", "status", "jobId", "runId", "failureCode", "failureMessage", "startedAt", "finishedAt"];

export interface ResultsOptions {
  /** The names of the workflow's outputs. */
  readonly outputs: readonly string[];
  /** True: cells that a spreadsheet would take for a formula stay as they are. */
  readonly keepFormulas: boolean;
}

/**
 * The rows of a batch as CSV (RFC 4180) in the order of its input: the params, then how each row went. Rows that have no
 * job yet are `NOT_STARTED`, those whose job is kept no longer `DELETED`. It reads on as its reader takes it, whatever the
 * size of the batch.
 */
export async function* batchResults(
  { sql }: Pick<Db, "sql">,
  blobs: BlobStore,
  batch: BatchView,
  { outputs, keepFormulas }: ResultsOptions,
): AsyncGenerator<string> {
  const columns: readonly string[] | null = batch.columns === null ? null : JSON.parse(batch.columns);
  const print = (rows: string[][]) =>
    stringify(keepFormulas ? rows : rows.map((row) => row.map(tamed)), { record_delimiter: "\r\n" });
  yield print([
    [...(columns ?? ["params"]), ...ADDED.map((name) => `maia.${name}`), ...outputs.map((name) => `output.${name}`)],
  ]);
  let page: string[][] = [];
  let jobs = new Map<number, BatchJob>();
  let index = 0;
  for await (const item of readItems(blobs, batch.itemsSha256)) {
    if (index % PAGE === 0) {
      if (page.length > 0) yield print(page);
      page = [];
      await nextTurn();
      jobs = new Map((await batchJobs(sql, batch.id, index, PAGE)).map((job) => [job.itemIndex, job]));
    }
    const without = index < batch.opened ? "DELETED" : "NOT_STARTED";
    page.push(cellsOf(item, jobs.get(index++), without, columns, outputs));
  }
  if (page.length > 0) yield print(page);
}

function cellsOf(
  { row, params }: StoredItem,
  job: BatchJob | undefined,
  without: string,
  columns: readonly string[] | null,
  outputs: readonly string[],
): string[] {
  const failure = job?.failure ? JSON.parse(job.failure) : null;
  const made: JsonObject = job?.outputs ? JSON.parse(job.outputs) : {};
  const at = (text: string | null | undefined) => (text ? fromDbTime(text).toISOString() : "");
  return [
    ...(columns === null ? [params] : membersOf(JSON.parse(params), columns)),
    String(row),
    job?.status ?? without,
    job?.id ?? "",
    job?.runId ?? "",
    failure?.code ?? "",
    failure?.message ?? "",
    at(job?.startedAt),
    at(job?.finishedAt),
    ...membersOf(made, outputs),
  ];
}

function membersOf(object: JsonObject, names: readonly string[]): string[] {
  return names.map((name) => {
    const value = Object.hasOwn(object, name) ? object[name] : undefined;
    return value === undefined || value === null ? "" : typeof value === "string" ? value : JSON.stringify(value);
  });
}

/** A cell that a spreadsheet would carry out as a formula gets a quote before it (CWE-1236). Numbers are none. */
export function tamed(cell: string): string {
  return /^[=+\-@\t\r]/.test(cell) && !/^[+-]?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(cell) ? `'${cell}` : cell;
}
