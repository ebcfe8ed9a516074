import {
  type CancelMode,
  type Executor,
  ExecutorError,
  type FindContent,
  type Frame,
  type Task,
} from "@maia/runner-protocol";

type Ending = { exitCode: number; reason: "exited" | "canceled" } | Error;

/**
 * An executor without processes: what a step's script says is what happens. `ok` succeeds, `fail` exits with 1, `hold`
 * waits until the test releases it or somebody cancels it, `break` makes the executor itself fail, `no-start` ends without
 * having begun. It keeps a ledger, as every executor does.
 */
export class ScriptedExecutor implements Executor {
  readonly isolation = "process-group";
  readonly ledgerId: string;
  /** Attempts in the order in which they started. */
  readonly started: string[] = [];
  readonly tasks: Task[] = [];
  readonly cancels: { attemptId: string; mode: CancelMode }[] = [];
  readonly #held = new Map<string, (ending: Ending) => void>();
  readonly #epochs = new Map<string, number>();

  constructor(ledgerId = "ledger-1") {
    this.ledgerId = ledgerId;
  }

  async *start(task: Task, find: FindContent): AsyncGenerator<readonly Frame[]> {
    const key = `${task.runId}/${task.stepKey}#${task.attemptNo}`;
    const seen = this.#epochs.get(task.attemptId);
    if (seen !== undefined && task.epoch < seen) throw new ExecutorError("STALE_EPOCH", "a newer owner has been seen");
    this.#epochs.set(task.attemptId, task.epoch);
    if (seen === undefined) this.started.push(key);
    this.tasks.push(task);
    const { attemptId, epoch } = task;
    const script = scriptOf(task, find);
    if (script === "no-start") {
      yield [
        { type: "output", seq: 1, data: {} },
        { type: "exit", lastSeq: 1, exitCode: 0, signal: null, reason: "exited", error: null },
      ];
      return;
    }
    yield [{ type: "started", seq: 1, attemptId, epoch, pid: 1, isolation: this.isolation }];
    if (script === "break") throw new Error("the executor is broken");
    const ending =
      script === "hold"
        ? await this.#hold(attemptId)
        : { exitCode: script === "ok" ? 0 : 1, reason: "exited" as const };
    if (ending instanceof Error) throw ending;
    const at = "2026-11-21T12:00:00.000Z";
    const { exitCode, reason } = ending;
    yield [
      { type: "log", seq: 2, stream: "stdout", line: key, at },
      { type: "output", seq: 3, data: { key: task.stepKey } },
      { type: "exit", lastSeq: 3, exitCode, signal: null, reason, error: null },
    ];
  }

  attach(): AsyncIterable<readonly Frame[]> {
    throw new ExecutorError("ATTEMPT_UNKNOWN", "the engine sends the task again");
  }

  async cancel(attemptId: string, mode: CancelMode): Promise<void> {
    this.cancels.push({ attemptId, mode });
    this.#held.get(attemptId)?.({ exitCode: 143, reason: "canceled" });
  }

  /** Lets every step that is held end well. */
  release(): void {
    for (const end of this.#held.values()) end({ exitCode: 0, reason: "exited" });
  }

  #hold(attemptId: string): Promise<Ending> {
    return new Promise((resolve) => this.#held.set(attemptId, resolve));
  }

  /** Ends the streams; what runs at a runner goes on there. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const end of this.#held.values()) end(new ExecutorError("UNREACHABLE", "the executor has been closed"));
  }
}

function scriptOf(task: Task, find: FindContent): string {
  const content = find(task.script.sha256);
  return content && "bytes" in content ? Buffer.from(content.bytes).toString().trim() : "fail";
}
