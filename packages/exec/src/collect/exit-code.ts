import { constants } from "node:os";
import type { EndMessage } from "../messages.js";
import type { SlotView } from "../slot-view.js";
import { openGuarded } from "./guard.js";

const WORDS_MAX_BYTES = 4 * 1024;

/**
 * The end of a process, with the exit code that it chose where that was taken for a signal's: a namespace tells of both by
 * the same number. Without word from its first process a signal stays one. A step can leave false word, and so could have
 * ended with that very code.
 */
export function withOwnExitCode(end: EndMessage, host: SlotView): EndMessage {
  if (end.signal === null || end.reason !== "exited") return end;
  const exitCode = 128 + (constants.signals[end.signal as NodeJS.Signals] ?? 0);
  return wordsLeft(host).includes(`Done(${exitCode})`) ? { ...end, exitCode, signal: null } : end;
}

function wordsLeft(host: SlotView): string {
  try {
    using file = openGuarded(host.ended, host.work, WORDS_MAX_BYTES);
    return file.text();
  } catch {
    return ""; // none, or none that can be read
  }
}
