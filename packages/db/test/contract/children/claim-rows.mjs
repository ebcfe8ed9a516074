// Claims rows by compare-and-set until none is left, and says which it got.
import { open, say } from "./child.mjs";

const db = await open();
for (;;) {
  const rows = await db.sql.all(`SELECT "key" FROM "IdempotencyKey" WHERE "status" = 0 ORDER BY "key" LIMIT 20`);
  if (rows.length === 0) break;
  await Promise.all(
    rows.map(async ({ key }) => {
      const text = `UPDATE "IdempotencyKey" SET "status" = 1 WHERE "key" = ? AND "status" = 0`;
      if ((await db.write((tx) => tx.sql.run(text, key))) === 1) say(key);
    }),
  );
}
await db[Symbol.asyncDispose]();
