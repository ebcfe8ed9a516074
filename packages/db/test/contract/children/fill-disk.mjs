// On a disk of its own that is small: fills it, writes, frees it, writes again, and says what came of each.
import { rmSync, writeFileSync } from "node:fs";
import { open, options, say, writeNote } from "./child.mjs";

const db = await open();
await writeNote(db, "before");
const ballast = `${options.folder}/ballast`;
fillUp();
// What the database has of its own accord, such as a WAL that is long enough, is soon used up.
let refused;
for (let i = 0; !refused && i < 200; i++) refused = await attempt(`full-${i}-${"x".repeat(20_000)}`);
say({ refused });
say({ together: await Promise.all(["a", "b"].map((name) => attempt(`${name}-${"x".repeat(200_000)}`))) });
say({ readable: (await db.sql.all(`SELECT "data" FROM "LogEvent"`)).some(({ data }) => data.includes("before")) });
rmSync(ballast);
say({ afterwards: (await attempt("after")) ?? "written" });
say({ integrity: (await db.sql.get("PRAGMA integrity_check")).integrity_check });
await db[Symbol.asyncDispose]();

function fillUp() {
  for (const size of [65_536, 4_096]) {
    try {
      for (;;) writeFileSync(ballast, Buffer.alloc(size), { flag: "a" });
    } catch (error) {
      if (error.code !== "ENOSPC") throw error;
    }
  }
}

async function attempt(note) {
  try {
    await writeNote(db, note);
  } catch (error) {
    return error.code;
  }
}
