// Writes so many notes, in groups, and ends.
import { open, options, writeNote } from "./child.mjs";

const db = await open();
for (let i = 0; i < options.count; i += 5) {
  await Promise.all([0, 1, 2, 3, 4].map((n) => writeNote(db, `${options.name}-${i + n}`)));
}
await db[Symbol.asyncDispose]();
