import { CPU_MARK, MEMORY_MARK } from "./runner.js";

/** How busy the host of an instance is, as its polls say. */
export interface InstanceLoad {
  /** Share of all processors, 0 to 1. */
  readonly cpu?: number;
  readonly memoryBytes?: number;
  readonly memoryTotalBytes?: number;
}

/** True for a host that has no room for another task, whatever its slots say. What it does not tell does not count. */
export function isOverloaded({ cpu = 0, memoryBytes = 0, memoryTotalBytes = 0 }: InstanceLoad): boolean {
  return cpu > CPU_MARK || (memoryTotalBytes > 0 && memoryBytes / memoryTotalBytes > MEMORY_MARK);
}
