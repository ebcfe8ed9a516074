// Another process on the database: says its bell's id and each ring, and writes what it is told to.
import { listen, open, say, writeNote } from "./child.mjs";

const db = await open();
for (const topic of ["engine", "events"]) db.bell(topic).listen(() => say({ rang: topic, at: Date.now() }));
say({ id: db.bells.id });
await listen(async ({ note, ring, quiet }) => {
  if (note) await writeNote(db, note);
  if (ring) await db.write((tx) => tx.ring(ring));
  if (quiet) await db.write((tx) => tx.sql.run(`UPDATE "Project" SET "createdAt" = ?`, quiet));
  say({ done: note ?? ring ?? quiet });
});
await db[Symbol.asyncDispose]();
