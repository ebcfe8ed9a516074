// Writes notes, some at a time, and says each one's name once it is acknowledged.
import { open, options, say, writeNote } from "./child.mjs";

const db = await open();
await Promise.all(
  Array.from({ length: options.lanes }, async (_, lane) => {
    for (let i = 0; ; i++) {
      const note = `${options.name}-${lane}-${i}`;
      await writeNote(db, note);
      say(note);
    }
  }),
);
