import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { abandonedUpload, giveBack } from "./upload-files.js";

/** The age after which nobody is still writing a file that another PID namespace began. In milliseconds. */
const ABANDONED_AFTER_MS = 3_600_000;

const NAME = /^blob-(\d+)-(\d+)-(\d+)-[0-9a-f]+(?:\.part-[\w-]+)?$/;

/** A name for a file being written; it says whose it is: PID namespace, PID, and when that process began. */
export function tempName(): string {
  return `blob-${pidNamespace()}-${process.pid}-${processStart(process.pid)}-${randomBytes(8).toString("hex")}`;
}

/**
 * Removes files that their writers left behind, and gives those of uploads back to be taken up. Those of processes that
 * still run stay.
 */
export async function removeLeftovers(tmp: string, now: number): Promise<void> {
  for (const name of readdirSync(tmp)) {
    const owner = NAME.exec(name);
    const path = join(tmp, name);
    if (!owner || !isAbandoned(path, owner.slice(1).map(Number), now)) continue;
    const upload = abandonedUpload(name);
    if (upload) await giveBack(tmp, path, upload);
    else await rm(path, { force: true });
  }
}

/** A PID means something in its own namespace only, so files of another container are judged by their age. */
function isAbandoned(path: string, [namespace, pid, start]: number[], now: number): boolean {
  if (namespace === pidNamespace()) return !isRunning(pid!, start!);
  const written = statSync(path, { throwIfNoEntry: false })?.mtimeMs;
  return written !== undefined && now - written > ABANDONED_AFTER_MS;
}

/** The start time tells a process from a later one with the same PID. */
function isRunning(pid: number, start: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
  }
  return processStart(pid) === start;
}

/** When a process began, in clock ticks since boot; 0 on systems without /proc. */
function processStart(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fromThird = stat.slice(stat.lastIndexOf(")") + 2).split(" "); // the name may hold spaces
    return Number(fromThird[19]); // field 22, starttime: proc(5)
  } catch {
    return 0;
  }
}

function pidNamespace(): number {
  try {
    return Number(/\d+/.exec(readlinkSync("/proc/self/ns/pid"))?.[0] ?? 0);
  } catch {
    return 0;
  }
}
