import {
  type CancelMode,
  type Executor,
  ExecutorError,
  type FindContent,
  type Frame,
  type Task,
} from "@maia/runner-protocol";

type Wanted = { readonly frames: readonly Frame[] } | { readonly fail: Error } | { readonly end: true };

/** An executor whose attempts say what the test tells them to say. */
export class FakeExecutor implements Executor {
  readonly ledgerId = "unused";
  readonly isolation = "pid-namespace";
  readonly started: string[] = [];
  readonly canceled: [string, CancelMode][] = [];
  readonly #plays = new Map<string, Play>();

  play(attemptId: string): Play {
    const known = this.#plays.get(attemptId) ?? new Play();
    this.#plays.set(attemptId, known);
    return known;
  }

  async *start(task: Task, _find: FindContent): AsyncGenerator<readonly Frame[]> {
    this.started.push(task.attemptId);
    yield [
      { type: "started", seq: 1, attemptId: task.attemptId, epoch: task.epoch, pid: 1, isolation: this.isolation },
    ];
    yield* this.play(task.attemptId).batches();
  }

  attach(): AsyncIterable<readonly Frame[]> {
    throw new ExecutorError("ATTEMPT_UNKNOWN", "nothing to attach to");
  }

  async cancel(attemptId: string, mode: CancelMode): Promise<void> {
    this.canceled.push([attemptId, mode]);
    this.play(attemptId).exit("canceled");
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** What one attempt says. */
export class Play {
  #seq = 1;
  #isOver = false;
  readonly #wanted: Wanted[] = [];
  #bell = Promise.withResolvers<void>();

  log(...lines: string[]): this {
    const frames = lines.map(
      (line): Frame => ({ type: "log", seq: ++this.#seq, stream: "stdout", line, at: "2026-11-20T12:00:00.123Z" }),
    );
    return this.#say({ frames });
  }

  exit(reason: "exited" | "canceled" = "exited"): this {
    if (this.#isOver) return this;
    this.#isOver = true;
    const frame: Frame = {
      type: "exit",
      lastSeq: this.#seq,
      exitCode: reason === "exited" ? 0 : null,
      signal: null,
      reason,
      error: null,
    };
    return this.#say({ frames: [frame] });
  }

  output(data: { readonly [key: string]: unknown }): this {
    return this.#say({ frames: [{ type: "output", seq: ++this.#seq, data }] });
  }

  artifact(name: string, sha256 = "a".repeat(64), sizeBytes = 1): this {
    const frame: Frame = { type: "artifact", seq: ++this.#seq, name, sha256, sizeBytes, mime: "" };
    return this.#say({ frames: [frame] });
  }

  fail(error: Error): this {
    return this.#say({ fail: error });
  }

  /** Ends the frames without an exit. */
  end(): this {
    return this.#say({ end: true });
  }

  async *batches(): AsyncGenerator<readonly Frame[]> {
    for (;;) {
      const wanted = this.#wanted.shift();
      if (!wanted) await this.#bell.promise;
      else if ("fail" in wanted) throw wanted.fail;
      else if ("end" in wanted) return;
      else yield wanted.frames;
    }
  }

  #say(wanted: Wanted): this {
    this.#wanted.push(wanted);
    const { resolve } = this.#bell;
    this.#bell = Promise.withResolvers<void>();
    resolve();
    return this;
  }
}
