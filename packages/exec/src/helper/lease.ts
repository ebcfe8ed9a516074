/** Counts the silence of the executor. A silence during which this process was stopped itself does not count. */
export class Lease {
  private silentMs = 0;
  private isLost = false;

  constructor(
    private readonly ttlMs: number,
    private readonly onLost: () => void,
  ) {
    const everyMs = Math.max(10, Math.min(1_000, Math.floor(ttlMs / 5)));
    setInterval(() => this.wait(everyMs), everyMs).unref();
  }

  renew(): void {
    this.silentMs = 0;
    this.isLost = false;
  }

  private wait(ms: number): void {
    this.silentMs += ms;
    if (this.silentMs < this.ttlMs || this.isLost) return;
    this.isLost = true;
    this.onLost();
  }
}
