import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { isObject } from "../checks.js";
import { decodeFrameBatches } from "../codec.js";
import { type CancelMode, type Content, ExecutorError } from "../executor.js";
import type { Frame, IsolationLevel } from "../frames.js";
import { type Inline, withInline } from "../inline.js";
import { paths } from "../paths.js";
import type { Task } from "../task.js";
import { ALIVE_HEADER } from "../version.js";
import { Connection } from "./connection.js";
import { untilIdle } from "./idle.js";
import { unreachable } from "./problems.js";

export interface RunnerClientOptions {
  readonly url: string;
  readonly token: string;
  /** A stream that brings not one byte for so long is dead. In milliseconds; default STREAM_IDLE_MS. */
  readonly idleMs?: number;
  /** How long the head of an answer may take. In milliseconds. */
  readonly answerMs?: number;
}

/** What a runner says of itself. */
export interface RunnerHealth {
  readonly ok: boolean;
  readonly version: string;
  readonly protocol: string;
  readonly ledgerId: string;
  readonly isolation: IsolationLevel;
  readonly slots: number;
  readonly running: number;
  readonly stopping: boolean;
}

export interface FollowOptions {
  /** Content to send along with a task, by SHA-256, so that it needs no request of its own. */
  readonly inline?: Inline;
  /** The ledger that the attempt is bound to. */
  readonly ledgerId?: string;
  readonly fromSeq?: number;
  /** The owner's epoch; an older one than the runner has seen is refused. */
  readonly epoch?: number;
  /** The caller names its attempts at `alive` at least this often, in milliseconds; else the connection counts. */
  readonly aliveMs?: number;
  readonly signal?: AbortSignal;
}

/** The frames of an attempt, one batch per chunk that came. Returning ends the connection, not the attempt. */
export type FrameStream = AsyncGenerator<Frame[]>;

/** A runner that is dialled, over got. Every method @throws {ExecutorError}; UNREACHABLE when no answer can be had. */
export class RunnerClient {
  readonly #connection: Connection;
  readonly #idleMs: number;

  constructor({ url, token, idleMs = 45_000, answerMs = 30_000 }: RunnerClientOptions) {
    this.#connection = new Connection(url, token, answerMs);
    this.#idleMs = idleMs;
  }

  async healthz(): Promise<RunnerHealth> {
    const { text, ledgerId } = await this.#connection.call(paths.healthz, { method: "GET" });
    return { ...(parseObject(text) as unknown as RunnerHealth), ledgerId };
  }

  /** Sends a task; resolves once the runner has taken it, or has it already. */
  exec(task: Task, options: FollowOptions = {}): Promise<FrameStream> {
    return task.kind === "deps" ? this.execDeps(task, options) : this.execStep(task, options);
  }

  execStep(task: Task, options: FollowOptions = {}): Promise<FrameStream> {
    return this.#post(paths.execStep, task, options);
  }

  execDeps(task: Task, options: FollowOptions = {}): Promise<FrameStream> {
    return this.#post(paths.execDeps, task, options);
  }

  /** Follows an attempt again from frame `fromSeq`. */
  attach(attemptId: string, fromSeq: number, options: FollowOptions = {}): Promise<FrameStream> {
    return this.#follow(paths.attempt(attemptId, fromSeq, options.epoch), { method: "GET" }, options);
  }

  async cancel(attemptId: string, mode: CancelMode, ledgerId?: string): Promise<void> {
    await this.#postJson(paths.cancel(attemptId), { mode }, ledgerId);
  }

  /** Says that these attempts are still wanted. */
  async alive(attempts: readonly string[]): Promise<void> {
    await this.#postJson(paths.execAlive, { attempts });
  }

  async hasBlob(sha256: string): Promise<boolean> {
    try {
      await this.#connection.call(paths.blob(sha256), { method: "HEAD" });
      return true;
    } catch (error) {
      if (error instanceof ExecutorError && error.code === "REFUSED") return false;
      throw error;
    }
  }

  async putBlob(sha256: string, content: Content, signal?: AbortSignal): Promise<void> {
    const inMemory = "bytes" in content;
    const sizeBytes = inMemory ? content.bytes.length : (await stat(content.path)).size;
    const body = inMemory ? content.bytes : createReadStream(content.path);
    const headers = { "content-type": "application/octet-stream", "content-length": String(sizeBytes) };
    await this.#connection.call(paths.blob(sha256), { method: "PUT", headers, body, ...(signal ? { signal } : {}) });
  }

  /** The bytes of a blob from `start` on; whoever reads them checks their hash. */
  async *getBlob(sha256: string, start = 0): AsyncGenerator<Uint8Array> {
    const headers: { [name: string]: string } = start > 0 ? { range: `bytes=${start}-` } : {};
    const { body, status } = await this.#connection.open(paths.blob(sha256), { method: "GET", headers });
    if (start > 0 && status !== 206) {
      body.destroy();
      throw new ExecutorError("UNREACHABLE", "The runner does not resume the transfer of a blob");
    }
    try {
      yield* untilIdle(body, this.#idleMs);
    } catch (error) {
      throw unreachable(error);
    }
  }

  /** Has the runner try one TCP connection. */
  async testConnection(
    host: string,
    port: number,
  ): Promise<{ result: "SUCCESS" | "TIMEOUT"; host: string; port: number; detail?: string }> {
    const { text } = await this.#postJson(paths.connectivity, { host, port });
    return parseObject(text) as unknown as {
      result: "SUCCESS" | "TIMEOUT";
      host: string;
      port: number;
      detail?: string;
    };
  }

  close(): void {
    this.#connection.close();
  }

  #postJson(path: string, body: object, ledgerId?: string): Promise<{ text: string }> {
    const headers = { "content-type": "application/json" };
    return this.#connection.call(path, {
      method: "POST",
      headers,
      body: JSON.stringify(body),
      ledgerId: ledgerId ?? null,
    });
  }

  #post(path: string, task: Task, options: FollowOptions): Promise<FrameStream> {
    const headers = { "content-type": "application/json" };
    const body = JSON.stringify(withInline(task, options.inline ?? new Map()));
    const from = options.fromSeq === undefined ? "" : `?fromSeq=${options.fromSeq}`;
    return this.#follow(path + from, { method: "POST", headers, body }, options);
  }

  async #follow(
    path: string,
    request: { method: "GET" | "POST"; headers?: { [name: string]: string }; body?: string },
    { ledgerId, aliveMs, signal }: FollowOptions,
  ): Promise<FrameStream> {
    const headers = { ...request.headers, ...(aliveMs ? { [ALIVE_HEADER]: String(aliveMs) } : {}) };
    const { body } = await this.#connection.open(path, {
      ...request,
      headers,
      ledgerId: ledgerId ?? null,
      ...(signal ? { signal } : {}),
    });
    return this.#frames(body);
  }

  /** @throws {ProtocolError} on bytes that are no frames, {ExecutorError} UNREACHABLE where the stream breaks. */
  async *#frames(body: Parameters<typeof untilIdle>[0]): FrameStream {
    const chunks = untilIdle(body, this.#idleMs);
    async function* withReason(): AsyncGenerator<Uint8Array> {
      try {
        yield* chunks;
      } catch (error) {
        throw unreachable(error);
      }
    }
    yield* decodeFrameBatches(withReason());
  }
}

function parseObject(text: string): { readonly [name: string]: unknown } {
  try {
    const value: unknown = JSON.parse(text);
    if (isObject(value)) return value;
  } catch {
    // what is no JSON is no answer of a runner
  }
  throw new ExecutorError("UNREACHABLE", "The runner's answer is not what the protocol says");
}
