import type { Load } from "@maia/runner-protocol";

/** Above these shares an instance takes no new task. In percent; 100 for none. */
export interface MarksConfig {
  readonly cpu: number;
  readonly memory: number;
}

export class Marks {
  constructor(
    private readonly config: MarksConfig,
    private readonly disk: { readonly isThere: boolean } = { isThere: true },
  ) {}

  /** What is above its mark, or on the disk below it; null: nothing is. */
  exceededBy({ cpu = 0, memoryBytes = 0, memoryTotalBytes = 0 }: Load): "cpu" | "memory" | "disk" | null {
    if (!this.disk.isThere) return "disk";
    if (cpu * 100 > this.config.cpu) return "cpu";
    return memoryBytes * 100 > memoryTotalBytes * this.config.memory ? "memory" : null;
  }

  /** The load without what has no mark: whoever reads it would judge it by a mark of his own. */
  told({ cpu, memoryBytes, memoryTotalBytes }: Load): Load {
    return {
      ...(cpu !== undefined && this.config.cpu < 100 ? { cpu } : {}),
      ...(memoryBytes !== undefined && memoryTotalBytes !== undefined && this.config.memory < 100
        ? { memoryBytes, memoryTotalBytes }
        : {}),
    };
  }
}
