import { readdir, readFile } from "node:fs/promises";

/** The processes whose environment names this mark: those of a step whose workflow sets it. */
export async function processesMarked(mark: string): Promise<number[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => {
      const environ = await readFile(`/proc/${pid}/environ`, "latin1").catch(() => ""); // it ended meanwhile
      return environ.includes(`MARK=${mark}\0`) ? Number(pid) : null;
    }),
  );
  return found.filter((pid) => pid !== null);
}
