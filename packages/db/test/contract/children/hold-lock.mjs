// Holds the write lock for a while: a long write of another process.
import { open, options, say } from "./child.mjs";

const db = await open();
await db.write(async (tx) => {
  await tx.sql.run(`UPDATE "Project" SET "name" = "name"`);
  say("held");
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, options.holdMs);
});
await db[Symbol.asyncDispose]();
