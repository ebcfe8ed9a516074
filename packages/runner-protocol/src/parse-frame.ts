import { isId, isInteger, isObject, isSha256, outputProblem, pathProblem } from "./checks.js";
import type { ExitFrame, Frame } from "./frames.js";
import { badField, ProtocolError } from "./protocol-error.js";

type Fields = { readonly [name: string]: unknown };

const ISOLATIONS = ["sandbox", "pid-namespace", "process-group"] as const;
const STREAMS = ["stdout", "stderr", "system"] as const;
const REASONS = ["exited", "timeout", "canceled", "oom", "spawn_failed", "lost"] as const;
const MAX_MIME = 255;

/**
 * Makes a frame of a parsed line, with the fields that this version knows. Null: a type that it does not know.
 * @throws {ProtocolError} bad_frame, naming the field.
 */
export function parseFrame(value: unknown): Frame | null {
  if (!isObject(value)) throw new ProtocolError("bad_frame", "a frame is a JSON object");
  switch (value.type) {
    case "log":
      return {
        type: "log",
        seq: seq(value),
        stream: oneOf(value, "stream", STREAMS),
        line: text(value, "line"),
        at: time(value),
      };
    case "heartbeat":
      return { type: "heartbeat" };
    case "started":
      return startedFrame(value);
    case "artifact":
      return artifactFrame(value);
    case "truncated":
      return { type: "truncated", seq: seq(value), lines: count(value, "lines"), bytes: count(value, "bytes") };
    case "output":
      return { type: "output", seq: seq(value), data: output(value) };
    case "exit":
      return exitFrame(value);
    default:
      if (typeof value.type !== "string") throw bad("type", "must be a string");
      return null;
  }
}

function startedFrame(frame: Fields): Frame {
  const { attemptId, reused } = frame;
  if (!isId(attemptId)) throw bad("attemptId", "must be an id");
  if (reused !== undefined && typeof reused !== "boolean") throw bad("reused", "must be true or false");
  return {
    type: "started",
    seq: seq(frame),
    attemptId,
    epoch: count(frame, "epoch"),
    pid: count(frame, "pid"),
    isolation: oneOf(frame, "isolation", ISOLATIONS),
    ...(reused === undefined ? {} : { reused }),
  };
}

function artifactFrame(frame: Fields): Frame {
  const name = text(frame, "name");
  const mime = text(frame, "mime");
  const { sha256, storeId = null } = frame;
  const problem = pathProblem(name);
  if (problem) throw bad("name", problem);
  if (!isSha256(sha256)) throw bad("sha256", "must be 64 lower-case hexadecimal digits");
  if (mime.length > MAX_MIME || !/^[\x20-\x7e]*$/.test(mime)) throw bad("mime", "must be a short media type");
  if (storeId !== null && !isId(storeId)) throw bad("storeId", "must be an id");
  const file = { name, sha256, sizeBytes: count(frame, "sizeBytes"), mime };
  return { type: "artifact", seq: seq(frame), ...file, ...(storeId === null ? {} : { storeId }) };
}

function exitFrame(frame: Fields): ExitFrame {
  const { exitCode, signal, error } = frame;
  if (exitCode !== null && !(isInteger(exitCode, 0) && exitCode <= 255))
    throw bad("exitCode", "must be 0 to 255, or null");
  if (signal !== null && !(typeof signal === "string" && /^SIG[A-Z0-9+-]{1,28}$/.test(signal))) {
    throw bad("signal", "must be the name of a signal, or null");
  }
  const reason = oneOf(frame, "reason", REASONS);
  return { type: "exit", lastSeq: count(frame, "lastSeq"), exitCode, signal, reason, error: exitError(error) };
}

function exitError(error: unknown): ExitFrame["error"] {
  if (error === null || error === undefined) return null;
  if (!isObject(error)) throw bad("error", "must be an object or null");
  const message = text(error, "message", "error.");
  return error.code === undefined ? { message } : { code: text(error, "code", "error."), message };
}

function output({ data }: Fields): { readonly [key: string]: unknown } {
  const problem = outputProblem(data);
  if (problem) throw bad("data", problem);
  return data as { readonly [key: string]: unknown };
}

function seq(frame: Fields): number {
  if (!isInteger(frame.seq, 1)) throw bad("seq", "must be a whole number from 1 on");
  return frame.seq;
}

function count(frame: Fields, name: string): number {
  const value = frame[name];
  if (!isInteger(value, 0)) throw bad(name, "must be a whole number from 0 on");
  return value;
}

/** Lone surrogates cannot be stored as UTF-8, so a line that holds them is refused here and not found out later. */
function text(frame: Fields, name: string, within = ""): string {
  const value = frame[name];
  if (typeof value !== "string") throw bad(within + name, "must be a string");
  if (!value.isWellFormed()) throw bad(within + name, "must be well-formed Unicode");
  return value;
}

function oneOf<T extends string>(frame: Fields, name: string, allowed: readonly T[]): T {
  const value = frame[name] as T;
  if (!allowed.includes(value)) throw bad(name, `must be one of ${allowed.join(", ")}`);
  return value;
}

let lastTime = ""; // lines come many to the millisecond, so the same text is checked once

function time({ at }: Fields): string {
  if (at === lastTime) return lastTime;
  const moment =
    typeof at === "string" && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(at) ? Date.parse(at) : Number.NaN;
  if (Number.isNaN(moment)) throw bad("at", "must be RFC 3339 in UTC with milliseconds");
  lastTime = at as string;
  return lastTime;
}

function bad(field: string, problem: string): ProtocolError {
  return badField("bad_frame", field, problem);
}
