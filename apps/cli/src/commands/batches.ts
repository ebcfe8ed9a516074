import { randomUUID } from "node:crypto";
import { createWriteStream } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { resolve } from "node:path";
import { pipeline } from "node:stream/promises";
import type { ApiClient } from "../api-client.js";
import type { Batch } from "../api-types.js";
import { type CommonFlags, type Context, connect, printJson } from "../context.js";
import { usage } from "../errors.js";
import { type ExitCode, exitCodeOfRun, exitCodes } from "../exit-codes.js";
import { followBatch, progressOf } from "../follow/follow-batch.js";
import { ago, between, plain } from "../output/format.js";
import { lookOf } from "../output/status.js";
import { printTable } from "../output/table.js";
import { splitPair } from "../workflow/params.js";
import { uploadFiles } from "../workflow/upload.js";
import { readDuration, readWhole } from "./run.js";
import { type ListFlags, readLimit } from "./runs.js";

export interface BatchFlags extends CommonFlags {
  readonly items: string;
  readonly concurrency?: string;
  readonly maxFailures?: string;
  readonly dryRun?: boolean;
  readonly follow?: boolean;
  readonly timeout?: string;
  readonly version?: string;
  readonly label?: readonly string[];
  readonly project?: string;
  readonly environment?: string;
  readonly runner?: string;
  readonly priority?: string;
  readonly idempotencyKey?: string;
}

/** `maia batches run WORKFLOW --items FILE`: asks for a run per row, and stays until they end where that is wanted. */
export async function runBatch(context: Context, workflow: string, flags: BatchFlags): Promise<ExitCode> {
  const { terminal } = context;
  const timeoutMs = flags.timeout === undefined ? undefined : readDuration(flags.timeout);
  const request = { workflow, ...readOptions(flags) };
  const api = await connect(context, flags);
  const [file] = await uploadFiles(api, [resolve(flags.items)], flags.project, terminal, "--items");
  const itemsFile = { sha256: file!.sha256, ...formatOf(flags.items) };
  if (flags.dryRun) return tryBatch(context, api, { ...request, itemsFile }, flags);
  const headers = { "idempotency-key": flags.idempotencyKey ?? randomUUID() };
  const { body: batch, replayed } = await api.post<Batch>("v1/batches", { ...request, itemsFile }, headers);
  if (replayed) terminal.note("This request had been made before; this is the batch that it created");
  return started(context, api, batch, flags, timeoutMs);
}

async function tryBatch(context: Context, api: ApiClient, request: object, { json }: BatchFlags): Promise<ExitCode> {
  const { body } = await api.post<{ itemCount: number }>("v1/batches", { ...request, dryRun: true });
  if (json) printJson(context, body);
  else context.terminal.print(`${rows(body.itemCount)} may run; nothing was started`);
  return exitCodes.ok;
}

async function started(
  context: Context,
  api: ApiClient,
  batch: Batch,
  { follow, json }: BatchFlags,
  timeoutMs?: number,
): Promise<ExitCode> {
  const { terminal } = context;
  if (!follow) {
    if (json) printJson(context, batch);
    else terminal.print(batch.id);
    terminal.note(terminal.paint("dim", `Next: maia batches show ${batch.id}`));
    return exitCodes.ok;
  }
  const ended = await followBatch(context, api, batch.id, timeoutMs);
  if (json) printJson(context, ended);
  else printBatch(context, ended);
  terminal.note(terminal.paint("dim", `Next: maia batches results ${batch.id} --to results.csv`));
  return exitCodeOfRun(ended.status);
}

function readOptions(flags: BatchFlags): object {
  const { project, environment, runner, version, priority, concurrency, maxFailures, label = [] } = flags;
  const numbers = Object.entries({ version, priority, concurrency, maxFailures }).flatMap(([name, text]) =>
    text === undefined ? [] : [[name, readWhole(text, flagOf(name))]],
  );
  const texts = Object.entries({ project, environment, runner }).filter(([, text]) => text !== undefined);
  const labels = Object.fromEntries(label.map((pair) => splitPair(pair, "--label")));
  return { ...Object.fromEntries([...numbers, ...texts]), ...(label.length > 0 ? { labels } : {}) };
}

function flagOf(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

function formatOf(path: string): { format?: string } {
  if (/\.(csv|tsv)$/i.test(path)) return { format: "csv" };
  return /\.(jsonl|ndjson)$/i.test(path) ? { format: "jsonl" } : {};
}

/** `maia batches list`: the newest batches. */
export async function listBatches(context: Context, flags: ListFlags): Promise<ExitCode> {
  const api = await connect(context, flags);
  const { workflow, status, project } = flags;
  const query = { workflow, status: status?.toUpperCase(), project };
  const batches = await api.list<Batch>("v1/batches", query, readLimit(flags.limit));
  if (flags.json) {
    printJson(context, batches);
    return exitCodes.ok;
  }
  const now = context.clock();
  const table = batches.map((batch) => {
    const { icon, style } = lookOf(batch.status);
    const name = { text: `${icon} ${batch.status}`, style };
    return [batch.id, name, `${batch.workflow} v${batch.version}`, progressOf(batch), ago(batch.createdAt, now)];
  });
  printTable(context.terminal, ["BATCH", "STATUS", "WORKFLOW", "ROWS", "CREATED"], table);
  if (batches.length === 0) {
    context.terminal.note("There are no batches yet. Start one: maia batches run WORKFLOW --items FILE");
  }
  return exitCodes.ok;
}

/** `maia batches show ID`. */
export async function showBatch(context: Context, id: string, flags: CommonFlags): Promise<ExitCode> {
  const api = await connect(context, flags);
  const batch = await api.get<Batch>(pathOf(id));
  if (flags.json) printJson(context, batch);
  else printBatch(context, batch);
  return exitCodes.ok;
}

/** `maia batches watch ID`: follows a batch to its end. */
export async function watchBatch(context: Context, id: string, flags: CommonFlags): Promise<ExitCode> {
  const api = await connect(context, flags);
  const batch = await followBatch(context, api, id);
  if (flags.json) printJson(context, batch);
  else printBatch(context, batch);
  return exitCodeOfRun(batch.status);
}

function printBatch({ terminal }: Context, batch: Batch): void {
  const { icon, style } = lookOf(batch.status);
  const { workflow, version, id, createdAt, finishedAt, failure, counts } = batch;
  terminal.print(
    `${terminal.paint(style, `${icon} ${batch.status}`)}  ${workflow} v${version}  ${id}  ${between(createdAt, finishedAt)}`.trimEnd(),
  );
  if (failure) terminal.print(`  ${failure.code}: ${plain(failure.message)}`);
  const shown = Object.entries(counts).filter(([, count]) => count > 0);
  terminal.print(`  ${rows(batch.itemCount)}: ${shown.map(([name, count]) => `${count} ${name}`).join(", ")}`);
}

/** `maia batches results ID`: the rows with how they went, as CSV; to stdout unless `--to` names a file. */
export async function batchResults(
  context: Context,
  id: string,
  flags: CommonFlags & { readonly to: string; readonly keepFormulas?: boolean },
): Promise<ExitCode> {
  const api = await connect(context, flags);
  const source = await api.open(`${pathOf(id)}/results${flags.keepFormulas ? "?formulas=keep" : ""}`);
  if (!source) return exitCodes.unexpected;
  if (flags.to === "-") {
    for await (const chunk of source) process.stdout.write(chunk);
    return exitCodes.ok;
  }
  const part = `${flags.to}.part-${process.pid}`; // beside, so that a file is whole or not there
  try {
    await pipeline(source, createWriteStream(part));
    await rename(part, flags.to);
  } finally {
    await rm(part, { force: true });
  }
  context.terminal.print(flags.to);
  return exitCodes.ok;
}

/** `maia batches pause|resume|cancel ID`. */
export async function moveBatch(
  context: Context,
  move: "pause" | "resume" | "cancel",
  id: string,
  flags: CommonFlags,
): Promise<ExitCode> {
  const api = await connect(context, flags);
  const { body } = await api.post<Batch>(`${pathOf(id)}/${move}`, {});
  if (flags.json) printJson(context, body);
  else {
    const said = { PAUSED: "is paused", RUNNING: move === "cancel" ? "is being canceled" : "goes on" };
    context.terminal.print(`${body.id} ${said[body.status as keyof typeof said] ?? "is canceled"}`);
  }
  return exitCodes.ok;
}

export interface SetFlags extends CommonFlags {
  readonly concurrency?: string;
  readonly maxFailures?: string;
}

/** `maia batches set ID`: changes how a batch goes on. */
export async function setBatch(context: Context, id: string, flags: SetFlags): Promise<ExitCode> {
  const { concurrency, maxFailures } = flags;
  if (concurrency === undefined && maxFailures === undefined)
    throw usage("There is nothing to set", "Give --concurrency or --max-failures");
  const change = {
    ...(concurrency === undefined ? {} : { concurrency: readWhole(concurrency, "--concurrency") }),
    ...(maxFailures === undefined
      ? {}
      : { maxFailures: maxFailures === "none" ? null : readWhole(maxFailures, "--max-failures") }),
  };
  const api = await connect(context, flags);
  const batch = await api.patch<Batch>(pathOf(id), change);
  if (flags.json) printJson(context, batch);
  else context.terminal.print(`${batch.id} goes on with at most ${batch.concurrency} at once`);
  return exitCodes.ok;
}

export interface RetryFlags extends CommonFlags {
  readonly unsuccessful?: boolean;
  readonly version?: string;
  readonly follow?: boolean;
  readonly idempotencyKey?: string;
}

/** `maia batches retry ID`: a new batch of the rows that failed, or of all that did not succeed. */
export async function retryBatch(context: Context, id: string, flags: RetryFlags): Promise<ExitCode> {
  if (!id.startsWith("bat_")) throw usage(`${id} is no batch; its id begins with bat_`);
  const version = flags.version === undefined ? {} : { version: readWhole(flags.version, "--version") };
  const api = await connect(context, flags);
  const headers = { "idempotency-key": flags.idempotencyKey ?? randomUUID() };
  const request = { rows: flags.unsuccessful ? "unsuccessful" : "failed", ...version };
  const { body } = await api.post<Batch>(`${pathOf(id)}/retry`, request, headers);
  return started(context, api, body, { ...flags, items: "" });
}

function pathOf(id: string): string {
  return `v1/batches/${encodeURIComponent(id)}`;
}

function rows(count: number): string {
  return count === 1 ? "1 row" : `${count} rows`;
}
