import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { type Db, keepDepsLock, readDepsLock } from "@maia/db";
import {
  type AttemptEnd,
  type Clock,
  depsHash,
  type ExitFacts,
  hasDependencies,
  judgeExit,
  MAX_ATTEMPTS_LOST,
  newId,
} from "@maia/domain";
import { type Executor, ExecutorError, type Frame, type Task, type TaskDeps } from "@maia/runner-protocol";
import type { BlobStore } from "@maia/storage";
import type { TaskRules } from "@maia/tasks";
import type { InHand } from "./flights.js";
import { Backoff, pause } from "./pause.js";
import type { Writes } from "./writes.js";

export interface PinningDeps {
  readonly db: Db;
  readonly blobs: BlobStore;
  readonly executor: Executor;
  readonly writes: Writes;
  readonly clock: Clock;
  readonly rules: TaskRules;
  readonly stopped: AbortSignal;
}

type OnLines = (lines: readonly string[]) => void;

/** A step's wait for its packages to be pinned. */
export interface PinWait {
  /** @throws {PinningError} */
  readonly deps: Promise<TaskDeps>;
  /** Waits no longer; the installation ends with the last who waits for it (F70). */
  readonly leave: () => void;
}

/** Packages that cannot be had. `end` is what that means for an attempt that needs them. */
export class PinningError extends Error {
  override readonly name = "PinningError";
  constructor(readonly end: AttemptEnd) {
    super(end.failure?.message ?? "the packages cannot be had");
  }
}

interface Waiter {
  readonly runId: string;
  readonly onLines: OnLines;
}

interface Pinning {
  readonly waiting: Set<Waiter>;
  readonly lines: string[];
  attemptId: string;
  readonly done: Promise<TaskDeps>;
}

/** Most versions whose lock is kept in memory. */
const MAX_CACHED = 64;

/**
 * Pins the packages of versions: whoever needs a version's first has an executor resolve and install them, and the lock
 * that comes of it holds for every install of the version from then on, here and anywhere.
 */
export class Pinnings {
  readonly #pinned = new Map<string, TaskDeps>();
  readonly #running = new Map<string, Pinning>();

  constructor(private readonly deps: PinningDeps) {}

  /** The pinned packages of a run's version; null where it needs none. @throws {PinningError} */
  async find({ run, version }: InHand): Promise<TaskDeps | "unknown" | null> {
    const { dependencies } = version.snapshot;
    if (!hasDependencies(dependencies)) return null;
    const cached = this.#pinned.get(run.versionId);
    if (cached) return cached;
    const lock = await readDepsLock(this.deps.db.sql, run.versionId);
    return lock === null
      ? "unknown"
      : this.#keep(run.versionId, { ...dependencies, lock, hash: depsHash(dependencies, lock) });
  }

  /** Has the packages of a version resolved and installed, or waits for those who do that already. */
  wait(inHand: InHand, onLines: OnLines): PinWait {
    const known = this.#running.get(inHand.run.versionId);
    const pinning = known ?? this.#begin(inHand);
    const waiter = { runId: inHand.run.id, onLines };
    const isFirst = speakers(pinning).every(({ runId }) => runId !== waiter.runId);
    pinning.waiting.add(waiter);
    if (!isFirst) onLines(["Another step of the run waits for the same packages; its log says how that goes"]);
    else if (pinning.lines.length > 0) onLines(pinning.lines);
    const left = Promise.withResolvers<never>();
    const leave = (): void => {
      if (!pinning.waiting.delete(waiter)) return;
      if (pinning.waiting.size === 0) this.#giveUp(inHand.run.versionId, pinning);
      left.reject(new PinningError({ move: "cancel", failure: { code: "CANCELED", message: "The step was stopped" } }));
    };
    return { deps: Promise.race([pinning.done, left.promise]), leave };
  }

  #begin(inHand: InHand): Pinning {
    const { versionId } = inHand.run;
    const waiting = new Set<Waiter>();
    const pinning: Pinning = {
      waiting,
      lines: [],
      attemptId: "",
      done: Promise.resolve()
        .then(() => this.#pin(inHand, pinning))
        .finally(() => this.#forget(versionId, pinning)),
    };
    pinning.done.catch(() => undefined);
    this.#running.set(versionId, pinning);
    return pinning;
  }

  /** Who comes from now on begins anew. */
  #giveUp(versionId: string, pinning: Pinning): void {
    this.#forget(versionId, pinning);
    this.deps.executor.cancel(pinning.attemptId, "stop").catch(() => {}); // not started yet, or over: nothing to end
  }

  #forget(versionId: string, pinning: Pinning): void {
    if (this.#running.get(versionId) === pinning) this.#running.delete(versionId);
  }

  /** Tries until an executor has said how it went. Trying again does no harm: a set is complete or absent. */
  async #pin({ run, version }: InHand, pinning: Pinning): Promise<TaskDeps> {
    const { dependencies } = version.snapshot;
    const { stopped } = this.deps;
    const backoff = new Backoff();
    for (let losses = 0; pinning.waiting.size > 0 && !stopped.aborted; await pause(backoff.next(), stopped)) {
      const result = await this.#install(run.workflowId, version, pinning).catch((error: unknown) => judge(error));
      if (result.kind === "installed") return this.#settle(run.versionId, dependencies, result.lock);
      if (result.kind === "ended" && result.end.move !== "lose") throw new PinningError(result.end);
      if (result.kind === "ended" && ++losses >= MAX_ATTEMPTS_LOST) throw new PinningError(result.end);
    }
    throw new PinningError({ move: "lose", failure: { code: "RUNNER_LOST", message: "Nobody waits any more" } });
  }

  async #install(workflowId: string, version: InHand["version"], pinning: Pinning): Promise<Installed> {
    const task = this.#task(workflowId, version.snapshot.dependencies);
    pinning.attemptId = task.attemptId;
    let lockBlob: string | null = null;
    let hasOutput = false;
    for await (const frames of this.deps.executor.start(task, () => null)) {
      tell(frames, pinning);
      for (const frame of frames) {
        if (frame.type === "artifact" && frame.name === "lock.json") lockBlob = frame.sha256;
        else if (frame.type === "output") hasOutput = true;
        else if (frame.type === "exit") return await this.#installed(frame, hasOutput, lockBlob);
      }
    }
    throw new ExecutorError("ATTEMPT_LOST", "The executor that installed the packages is gone");
  }

  async #installed(exit: ExitFacts, hasOutput: boolean, lockBlob: string | null): Promise<Installed> {
    const end = judgeExit(exit, hasOutput);
    if (end.move !== "succeed") return { kind: "ended", end };
    if (lockBlob === null) return { kind: "ended", end: failed("The executor installed the packages without a lock") };
    return { kind: "installed", lock: await readFile(this.deps.blobs.path(lockBlob), "utf8") };
  }

  /** The first lock of a version wins; who comes second installs again, from the winner's. */
  async #settle(versionId: string, dependencies: Parameters<typeof depsHash>[0], own: string): Promise<TaskDeps> {
    const hash = depsHash(dependencies, own);
    const lock = await this.deps.writes.patiently((tx) => keepDepsLock(tx, versionId, own, hash));
    return this.#keep(versionId, { ...dependencies, lock, hash: depsHash(dependencies, lock) });
  }

  #keep(versionId: string, deps: TaskDeps): TaskDeps {
    this.#pinned.set(versionId, deps);
    const oldest = this.#pinned.keys().next().value;
    if (this.#pinned.size > MAX_CACHED && oldest !== undefined) this.#pinned.delete(oldest);
    return deps;
  }

  /** An installation has an identity of its own, and gets nothing of the run that needs it: no variables, no secrets (S16). */
  #task(workflowId: string, dependencies: Parameters<typeof depsHash>[0]): Task {
    const { graceMs, reconnectWindowMs, limits, installMs } = this.deps.rules;
    const attemptId = newId("attempt", this.deps.clock());
    const nothing = { sha256: "0".repeat(64) };
    return {
      ...{ attemptId, epoch: 0, token: randomBytes(24).toString("base64url"), kind: "deps" },
      ...{ runId: attemptId, stepKey: "", attemptNo: 0, workflowId, runtime: "shell" },
      ...{ script: nothing, input: nothing, files: [], env: {}, secrets: {} },
      deps: { ...dependencies, lock: null, hash: depsHash(dependencies, null) },
      ...{
        reuseKey: null,
        transaction: null,
        timeoutMs: installMs,
        graceMs,
        reconnectWindowMs,
        limits,
        isolation: null,
      },
    };
  }
}

type Installed =
  | { readonly kind: "installed"; readonly lock: string }
  | { readonly kind: "ended"; readonly end: AttemptEnd }
  | { readonly kind: "later" };

/** The first who waits of each run: the log of one step is enough. */
function speakers({ waiting }: Pinning): Waiter[] {
  const runs = new Map<string, Waiter>();
  for (const waiter of waiting) if (!runs.has(waiter.runId)) runs.set(waiter.runId, waiter);
  return [...runs.values()];
}

function tell(frames: readonly Frame[], pinning: Pinning): void {
  const more = frames.flatMap((frame) => (frame.type === "log" ? [frame.line] : []));
  if (more.length === 0) return;
  pinning.lines.push(...more);
  for (const { onLines } of speakers(pinning)) onLines(more);
}

function judge(error: unknown): Installed {
  if (!(error instanceof ExecutorError)) throw error;
  if (error.code === "BUSY" || error.code === "UNREACHABLE") return { kind: "later" };
  if (error.code === "REFUSED" || error.code === "ISOLATION_UNAVAILABLE")
    return { kind: "ended", end: failed(error.message) };
  return { kind: "ended", end: { move: "lose", failure: { code: "RUNNER_LOST", message: error.message } } };
}

function failed(message: string): AttemptEnd {
  return { move: "fail", failure: { code: "DEPS_INSTALL_FAILED", message } };
}
