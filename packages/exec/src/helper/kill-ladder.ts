import { LONGEST_TIMER_MS } from "./deadline.js";
import type { Tree } from "./tree.js";

const MOST_BETWEEN_MS = 50;
const GIVE_UP_MS = 5_000;

/** Ends a tree: asks, waits for the grace, kills, and looks until nothing of it is left. */
export class KillLadder {
  private timer: NodeJS.Timeout | null = null;
  private killedAt: number | null = null;
  private isOver = false;

  /** `onOver` is told whether the tree is gone; if not, it has outlived even repeated kills. */
  constructor(
    private readonly tree: Tree,
    private readonly onOver: (gone: boolean) => void,
  ) {}

  /** Asks the tree to end and kills it after the grace. */
  stop(graceMs: number): void {
    if (this.killedAt !== null || this.timer) return;
    this.tree.ask();
    this.timer = setTimeout(() => this.kill(), Math.min(graceMs, LONGEST_TIMER_MS));
  }

  /** Kills the tree now, and again until it is gone. */
  kill(): void {
    if (this.isOver || this.killedAt !== null) return;
    this.killedAt = performance.now();
    this.strike(1);
  }

  private strike(nextMs: number): void {
    if (this.timer) clearTimeout(this.timer);
    this.tree.kill();
    if (this.tree.isGone()) this.over(true);
    else if (performance.now() - this.killedAt! > GIVE_UP_MS) this.over(false);
    else this.timer = setTimeout(() => this.strike(Math.min(nextMs * 2, MOST_BETWEEN_MS)), nextMs);
  }

  private over(gone: boolean): void {
    this.isOver = true;
    this.onOver(gone);
  }
}
