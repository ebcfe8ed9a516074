import type { Style } from "./terminal.js";

/** How each status looks, of runs, steps, attempts, input files and runners alike. A RUNNING runner is CONNECTED here. */
const looks: Readonly<Record<string, { icon: string; style: Style }>> = {
  QUEUED: { icon: "◔", style: "dim" },
  PENDING_INPUTS: { icon: "⇣", style: "cyan" },
  FETCHING: { icon: "⇣", style: "cyan" },
  PENDING: { icon: "·", style: "dim" },
  DISPATCHING: { icon: "◌", style: "cyan" },
  PAUSED: { icon: "‖", style: "yellow" },
  RUNNING: { icon: "▶", style: "cyan" },
  SUCCEEDED: { icon: "✓", style: "green" },
  READY: { icon: "✓", style: "green" },
  FAILED: { icon: "✕", style: "red" },
  LOST: { icon: "?", style: "red" },
  CANCELED: { icon: "⊘", style: "yellow" },
  SKIPPED: { icon: "↷", style: "dim" },
  CONNECTED: { icon: "●", style: "green" },
  UNKNOWN: { icon: "?", style: "red" },
  STOPPING: { icon: "◐", style: "yellow" },
  STOPPED: { icon: "■", style: "dim" },
  PAUSING: { icon: "◐", style: "yellow" },
  WAITING: { icon: "↻", style: "yellow" },
};

/** The icon and the colour of a status. One that is not known here still shows. */
export function lookOf(status: string): { icon: string; style: Style } {
  return looks[status] ?? { icon: "•", style: "reset" };
}

const ENDED = new Set(["SUCCEEDED", "FAILED", "CANCELED", "SKIPPED", "LOST"]);

/** True for a status that never changes again. */
export function isEnded(status: string): boolean {
  return ENDED.has(status);
}
