import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { createApiKey, findApiKeyBySecret, listApiKeys, revokeApiKey, touchApiKey } from "../src/api-keys.js";
import type { Db } from "../src/types.js";
import { NOW, openTestDb } from "./support/place.js";

const LATER = new Date(NOW.getTime() + 60_000);
let db: Db;

beforeAll(async () => {
  db = await openTestDb();
});
afterAll(async () => {
  await db[Symbol.asyncDispose]();
});

function aKey(more: Partial<Parameters<typeof createApiKey>[1]> = {}) {
  return db.write((tx) => createApiKey(tx, { name: "ci", role: "operator", ...more }, NOW));
}

describe("an API key", () => {
  it("is found by what its owner presents, with its role and projects (S7)", async () => {
    const { key, presented } = await aKey({ projects: ["prj_a"] });
    expect(presented).toMatch(/^mk_[0-9a-z]{26}_[\w-]{43}$/);
    expect(presented.slice(3, 29)).toBe(key.id.slice("key_".length));
    expect(await findApiKeyBySecret(db, presented, NOW)).toEqual(key);
    expect(key).toMatchObject({ name: "ci", role: "operator", projects: ["prj_a"], lastFour: presented.slice(-4) });
  });

  it("is kept as a hash only (G32)", async () => {
    const { presented } = await aKey();
    const rows = JSON.stringify(await db.sql.all(`SELECT * FROM "ApiKey"`));
    expect(rows).not.toContain(presented.slice(30));
  });

  it("is not found by another secret, another id or anything else", async () => {
    const [one, two] = [await aKey(), await aKey()];
    const idOf = (presented: string) => presented.slice(0, 30);
    const secretOf = (presented: string) => presented.slice(30);
    const wrong = [
      idOf(one.presented) + secretOf(two.presented),
      `${one.presented}x`,
      one.presented.slice(0, -1),
      `mk_${"0".repeat(26)}_${secretOf(one.presented)}`,
      one.presented.toUpperCase(),
      "mk__",
      "",
    ];
    for (const presented of wrong) expect(await findApiKeyBySecret(db, presented, NOW)).toBeNull();
  });

  it("counts until it expires or is revoked", async () => {
    const { key, presented } = await aKey({ expiresAt: LATER });
    expect(await findApiKeyBySecret(db, presented, NOW)).not.toBeNull();
    expect(await findApiKeyBySecret(db, presented, LATER)).toBeNull();
    expect(await db.write((tx) => revokeApiKey(tx, key.id, NOW))).toBe(true);
    expect(await db.write((tx) => revokeApiKey(tx, key.id, LATER))).toBe(false);
    expect(await findApiKeyBySecret(db, presented, NOW)).toBeNull();
  });

  it("is listed with its last use and without its secret", async () => {
    const { key } = await aKey({ name: "newest" });
    await db.write((tx) => touchApiKey(tx, key.id, LATER));
    const listed = (await listApiKeys(db)).find(({ id }) => id === key.id);
    expect(listed).toEqual({ ...key, lastUsedAt: LATER });
    expect(listed).not.toHaveProperty("secretHash");
  });
});
