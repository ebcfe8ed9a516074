import { CPU_MARK, MEMORY_MARK } from "./runner.js";

/** How busy the host of an instance is, as its polls say. */
export interface InstanceLoad {
  /** Share of all processors, 0 to 1. */
  readonly cpu?: number;
  readonly memoryBytes?: number;
  readonly memoryTotalBytes?: number;
}

/** What of its host an instance says is in use, from 0 to 1; null: it does not say. */
export interface HostShares {
  readonly cpu: number | null;
  readonly memory: number | null;
}

export function sharesOf({ cpu, memoryBytes, memoryTotalBytes }: InstanceLoad): HostShares {
  const isShare = memoryBytes !== undefined && memoryTotalBytes !== undefined && memoryTotalBytes > 0;
  return { cpu: cpu ?? null, memory: isShare ? memoryBytes / memoryTotalBytes : null };
}

/** What an instance says of its slots and its host. */
export interface Business extends HostShares {
  readonly slots: number;
  /** Room for tasks, and attempts in hand. */
  readonly free: number;
  readonly running: number;
}

/** Above its marks by its own figures, or by its word: it says that it has no room although it has slots left. */
export function isOverloaded(instance: Business): boolean {
  const { free, running, slots } = instance;
  return isAboveMarks(instance) || (free === 0 && running < slots);
}

/** True for a host that is to get no further task, whatever its slots say. What it does not tell does not count. */
export function isAboveMarks({ cpu, memory }: HostShares): boolean {
  return (cpu ?? 0) > CPU_MARK || (memory ?? 0) > MEMORY_MARK;
}
