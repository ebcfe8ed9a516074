import { readdirSync, readFileSync } from "node:fs";

/** The parts of /proc/PID/stat that tell one process from another. */
export interface ProcessFacts {
  readonly state: string;
  readonly parent: number;
  readonly group: number;
  /** In clock ticks since boot: a pid that was given out again differs in it. */
  readonly startedAt: string;
}

/** Reads what the kernel says of a process; null when it is gone. */
export function processFacts(pid: number): ProcessFacts | null {
  const stat = readOrNull(`/proc/${pid}/stat`);
  if (!stat) return null;
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return { state: fields[0]!, parent: Number(fields[1]), group: Number(fields[2]), startedAt: fields[19]! };
}

/** True while the process exists and still runs code: a zombie has ended. */
export function isRunning(pid: number, startedAt?: string): boolean {
  const facts = processFacts(pid);
  if (!facts || facts.state === "Z" || facts.state === "X") return false;
  return startedAt === undefined || facts.startedAt === startedAt;
}

/** Every process below `pid`, without itself, parents first. */
export function descendants(pid: number): number[] {
  const found = childrenOf(pid);
  for (let at = 0; at < found.length; at++) found.push(...childrenOf(found[at]!));
  return found;
}

/** The direct children of a process. */
export function childrenOf(pid: number): number[] {
  const threads = listOrEmpty(`/proc/${pid}/task`);
  const lists = threads.map((thread) => readOrNull(`/proc/${pid}/task/${thread}/children`));
  if (threads.length > 0 && lists.every((list) => list === null)) return childrenByScan(pid);
  return lists.flatMap((list) => (list ?? "").split(" ").filter(Boolean).map(Number));
}

/** For kernels that are built without the list of children. */
function childrenByScan(pid: number): number[] {
  return allProcesses().filter((other) => processFacts(other)?.parent === pid);
}

/** Every process that this one can see. */
export function allProcesses(): number[] {
  return listOrEmpty("/proc").map(Number).filter(Number.isInteger);
}

/** Processes whose command line or first environment holds one of the marks, except those named. */
export function findMarked(marks: readonly string[], except: ReadonlySet<number> = new Set()): number[] {
  if (marks.length === 0) return [];
  const wanted = marks.map((mark) => Buffer.from(mark));
  return allProcesses().filter((pid) => {
    if (pid === process.pid || except.has(pid)) return false;
    return [`/proc/${pid}/cmdline`, `/proc/${pid}/environ`].some((file) => {
      const bytes = readBytesOrNull(file);
      return bytes !== null && wanted.some((mark) => bytes.includes(mark));
    });
  });
}

/** Sends a signal; false when there is nobody to get it. */
export function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, name);
  } catch {
    return false;
  }
}

function readOrNull(file: string): string | null {
  return readBytesOrNull(file)?.toString("latin1") ?? null;
}

function readBytesOrNull(file: string): Buffer | null {
  try {
    return readFileSync(file);
  } catch {
    return null;
  }
}

function listOrEmpty(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
