import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import Database from "better-sqlite3";
import { hostEnv } from "../test/support/config.ts";
import { temporaryFolder } from "../test/support/processes.ts";
import { median } from "./report.ts";

/** A bare loop: the same processes, and one durable commit for each change of state that Maia writes for a step. */
class Floor {
  readonly #db: Database.Database;
  readonly #insert: Database.Statement;

  constructor(folder: string) {
    this.#db = new Database(path.join(folder, "floor.db"));
    this.#db.pragma("journal_mode = WAL");
    this.#db.pragma("synchronous = FULL");
    this.#db.exec("CREATE TABLE state (id INTEGER PRIMARY KEY, text TEXT)");
    this.#insert = this.#db.prepare("INSERT INTO state (text) VALUES (?)");
  }

  commit(text: string): void {
    this.#insert.run(text);
  }

  close(): void {
    this.#db.close();
  }
}

async function spawned(command: string, args: readonly string[]): Promise<void> {
  await once(spawn(command, args, { env: hostEnv, stdio: "ignore" }), "exit");
}

/** `length` processes one after another: started, ended, next. In milliseconds. */
export async function chainFloor(kind: "node" | "shell", length: number, repeats: number): Promise<number> {
  await using folder = await temporaryFolder("floor");
  const script = path.join(folder.path, "task.mjs");
  await writeFile(script, "export default () => ({});\n");
  const floor = new Floor(folder.path);
  const times: number[] = [];
  for (let repeat = 0; repeat < repeats; repeat++) {
    const started = performance.now();
    for (let i = 0; i < length; i++) {
      floor.commit(`start ${i}`);
      if (kind === "node") await spawned(process.execPath, [script]);
      else await spawned("/bin/sh", ["-c", ":"]);
      floor.commit(`end ${i}`);
    }
    times.push(performance.now() - started);
  }
  floor.close();
  return median(times);
}

/** `count` node processes, two at a time. Per second. */
export async function jobsFloor(count: number): Promise<number> {
  await using folder = await temporaryFolder("floor");
  const script = path.join(folder.path, "task.mjs");
  await writeFile(script, "export default () => ({});\n");
  const floor = new Floor(folder.path);
  const started = performance.now();
  let next = 0;
  const work = async () => {
    while (next++ < count) {
      floor.commit("start");
      await spawned(process.execPath, [script]);
      floor.commit("end");
    }
  };
  await Promise.all([work(), work()]);
  floor.close();
  return (count * 1_000) / (performance.now() - started);
}

/** A child prints lines, its parent splits and counts them. Per second. */
export async function linesFloor(count: number): Promise<number> {
  const started = performance.now();
  const child = spawn(
    "/bin/sh",
    [
      "-c",
      `yes "a line of a log, about as long as lines of logs are: one hundred characters, more or less, of text" | head -n ${count}`,
    ],
    { env: hostEnv, stdio: ["ignore", "pipe", "ignore"] },
  );
  let seen = 0;
  for await (const chunk of child.stdout)
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) seen += 1;
  if (seen !== count) throw new Error(`${seen} of ${count} lines`);
  return (count * 1_000) / (performance.now() - started);
}
