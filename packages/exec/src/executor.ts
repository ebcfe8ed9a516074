import { fileURLToPath } from "node:url";
import {
  type CancelMode,
  ExecutorError,
  type FindContent,
  type Frame,
  type IsolationLevel,
  type Task,
} from "@maia/runner-protocol";
import { AttemptStream } from "./attempt-stream.js";
import { type Attempt, type AttemptRun, Attempts } from "./attempts.js";
import { machineEnvironment } from "./config.js";
import { Depot } from "./deps/depot.js";
import { afterInstall, checkDeps, runDeps } from "./deps/run-deps.js";
import { readSettings } from "./deps/settings.js";
import { userEnvironment } from "./environment.js";
import { type Found, findAll } from "./fill.js";
import { endUnknown } from "./finish.js";
import { FreshRun, type Work } from "./fresh-run.js";
import { IsolationRefused } from "./helper-client.js";
import { endMarked, type Instance, openInstance } from "./instance.js";
import type { OpenMessage } from "./messages.js";
import type { IsolationReport, LocalExecutor, LocalExecutorOptions } from "./options.js";
import { FrameRedactor } from "./redact/frames.js";
import { Session } from "./session.js";

const HEARTBEAT_MS = 10_000;
/** For checks that come before it is known where a step runs. */
const NO_ENVIRONMENT = { PATH: "", LANG: "", TZ: "" };
const STRENGTH: readonly IsolationLevel[] = ["process-group", "pid-namespace", "sandbox"];

/**
 * Carries out tasks in local processes, which a helper process starts and supervises. They end with this process.
 * @throws {ExecutorError} ISOLATION_UNAVAILABLE from `start`, when the isolation asked for cannot be had here.
 */
export async function openLocalExecutor(options: LocalExecutorOptions): Promise<LocalExecutor> {
  const instance = await openInstance(options.root);
  try {
    const depot = options.deps ? await openDepot(options, instance.home) : null;
    const executor = new Executing(options, instance, depot);
    await executor.open();
    return executor;
  } catch (error) {
    await instance[Symbol.asyncDispose]();
    throw error;
  }
}

async function openDepot({ deps, log }: LocalExecutorOptions, home: string): Promise<Depot> {
  const settings = () => readSettings(deps!, machineEnvironment());
  return await Depot.open(deps!, home, settings, (message, error) => log("warn", message, { error: String(error) }));
}

class Executing implements LocalExecutor {
  private readonly attempts = new Attempts();
  private readonly message: Omit<OpenMessage, "slotPrefix">;
  private generation = 0;
  private refusal: string | null = null;
  private session: Session | null = null;
  private opening: Promise<Session> | null = null;
  private isClosed = false;
  report: IsolationReport = { level: "process-group", missing: [], warnings: [] };

  constructor(
    private readonly options: LocalExecutorOptions,
    private readonly instance: Instance,
    private readonly depot: Depot | null,
  ) {
    this.message = {
      t: "open",
      home: instance.home,
      bootstrap: fileURLToPath(new URL("../static/bootstrap", import.meta.url)),
      deps: depot?.folder ?? null,
      isolation: options.isolation,
      leaseTtlMs: options.leaseTtlMs,
      timeZone: Intl.DateTimeFormat().resolvedOptions().timeZone,
    };
  }

  get ledgerId(): string {
    return this.options.ledgerId;
  }

  get isolation(): IsolationLevel {
    return this.report.level;
  }

  /** Starts the helper. That the wished isolation cannot be had is told to whoever starts a task. */
  async open(): Promise<void> {
    try {
      this.session = await this.openSession();
      this.report = this.session.ready.report;
    } catch (error) {
      if (!(error instanceof IsolationRefused)) throw error;
      this.refusal = error.message;
      const level = this.options.isolation === "auto" ? "process-group" : this.options.isolation;
      this.report = { level, missing: [{ level, reason: error.message }], warnings: [] };
    }
    for (const warning of this.report.warnings) this.options.log("warn", warning);
  }

  start(task: Task, find: FindContent): AsyncIterable<readonly Frame[]> {
    try {
      const known = this.attempts.get(task.attemptId);
      if (known) return this.followAgain(task, known);
      this.check(task);
      checkDeps(task, this.depot);
      const found = task.kind === "deps" ? null : findAll(task, find);
      if (found) userEnvironment(task, NO_ENVIRONMENT);
      return this.launch(task, found).stream.follow(1);
    } catch (error) {
      return failing(error);
    }
  }

  attach(attemptId: string, fromSeq: number): AsyncIterable<readonly Frame[]> {
    const known = this.attempts.get(attemptId);
    if (known && fromSeq >= known.stream.firstKeptSeq) return known.stream.follow(fromSeq);
    if (known) return failing(new ExecutorError("ATTEMPT_LOST", `frames before ${known.stream.firstKeptSeq} are gone`));
    return failing(this.unknown(attemptId));
  }

  async cancel(attemptId: string, mode: CancelMode): Promise<void> {
    const known = this.attempts.get(attemptId);
    if (!known) throw this.unknown(attemptId);
    known.run?.cancel(mode);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.isClosed) return;
    this.isClosed = true;
    await this.opening?.catch(() => undefined);
    await this.session?.close();
    await this.instance[Symbol.asyncDispose]();
  }

  private followAgain(task: Task, { stream }: Attempt): AsyncIterable<readonly Frame[]> {
    if (task.epoch < stream.epoch) throw new ExecutorError("STALE_EPOCH", `epoch ${stream.epoch} has been seen`);
    return stream.follow(stream.firstKeptSeq);
  }

  private check(task: Task): void {
    if (this.isClosed) throw new ExecutorError("BUSY", "the executor is closing");
    if (this.attempts.isForgotten(task.attemptId)) throw this.unknown(task.attemptId);
    if (this.refusal !== null) throw new ExecutorError("ISOLATION_UNAVAILABLE", this.refusal);
    if (!this.session) this.reopen();
    if (task.isolation && STRENGTH.indexOf(task.isolation) > STRENGTH.indexOf(this.isolation)) {
      const message = `the isolation "${task.isolation}" is asked for, and "${this.isolation}" is what can be had here`;
      throw new ExecutorError("ISOLATION_UNAVAILABLE", message);
    }
  }

  private unknown(attemptId: string): ExecutorError {
    if (!this.attempts.isForgotten(attemptId)) return new ExecutorError("ATTEMPT_UNKNOWN", "never started here");
    return new ExecutorError("ATTEMPT_LOST", "the attempt has ended, and its frames are gone");
  }

  private launch(task: Task, found: Found | null): Attempt {
    const attempt: Attempt = {
      run: null,
      stream: new AttemptStream(
        task.attemptId,
        task.epoch,
        this.options.heartbeatMs ?? HEARTBEAT_MS,
        {
          onTaken: (bytes) => attempt.run?.credit(bytes),
          onEnd: () => this.attempts.end(task.attemptId),
        },
        FrameRedactor.of(task),
      ),
    };
    this.attempts.add(task.attemptId, attempt);
    if (this.session) this.beginNow(this.session, task, found, attempt);
    else this.beginLater(task, found, attempt);
    return attempt;
  }

  /** A task that comes between two helpers waits for the next one. */
  private beginLater(task: Task, found: Found | null, attempt: Attempt): void {
    const { stream } = attempt;
    attempt.run = { cancel: () => endUnknown(stream, "canceled", "canceled before it began"), credit: () => undefined };
    this.opening!.then(
      (session) => {
        if (!stream.hasEnded) this.beginNow(session, task, found, attempt);
      },
      (error: Error) => endUnknown(stream, "spawn_failed", error.message),
    );
  }

  /** Begins an attempt; one for which there is no place ends, and says so. */
  private beginNow(session: Session, task: Task, found: Found | null, attempt: Attempt): void {
    try {
      attempt.run = this.begin(session, task, found, attempt);
    } catch (error) {
      endUnknown(attempt.stream, "spawn_failed", (error as Error).message);
    }
  }

  private begin(session: Session, task: Task, found: Found | null, attempt: Attempt): AttemptRun | null {
    const { depot, options } = this;
    const { stream } = attempt;
    if (!found) return runDeps(depot, session, task, attempt, options.keep);
    if (!task.deps || !depot) return this.run(session, { task, found, stream, set: null });
    return afterInstall(depot, session, task.deps, attempt, (set) => this.run(session, { task, found, stream, set }));
  }

  private run(session: Session, work: Work): AttemptRun {
    if (work.task.reuseKey !== null && work.task.runtime !== "shell") return session.reuse.run(work);
    return new FreshRun(session, work, this.options.keep);
  }

  private async openSession(): Promise<Session> {
    const { message, instance, options } = this;
    const slotPrefix = `${instance.id}-${this.generation++}-`;
    return await Session.open({ ...message, slotPrefix }, instance.stage, options, () => this.helperDied(slotPrefix));
  }

  /** Ends what the dead helper may have left and starts another one. */
  private helperDied(slotPrefix: string): void {
    this.session = null;
    if (this.isClosed) return;
    this.options.log("error", "the helper process has died; its attempts are lost");
    endMarked(`/${slotPrefix}`);
    this.reopen();
  }

  /** Starts another helper, unless one is on its way. When it cannot be, the next task tries again. */
  private reopen(): void {
    if (this.opening) return;
    this.opening = this.openSession().finally(() => {
      this.opening = null;
    });
    this.opening.then(
      (session) => {
        this.session = session;
      },
      (error: Error) => this.options.log("error", "no new helper can be started", { reason: error.message }),
    );
  }
}

async function* failing(error: unknown): AsyncGenerator<readonly Frame[]> {
  throw error;
  // biome-ignore lint/correctness/noUnreachable: a generator that only fails still has to be one
  yield [];
}
