// What the children share. They use the built package, as any other process does.
import readline from "node:readline";
import { openDb } from "@maia/db";

export const options = JSON.parse(process.argv[2]);

export function say(message) {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

export function open() {
  return openDb({ busyTimeoutMs: 100, retryBudgetMs: 5_000, ...options });
}

/** Calls back for each message of the parent's; the end of its input is the child's end. */
export function listen(callback) {
  const lines = readline.createInterface({ input: process.stdin });
  lines.on("line", (line) => callback(JSON.parse(line)));
  return new Promise((resolve) => lines.on("close", resolve));
}

/** Writes an event that names itself. */
export function writeNote(db, note) {
  return db.write((tx) => tx.event("runner_status", {}, { runnerId: note, status: "RUNNING", at: "" }));
}
