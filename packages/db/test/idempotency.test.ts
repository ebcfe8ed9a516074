import { describe, expect, it } from "@jest/globals";
import { expireIdempotencyKeys, findIdempotencyKey, insertIdempotencyKey } from "../src/idempotency.js";
import { NOW, openTestDb } from "./support/place.js";

const TTL_MS = 1_000;
const ANSWER = { requestHash: "h1", status: 201, location: "/v1/jobs/job_1" };
const later = (ms: number) => new Date(NOW.getTime() + ms);

describe("an idempotency key", () => {
  it("leads its caller, and nobody else, to the first answer until it is too old (G2)", async () => {
    await using db = await openTestDb();
    await db.write((tx) => insertIdempotencyKey(tx, "key_a", "k", ANSWER, NOW));
    const find = (principal: string, now: Date) => findIdempotencyKey(db.sql, principal, "k", TTL_MS, now);
    expect(await find("key_a", later(TTL_MS - 1))).toEqual(ANSWER);
    expect(await find("key_b", NOW)).toBeNull();
    expect(await find("key_a", later(TTL_MS))).toBeNull();
  });

  it("makes one thing of two requests that come at once (G2)", async () => {
    await using db = await openTestDb();
    const create = (location: string) =>
      db.write(async (tx) => {
        const known = await findIdempotencyKey(tx.sql, "key_a", "k", TTL_MS, NOW);
        if (known) return known.location;
        await insertIdempotencyKey(tx, "key_a", "k", { ...ANSWER, location }, NOW);
        return location;
      });
    expect(await Promise.all([create("one"), create("two"), create("three")])).toEqual(["one", "one", "one"]);
  });

  it("may be used anew after its time", async () => {
    await using db = await openTestDb();
    await db.write((tx) => insertIdempotencyKey(tx, "key_a", "k", ANSWER, NOW));
    await db.write((tx) => insertIdempotencyKey(tx, "key_a", "k", { ...ANSWER, requestHash: "h2" }, later(TTL_MS)));
    const found = await findIdempotencyKey(db.sql, "key_a", "k", TTL_MS, later(TTL_MS));
    expect(found?.requestHash).toBe("h2");
  });

  it("is forgotten some at a time", async () => {
    await using db = await openTestDb();
    await db.write(async (tx) => {
      for (let i = 0; i < 5; i++) await insertIdempotencyKey(tx, "key_a", `k${i}`, ANSWER, later(i));
    });
    expect(await db.write((tx) => expireIdempotencyKeys(tx, later(3), 3))).toBe(3);
    expect(await db.write((tx) => expireIdempotencyKeys(tx, later(3), 3))).toBe(1);
    expect(await db.sql.all(`SELECT "key" FROM "IdempotencyKey"`)).toEqual([{ key: "k4" }]);
  });
});
