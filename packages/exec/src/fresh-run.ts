import type { CancelMode, Task } from "@maia/runner-protocol";
import type { AttemptStream } from "./attempt-stream.js";
import { withOwnExitCode } from "./collect/exit-code.js";
import type { SetInUse } from "./deps/store.js";
import { stepEnvironment, withPrograms } from "./environment.js";
import { type Found, fillFiles, fillScript, inputForStep, readText, writeNow } from "./fill.js";
import { endAttempt, endUnknown, keepArtifacts, readResult } from "./finish.js";
import { handover } from "./handover.js";
import type { EndMessage, GoMessage } from "./messages.js";
import type { KeepBytes } from "./options.js";
import { linkPackages } from "./packages.js";
import { isUnlimited } from "./pool.js";
import type { Session, SlotMessage, SlotUser } from "./session.js";
import type { Slot } from "./slot-folders.js";

/** Room for what an answer says besides the output. */
const ANSWER_EXTRA_BYTES = 64 * 1024;

/** An attempt of a step, and all that it needs. */
export interface Work {
  readonly task: Task;
  readonly found: Found;
  readonly stream: AttemptStream;
  /** The packages that the step may import. */
  readonly set: SetInUse | null;
}

/** One attempt in a process of its own. */
export class FreshRun implements SlotUser {
  private slot: Slot;
  private isHandedOver = false;
  private isSecond = false;
  private canceled: CancelMode | null = null;
  private readonly collecting = new AbortController();

  constructor(
    private readonly session: Session,
    private readonly work: Work,
    private readonly keep: KeepBytes,
  ) {
    const { runtime, limits } = work.task;
    this.slot = isUnlimited(limits) ? session.pool.take(runtime) : session.pool.startOwn(runtime, limits);
    session.use(this.slot, this);
    this.fill();
  }

  cancel(mode: CancelMode): void {
    this.canceled = mode;
    this.collecting.abort();
    if (this.isHandedOver) this.session.send({ t: "kill", slot: this.slot.id, mode });
  }

  credit(bytes: number): void {
    this.session.send({ t: "credit", slot: this.slot.id, bytes });
  }

  hear(message: SlotMessage): void {
    switch (message.t) {
      case "started":
        this.work.stream.started(message.pid, this.session.ready.report.level, false);
        break;
      case "log":
        this.work.stream.log(message.stream, new Date(message.at), message.lines, message.bytes);
        break;
      case "end":
        if (message.reason === "spawn_failed" && !this.isSecond) this.again();
        else void this.finish(message);
        break;
      case "gone":
        if (!this.isHandedOver) this.fail(message.message ?? "the process has ended");
        break;
      case "born":
        break;
    }
  }

  lose(): void {
    endUnknown(this.work.stream, "lost", "the process that supervises steps has died");
  }

  /** Lays everything into the slot and hands over; waits only for large files. */
  private fill(): void {
    try {
      const { slot, session } = this;
      const { task, found, set } = this.work;
      const { script, pending } = fillScript(task, found, slot.host.run, slot.seen.run, "script", session.rules);
      const waiting = fillFiles(task, found, slot.host.run, session.rules);
      const input = inputForStep(readText(found.get(task.input.sha256)!), slot.seen.run);
      writeNow(slot.host.input, input, 0o444);
      const packages = linkPackages(session, slot, set);
      const body = handover(
        task,
        script,
        slot.seen,
        stepEnvironment(task, slot.seen, withPrograms(session.environment, packages)),
        packages,
      );
      if (pending) waiting.push(pending);
      if (waiting.length === 0) this.handOver(body);
      else
        Promise.all(waiting).then(
          () => this.handOver(body),
          (error: Error) => this.fail(error.message),
        );
    } catch (error) {
      this.fail((error as Error).message);
    }
  }

  private handOver(body: string): void {
    if (this.canceled) {
      this.session.release(this.slot);
      endUnknown(this.work.stream, "canceled", "canceled before it began");
      return;
    }
    this.isHandedOver = true;
    this.session.send(goMessage(this.work.task, this.slot, body, false));
  }

  /** The process died before it got the attempt: something else than the step ended it. */
  private again(): void {
    this.isSecond = true;
    this.session.release(this.slot);
    this.isHandedOver = false;
    this.slot = this.session.pool.startOwn(this.work.task.runtime, this.work.task.limits);
    this.session.use(this.slot, this);
    this.fill();
  }

  private fail(message: string): void {
    this.session.release(this.slot);
    endUnknown(this.work.stream, "spawn_failed", message);
  }

  private async finish(told: EndMessage): Promise<void> {
    const end = withOwnExitCode(told, this.slot.host);
    try {
      const result = readResult(this.work.task, this.slot, end);
      const mayHaveLeft = end.reason !== "spawn_failed" && end.reason !== "lost";
      // What a canceled step has left while it was ending is kept; a cancel that comes now ends the keeping.
      const { signal } = end.reason === "exited" ? this.collecting : new AbortController();
      if (mayHaveLeft) await keepArtifacts(this.work.task, this.slot, this.work.stream, this.keep, signal);
      endAttempt(this.work.stream, end, result.output, result.told);
    } catch (error) {
      if (this.collecting.signal.aborted)
        return endUnknown(this.work.stream, "canceled", "canceled while its files were kept");
      endUnknown(this.work.stream, "lost", `what the step left could not be kept: ${(error as Error).message}`);
    } finally {
      this.session.release(this.slot);
    }
  }
}

/** The message that makes the helper hand over an attempt. */
export function goMessage(task: Task, slot: Slot, body: string, reuse: boolean): GoMessage {
  const { attemptId, timeoutMs, graceMs } = task;
  const { logLineMax, logAttemptMax, outputMax } = task.limits;
  const answerMax = outputMax + ANSWER_EXTRA_BYTES;
  const secrets = Object.values(task.secrets);
  const to = { t: "go", slot: slot.id, body, reuse, attemptId } as const;
  const limits = { timeoutMs, graceMs, logLineMax, logAttemptMax, answerMax };
  return { ...to, ...limits, ...(secrets.length > 0 ? { secrets } : {}) };
}
