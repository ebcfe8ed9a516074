import { readFileSync } from "node:fs";

/** What runtimes say when they die of their memory limit. */
const LAST_WORDS = [/JavaScript heap out of memory/, /^MemoryError\b/, /^std::bad_alloc/];

/** True when a process that ended this way told of its memory on its last lines. */
export function saysOutOfMemory(lastLines: readonly string[], exitCode: number | null): boolean {
  return exitCode !== 0 && lastLines.some((line) => LAST_WORDS.some((words) => words.test(line)));
}

/** How often the kernel has ended a process for memory since boot; null where it does not tell. */
export function kernelOutOfMemoryKills(): number | null {
  try {
    const found = /^oom_kill (\d+)$/m.exec(readFileSync("/proc/vmstat", "latin1"));
    return found ? Number(found[1]) : null;
  } catch {
    return null;
  }
}
