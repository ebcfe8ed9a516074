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

/** True for a host that is to get no further task, whatever its slots say. What it does not tell does not count. */
export function isAboveMarks({ cpu, memory }: HostShares): boolean {
  return (cpu ?? 0) > CPU_MARK || (memory ?? 0) > MEMORY_MARK;
}
