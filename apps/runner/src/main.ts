import { readLogging, runService } from "@maia/service";
import { readConfig } from "./config.js";
import { KILL_WAIT_MS, start } from "./start.js";
import { obeySupervisor } from "./supervisor.js";

const logger = readLogging(process.env, "runner", process.stderr.isTTY === true);
/** Between the end of a drain and the end of the process, in milliseconds: answers, executor, files. */
const CLOSE_WAIT_MS = 20_000;
const LONGEST_TIMER_MS = 2_147_483_647;

const stopLimitMs = obeySupervisor();

let stopWithinMs = 0;
try {
  stopWithinMs = Math.min(readConfig(process.env).drainLimitMs + KILL_WAIT_MS + CLOSE_WAIT_MS, LONGEST_TIMER_MS);
} catch {
  // start reports it
}
await runService("maia runner", logger, async () => start(readConfig(process.env), { logger, stopLimitMs }), {
  stopWithinMs,
});
