import type { Runtime, SpawnMessage, ToHelper } from "./messages.js";
import type { Slot, SlotFolders } from "./slot-folders.js";

const RUNTIMES: readonly Runtime[] = ["node", "python", "shell"];
/** A start takes the processor from what runs, so that starts wait for a quiet moment unless the pool runs low. */
const QUIET_MS = 40;
const MOST_STARTING = 2;
/** A runtime that nobody used for so long keeps no processes. */
const COLD_AFTER_MS = 300_000;
const AFTER_FAILURE_MS = 5_000;

interface Waiting {
  slot: Slot;
  isReady: boolean;
}

interface Shelf {
  waiting: Waiting[];
  usedAt: number | null;
}

type ProcessLimits = Pick<SpawnMessage, "memoryBytes" | "processes" | "cpuMs">;

/** True when a process that was started ahead will do. */
export function isUnlimited({ memoryBytes, processes, cpuMs = null }: ProcessLimits): boolean {
  return memoryBytes === null && processes === null && cpuMs === null;
}

/** Processes that were started ahead, one attempt each. */
export class Pool {
  private readonly shelves: Record<Runtime, Shelf> = {
    node: { waiting: [], usedAt: null },
    python: { waiting: [], usedAt: null },
    shell: { waiting: [], usedAt: null },
  };
  private timer: NodeJS.Timeout | null = null;
  private lastTakenAt = 0;
  private holdUntil = 0;
  private isClosed = false;

  constructor(
    private readonly size: number,
    private readonly folders: SlotFolders,
    private readonly send: (message: ToHelper) => void,
  ) {}

  /** Keeps processes ready although none was used yet. */
  warm(runtime: Runtime): void {
    this.shelves[runtime].usedAt = performance.now();
    this.plan(0);
  }

  /** A process that waits already, or else one that is being started now. */
  take(runtime: Runtime): Slot {
    const shelf = this.shelves[runtime];
    shelf.usedAt = this.lastTakenAt = performance.now();
    const ready = shelf.waiting.findIndex(({ isReady }) => isReady);
    const [taken] = shelf.waiting.splice(Math.max(ready, 0), 1);
    this.plan(this.isLow(shelf) ? 0 : QUIET_MS);
    return taken?.slot ?? this.start(runtime);
  }

  /** Starts a process that is not for the pool. */
  startOwn(
    runtime: Runtime,
    { memoryBytes, processes, cpuMs = null }: ProcessLimits,
    alsoReads: readonly string[] = [],
  ): Slot {
    const slot = this.folders.create();
    const more = alsoReads.length > 0 ? { alsoReads } : {};
    this.send({ t: "spawn", slot: slot.id, runtime, memoryBytes, processes, cpuMs, ...more });
    return slot;
  }

  born(slotId: string, pid: number): void {
    for (const runtime of RUNTIMES) {
      const found = this.shelves[runtime].waiting.find(({ slot }) => slot.id === slotId);
      if (!found) continue;
      found.slot = { ...found.slot, pid };
      found.isReady = true;
    }
    this.plan(0);
  }

  /** A waiting process has ended; true when it was one of the pool. */
  gone(slotId: string): boolean {
    for (const runtime of RUNTIMES) {
      const shelf = this.shelves[runtime];
      const before = shelf.waiting.length;
      shelf.waiting = shelf.waiting.filter(({ slot }) => slot.id !== slotId);
      if (shelf.waiting.length === before) continue;
      this.send({ t: "remove", slot: slotId });
      this.holdUntil = performance.now() + AFTER_FAILURE_MS;
      this.plan(AFTER_FAILURE_MS);
      return true;
    }
    return false;
  }

  close(): void {
    this.isClosed = true;
    if (this.timer) clearTimeout(this.timer);
  }

  private start(runtime: Runtime): Slot {
    return this.startOwn(runtime, { memoryBytes: null, processes: null });
  }

  private isLow(shelf: Shelf): boolean {
    return shelf.waiting.length < Math.ceil(this.size / 4);
  }

  private plan(afterMs: number): void {
    if (this.isClosed || this.size === 0) return;
    if (this.timer) clearTimeout(this.timer);
    this.timer = setTimeout(() => this.refill(), afterMs);
    this.timer.unref();
  }

  private refill(): void {
    this.timer = null;
    const now = performance.now();
    if (now < this.holdUntil) {
      this.plan(this.holdUntil - now);
      return;
    }
    try {
      this.refillShelves(now);
    } catch {
      // Nothing can be started now; whoever needs a process is told why.
      this.holdUntil = now + AFTER_FAILURE_MS;
      this.plan(AFTER_FAILURE_MS);
    }
  }

  private refillShelves(now: number): void {
    const isQuiet = now - this.lastTakenAt >= QUIET_MS;
    let isWaiting = false;
    for (const runtime of RUNTIMES) {
      const shelf = this.shelves[runtime];
      if (shelf.usedAt === null) continue;
      if (now - shelf.usedAt > COLD_AFTER_MS) this.clear(shelf);
      else if (isQuiet || this.isLow(shelf)) this.startMissing(runtime, shelf);
      else isWaiting ||= shelf.waiting.length < this.size;
    }
    if (isWaiting) this.plan(QUIET_MS);
    else if (RUNTIMES.some((runtime) => this.shelves[runtime].usedAt !== null)) this.plan(COLD_AFTER_MS);
  }

  private startMissing(runtime: Runtime, shelf: Shelf): void {
    let starting = shelf.waiting.filter(({ isReady }) => !isReady).length;
    while (shelf.waiting.length < this.size && starting < MOST_STARTING) {
      shelf.waiting.push({ slot: this.start(runtime), isReady: false });
      starting++;
    }
  }

  private clear(shelf: Shelf): void {
    for (const { slot } of shelf.waiting) this.send({ t: "remove", slot: slot.id });
    shelf.waiting = [];
    shelf.usedAt = null;
  }
}
