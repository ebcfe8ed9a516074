import { hash } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import {
  ALIVE_HEADER,
  ExecutorError,
  type Inline,
  LEDGER_HEADER,
  MAX_TASK_BYTES,
  parseInline,
  parseTask,
} from "@maia/runner-protocol";
import type { Attempts, Followable } from "../attempts/attempts.js";
import { readJson, sendJson } from "./bodies.js";
import { Problem } from "./problems.js";
import { streamFrames } from "./stream-frames.js";

export interface ExecContext {
  readonly attempts: Attempts;
  readonly ledgerId: string;
  readonly streamHeartbeatMs: number;
  readonly bodyIdleMs: number;
}

const SMALL_BODY_BYTES = 1_048_576;

/** `POST /v1/exec/step` and `/v1/exec/deps`: starts the task, or finds the attempt that it started before. */
export async function execTask(
  context: ExecContext,
  req: IncomingMessage,
  res: ServerResponse,
  query: URLSearchParams,
  kind: "step" | "deps",
) {
  checkLedger(context, req);
  const fromSeq = readNumber(query, "fromSeq", 1) ?? 1;
  const body = await readJson(req, { maxBytes: MAX_TASK_BYTES, idleMs: context.bodyIdleMs });
  const task = parseTask(body);
  const inline = checkedInline(body);
  if (task.kind !== kind) throw new Problem("INVALID", `kind must be ${kind} on this route`);
  await follow(context, req, res, () => context.attempts.accept(task, { inline, hasStarted: fromSeq > 1 }), {
    fromSeq,
    epoch: task.epoch,
  });
}

/** `GET /v1/exec/{attemptId}?fromSeq=&epoch=`: follows an attempt again. */
export async function attach(
  context: ExecContext,
  req: IncomingMessage,
  res: ServerResponse,
  query: URLSearchParams,
  attemptId: string,
) {
  checkLedger(context, req);
  const fromSeq = readNumber(query, "fromSeq", 1) ?? 1;
  const epoch = readNumber(query, "epoch", 0);
  await follow(context, req, res, () => context.attempts.find(attemptId, epoch), { fromSeq, epoch });
}

/** `POST /v1/exec/{attemptId}/cancel {"mode": "stop"|"kill"}` */
export async function cancel(context: ExecContext, req: IncomingMessage, res: ServerResponse, attemptId: string) {
  checkLedger(context, req);
  const { mode } = await readSmall(context, req);
  if (mode !== "stop" && mode !== "kill") throw new Problem("INVALID", 'mode must be "stop" or "kill"');
  if (!/^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$/.test(attemptId))
    throw new ExecutorError("ATTEMPT_UNKNOWN", "That is no id of an attempt");
  sendJson(res, 200, { attemptId, state: await context.attempts.cancel(attemptId, mode) });
}

/** `POST /v1/exec/alive {"attempts": [attemptId]}`: these are still wanted. */
export async function alive(context: ExecContext, req: IncomingMessage, res: ServerResponse) {
  const { attempts } = await readSmall(context, req);
  if (!Array.isArray(attempts) || attempts.some((id) => typeof id !== "string"))
    throw new Problem("INVALID", "attempts must be a list of ids");
  context.attempts.asked(attempts);
  res.writeHead(204).end();
}

async function follow(
  context: ExecContext,
  req: IncomingMessage,
  res: ServerResponse,
  find: () => Promise<Followable>,
  { fromSeq, epoch }: { readonly fromSeq: number; readonly epoch: number | null },
): Promise<void> {
  const gone = new AbortController();
  res.once("close", () => gone.abort());
  const promisesToAsk = /^[1-9]\d*$/.test(req.headersDistinct[ALIVE_HEADER]?.[0] ?? "");
  const attempt = await find();
  const lines = await attempt.follow({ fromSeq, epoch, promisesToAsk, signal: gone.signal });
  if (!lines) throw new Problem("INVALID", `fromSeq is ${fromSeq}, but there are not so many frames yet`);
  await streamFrames(res, lines, context.streamHeartbeatMs, gone.signal);
}

/** The content that came along with a task, whose hashes are right. */
function checkedInline(body: unknown): Inline {
  const inline = parseInline(body);
  for (const [sha256, bytes] of inline) {
    if (hash("sha256", bytes) !== sha256)
      throw new Problem("HASH_MISMATCH", `The inline content has other bytes than ${sha256}`);
  }
  return inline;
}

/** A request that is meant for another ledger must not start or end anything here. */
function checkLedger({ ledgerId }: ExecContext, req: IncomingMessage): void {
  const wanted = req.headersDistinct[LEDGER_HEADER]?.[0];
  if (wanted === undefined || wanted === ledgerId) return;
  throw new ExecutorError("LEDGER_CHANGED", "The request is meant for another ledger than this runner's");
}

async function readSmall(
  { bodyIdleMs }: ExecContext,
  req: IncomingMessage,
): Promise<{ readonly [name: string]: unknown }> {
  const value = await readJson(req, { maxBytes: SMALL_BODY_BYTES, idleMs: bodyIdleMs });
  return typeof value === "object" && value !== null ? (value as { readonly [name: string]: unknown }) : {};
}

function readNumber(query: URLSearchParams, name: string, min: number): number | null {
  const text = query.get(name);
  if (text === null) return null;
  const value = Number(text);
  if (!/^\d{1,16}$/.test(text) || !Number.isSafeInteger(value) || value < min) {
    throw new Problem("INVALID", `${name} must be a whole number from ${min} on`);
  }
  return value;
}
