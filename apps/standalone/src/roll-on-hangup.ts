import type { RunningMaia } from "./start.js";

/** Rolls the hosted runners on SIGHUP, as services reload. On a terminal the signal says that the terminal is gone. */
export function rollOnHangup(maia: RunningMaia): void {
  if (process.stdin.isTTY || process.stderr.isTTY) return;
  process.on("SIGHUP", () => void maia.roll());
}
