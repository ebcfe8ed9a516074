import { readFileSync } from "node:fs";

/** What runtimes say when they abort for their memory limit. */
const LAST_WORDS = [
  /JavaScript heap out of memory/,
  /^terminate called after throwing an instance of 'std::bad_alloc'/,
];
const ABORTS: readonly (string | null)[] = ["SIGABRT", "SIGTRAP", "SIGILL"];

/**
 * True when a runtime aborted its process and said that this was for memory. The words alone decide nothing: everybody can
 * print them.
 */
export function abortedForMemory(lastLines: readonly string[], signal: string | null): boolean {
  return ABORTS.includes(signal) && lastLines.some((line) => LAST_WORDS.some((words) => words.test(line)));
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
