import type { InstanceRef } from "@maia/db";

/**
 * Why a poll waits no longer:
 * - `time`: nothing came up
 * - `gone`: nobody is there to hear the answer
 * - `replaced`: the instance has sent another one
 * - `stopping`: this server stops
 * - `superseded`: a newer process has said hello
 * - `refused`: its credentials count no more
 * - `left`: its instance has said goodbye, or is gone
 */
export type SeatEnd = "time" | "gone" | "replaced" | "stopping" | "superseded" | "refused" | "left";

/** A poll that waits for something to do. */
export class Seat {
  /** Why it waits no longer; null: it does. */
  end: SeatEnd | null = null;
  /** The version of the runner's secret that it came with, once that is known. */
  secretVersion: number | null = null;
  /** True where it has room for a task. */
  hasRoom = false;
  #rung = false;
  #wake: () => void = () => {};

  constructor(readonly instance: Pick<InstanceRef, "id" | "generation">) {}

  /** Says that there may be something for it. */
  ring(): void {
    this.#rung = true;
    this.#wake();
  }

  /** Ends the wait; the first reason counts. */
  finish(end: SeatEnd): void {
    this.end ??= end;
    this.#wake();
  }

  /** Waits for the next ring, or the end. A ring since the last call counts. */
  async next(): Promise<void> {
    if (!this.#rung && this.end === null) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
    }
    this.#rung = false;
  }
}
