import { duration, plain } from "../output/format.js";
import { isEnded } from "../output/status.js";
import type { Style, Terminal } from "../output/terminal.js";
import type { RunEvent, RunView, StepView } from "./run-view.js";
import { Screen } from "./screen.js";
import { renderTree } from "./tree.js";

/** Shows a run while it happens. */
export interface Show {
  /** Takes what happened, and the run as it is now. */
  update(view: RunView, events: readonly RunEvent[]): void;
  /** Says something about the following itself. */
  note(text: string): void;
  close(): void;
}

const FRAME_MS = 80;
const HEARTBEAT_MS = 30_000;
const STEP_STYLES: readonly Style[] = ["cyan", "magenta", "blue", "yellow", "green"];

/** For a terminal: log lines scroll, and the tree stays beneath them. */
export class LiveShow implements Show {
  readonly #terminal: Terminal;
  readonly #screen: Screen;
  readonly #timer: NodeJS.Timeout;
  readonly #stopListening: () => void;
  #view: RunView | null = null;
  #lines: string[] = [];
  /** How far the server's clock is behind ours, in milliseconds: the least delay that an event arrived with. */
  #behindMs = Number.POSITIVE_INFINITY;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
    this.#screen = new Screen(terminal);
    this.#timer = setInterval(() => this.#draw(), FRAME_MS);
    this.#stopListening = terminal.onResize(() => this.#draw());
  }

  update(view: RunView, events: readonly RunEvent[]): void {
    for (const { kind, data } of events) {
      const at = kind === "log_line" ? (data.lines.at(-1)?.at ?? "") : data.at;
      const delay = Date.now() - Date.parse(at);
      if (delay < this.#behindMs) this.#behindMs = delay;
      if (kind === "log_line") this.#lines.push(...logLines(this.#terminal, view, data.stepKey, data.lines));
    }
    this.#view = view;
  }

  note(text: string): void {
    this.#lines.push(this.#terminal.paint("dim", text));
  }

  close(): void {
    clearInterval(this.#timer);
    this.#stopListening();
    this.#draw();
    this.#screen.close();
  }

  #draw(): void {
    if (!this.#view) return;
    const behind = Number.isFinite(this.#behindMs) ? this.#behindMs : 0;
    const frame = renderTree(this.#view, this.#terminal, new Date(Date.now() - behind));
    this.#screen.draw(this.#lines.splice(0), frame);
  }
}

function logLines(
  terminal: Terminal,
  view: RunView,
  stepKey: string,
  lines: readonly { line: string; stream: string }[],
): string[] {
  const style = STEP_STYLES[[...view.steps.keys()].indexOf(stepKey) % STEP_STYLES.length] ?? "cyan";
  const prefix = terminal.paint(style, `[${stepKey}]`);
  return lines.map(
    ({ line, stream }) => `${prefix} ${stream === "system" ? terminal.paint("dim", plain(line)) : plain(line)}`,
  );
}

/** For a pipe or a file: one line for each change, and each log line as it is. */
export class LineShow implements Show {
  readonly #write: (line: string) => void;
  readonly #heartbeat: NodeJS.Timeout;
  #view: RunView | null = null;

  constructor(write: (line: string) => void) {
    this.#write = write;
    this.#heartbeat = setInterval(() => this.#stillRunning(), HEARTBEAT_MS);
  }

  update(view: RunView, events: readonly RunEvent[]): void {
    this.#view = view;
    for (const event of events) for (const line of describe(view, event)) this.#write(line);
    this.#heartbeat.refresh();
  }

  note(text: string): void {
    this.#write(text);
  }

  close(): void {
    clearInterval(this.#heartbeat);
  }

  /** A silent run must not look like a hung one. */
  #stillRunning(): void {
    const running = [...(this.#view?.steps.values() ?? [])].filter(({ status }) => status === "RUNNING");
    this.#write(`still running: ${running.map(({ key }) => key).join(", ") || "waiting"}`);
  }
}

/** What an event is in words. Attempts speak only when the step goes on after them. */
function describe(view: RunView, { kind, data }: RunEvent): string[] {
  switch (kind) {
    case "run_status":
      return [`run ${view.id} ${data.status}${data.failure ? ` (${data.failure.code}: ${data.failure.message})` : ""}`];
    case "step_status": {
      const step = view.steps.get(data.stepKey);
      const wait = data.nextAttemptAt ? `, next attempt at ${data.nextAttemptAt}` : "";
      if (data.reusedFrom) return [`step ${data.stepKey} ${data.status} (reused from ${data.reusedFrom.runId})`];
      return [`step ${data.stepKey} ${data.status}${isEnded(data.status) ? took(step) : ""}${wait}`];
    }
    case "attempt_status": {
      if (!data.failure) return [];
      return [
        `step ${data.stepKey} attempt ${data.attemptNo} ${data.status} (${data.failure.code}: ${data.failure.message})`,
      ];
    }
    case "input_file_status":
      return data.status === "FETCHING"
        ? []
        : [`input ${data.name} ${data.status}${data.error ? ` (${data.error})` : ""}`];
    case "log_line":
      return data.lines.map(({ line }) => `[${data.stepKey}] ${line}`);
    default:
      return [];
  }
}

function took(step: StepView | undefined): string {
  if (!step?.startedAt || !step.finishedAt) return "";
  return ` in ${duration(Date.parse(step.finishedAt) - Date.parse(step.startedAt))}`;
}

/** For `--wait`: says nothing. */
export const silentShow: Show = { update: () => {}, note: () => {}, close: () => {} };
