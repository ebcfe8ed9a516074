/** What a supervisor may say over the channel. */
interface Word {
  /** Finish what there is, within so many milliseconds; null: as long as the configuration says. */
  readonly stopWithinMs: number | null;
}

/**
 * Obeys whoever forked us over a channel: ends when told to, and at once when they are gone, however they went, since then
 * nobody wants us here. Without a channel nothing happens. @returns the limit of the drain that they have named, if any
 */
export function obeySupervisor(): () => number | null {
  let limitMs: number | null = null;
  if (!process.connected) return () => null;
  process.on("disconnect", () => process.kill(process.pid, "SIGKILL"));
  process.on("message", (word: Word) => {
    limitMs = word.stopWithinMs;
    process.kill(process.pid, "SIGTERM"); // from here on it is like any other stop
  });
  process.channel?.unref();
  return () => limitMs;
}
