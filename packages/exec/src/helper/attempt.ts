import type { EndMessage, FromHelper, GoMessage, LogMessage } from "../messages.js";
import { Redactor } from "../redact/redactor.js";
import { AttemptLog } from "./attempt-log.js";
import { deadline } from "./deadline.js";

/** Log bytes that may be on their way to the executor before the step has to wait. */
const WINDOW_BYTES = 1024 * 1024;

export type AttemptEnd = Pick<EndMessage, "exitCode" | "signal" | "reason" | "message" | "answer" | "alive">;

interface AttemptEvents {
  readonly onTimeout: () => void;
  /** The executor cannot keep up with the log, or can again. */
  readonly onPressure: (isHigh: boolean) => void;
}

/** What the helper knows of an attempt: its log, its deadline, and how much of the log is on its way. */
export class HelperAttempt {
  readonly log: AttemptLog;
  private readonly cancelDeadline: () => void;
  private unacknowledged = 0;
  private isHeld = false;

  constructor(
    readonly message: GoMessage,
    private readonly send: (message: FromHelper) => void,
    private readonly events: AttemptEvents,
  ) {
    const pass = (batch: Omit<LogMessage, "t" | "slot">) => {
      this.send({ t: "log", slot: message.slot, ...batch });
      this.unacknowledged += batch.bytes;
      this.weigh();
    };
    this.log = new AttemptLog(message, pass, Redactor.of(message.secrets ?? []));
    this.cancelDeadline = deadline(message.timeoutMs, events.onTimeout);
  }

  begin(pid: number): void {
    this.send({ t: "started", slot: this.message.slot, pid });
  }

  credit(bytes: number): void {
    this.unacknowledged -= bytes;
    this.weigh();
  }

  finish(end: AttemptEnd): void {
    this.cancelDeadline();
    this.log.end();
    const { droppedLines, droppedBytes } = this.log;
    this.send({ t: "end", slot: this.message.slot, droppedLines, droppedBytes, ...end });
  }

  private weigh(): void {
    const isHeld = this.unacknowledged > (this.isHeld ? WINDOW_BYTES / 2 : WINDOW_BYTES);
    if (isHeld === this.isHeld) return;
    this.isHeld = isHeld;
    this.events.onPressure(isHeld);
  }
}
