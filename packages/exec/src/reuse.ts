import { availableParallelism } from "node:os";
import type { Task } from "@maia/runner-protocol";
import type { AttemptRun } from "./attempts.js";
import { endUnknown } from "./finish.js";
import type { LocalExecutorOptions } from "./options.js";
import { isUnlimited } from "./pool.js";
import { type ReuseAttempt, ReuseProcess } from "./reuse-process.js";
import type { Session } from "./session.js";
import type { Slot } from "./slot-folders.js";

const IDLE_MS = 10_000;
const ATTEMPTS = 10_000;
/**
 * Another process helps only when those there are have been at one attempt for a while: attempts shorter than that are
 * served faster by few. Beyond one per core it helps only steps that wait for something, so that it comes later.
 */
const GROW_AFTER_MS = 4;
const GROW_BEYOND_CORES_AFTER_MS = 50;

interface Group {
  readonly processes: ReuseProcess[];
  readonly waiting: ReuseAttempt[];
  growth: NodeJS.Timeout | null;
}

/** The processes that serve attempts one after another, by the key that says which attempts may share them. */
export class Reuse {
  private readonly groups = new Map<string, Group>();
  private readonly cores = availableParallelism();

  constructor(
    private readonly session: Session,
    private readonly options: LocalExecutorOptions,
  ) {}

  /** Gives an attempt to a process of its key, now or when one is free. */
  run(attempt: ReuseAttempt): AttemptRun {
    const key = `${attempt.task.runtime} ${attempt.task.reuseKey}`;
    const group = this.groups.get(key) ?? { processes: [], waiting: [], growth: null };
    this.groups.set(key, group);
    group.waiting.push(attempt);
    let control: AttemptRun | null = null;
    const controlled = (): AttemptRun | null => {
      if (control || group.waiting.includes(attempt)) return control;
      const process = group.processes.find((candidate) => candidate.isServing(attempt));
      control = process?.control(attempt) ?? null;
      return control;
    };
    this.serve(key, group);
    return {
      cancel: (mode) => {
        const at = group.waiting.indexOf(attempt);
        if (at >= 0) {
          group.waiting.splice(at, 1);
          endUnknown(attempt.stream, "canceled", "canceled before it began");
        } else controlled()?.cancel(mode);
      },
      credit: (bytes) => controlled()?.credit(bytes),
    };
  }

  /** The helper has died; who waits still has nobody to wait for. */
  lose(): void {
    for (const group of this.groups.values()) {
      for (const { stream } of group.waiting.splice(0)) endUnknown(stream, "lost", "the helper has died");
    }
  }

  private serve(key: string, group: Group): void {
    while (group.waiting.length > 0) {
      const process = group.processes.findLast(({ isFree }) => isFree) ?? this.another(key, group, 1);
      if (!process) break;
      process.take(group.waiting.shift()!);
    }
    if (group.waiting.length > 0) this.growLater(key, group);
  }

  private growLater(key: string, group: Group): void {
    if (group.growth) return;
    const afterMs = group.processes.length < this.cores ? GROW_AFTER_MS : GROW_BEYOND_CORES_AFTER_MS;
    group.growth = setTimeout(() => {
      group.growth = null;
      if (group.waiting.length === 0) return;
      const isStuck = group.processes.every(({ busyMs }) => busyMs >= afterMs);
      const process = isStuck ? this.another(key, group, this.options.reuseProcesses ?? 4 * this.cores) : null;
      if (process) process.take(group.waiting.shift()!);
      this.serve(key, group);
    }, afterMs);
    group.growth.unref();
  }

  private another(key: string, group: Group, most: number): ReuseProcess | null {
    if (group.processes.length >= Math.min(most, this.options.reuseProcesses ?? most)) return null;
    const slot = this.slotOrEnd(group);
    if (!slot) return null;
    const limits = {
      idleMs: this.options.reuseIdleMs ?? IDLE_MS,
      attempts: this.options.reuseAttempts ?? ATTEMPTS,
    };
    const process = new ReuseProcess(this.session, slot, this.options.keep, limits, {
      onFree: () => this.serve(key, group),
      onGone: (gone) => {
        group.processes.splice(group.processes.indexOf(gone), 1);
        if (group.waiting.length > 0) this.serve(key, group);
        else if (group.processes.length === 0) this.groups.delete(key);
      },
    });
    group.processes.push(process);
    return process;
  }

  /** A place for another process; where there is none, nobody waits for it in vain. */
  private slotOrEnd({ waiting }: Group): Slot | null {
    try {
      return this.slotFor(waiting[0]!.task);
    } catch (error) {
      for (const { stream } of waiting.splice(0)) endUnknown(stream, "spawn_failed", (error as Error).message);
      return null;
    }
  }

  private slotFor({ runtime, limits }: Task): ReturnType<Session["pool"]["take"]> {
    const { pool } = this.session;
    if (isUnlimited(limits)) return pool.take(runtime);
    return pool.startOwn(runtime, limits);
  }
}
