import { readdir } from "node:fs/promises";
import { join } from "node:path";

/** The folder of a runner of the pool. */
export function folderOf(dir: string, slot: number): string {
  return join(dir, String(slot));
}

/** The numbers of the folders in which an earlier process has left attempts that nobody has heard the end of. */
export async function slotsWithNews(dir: string): Promise<number[]> {
  const slots: number[] = [];
  for (const name of await namesIn(dir)) {
    if (/^[1-9]\d{0,3}$/.test(name) && (await namesIn(join(dir, name, "unconfirmed"))).length > 0)
      slots.push(Number(name));
  }
  return slots;
}

async function namesIn(dir: string): Promise<string[]> {
  return readdir(dir).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
}
