/** The longest time that Node's timers take; a longer one fires at once. */
export const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Calls back once after `afterMs` on the monotonic clock, however long that is. Gives back how to stop it. */
export function deadline(afterMs: number, onPassed: () => void): () => void {
  const until = performance.now() + afterMs;
  let timer: NodeJS.Timeout;
  const arm = (): void => {
    const leftMs = until - performance.now();
    if (leftMs <= 0) onPassed();
    else timer = setTimeout(arm, Math.min(Math.ceil(leftMs), LONGEST_TIMER_MS));
  };
  timer = setTimeout(arm, Math.min(Math.max(0, Math.ceil(afterMs)), LONGEST_TIMER_MS));
  return () => clearTimeout(timer);
}
