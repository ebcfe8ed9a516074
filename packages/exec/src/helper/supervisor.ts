const LOOK_MS = 1_000;

/**
 * Looks every now and then whether the process that started this one is still there. Its death comes as the end of our
 * input too; this is for a death that nothing came of, so that nobody is left behind for ever (G17).
 */
export function watchSupervisor(pid: number, onGone: () => void): void {
  const timer = setInterval(() => {
    if (process.ppid === pid) return;
    clearInterval(timer);
    onGone();
  }, LOOK_MS);
  timer.unref();
}
