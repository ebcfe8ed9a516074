import { describe, expect, it } from "@jest/globals";
import { ColumnTypeEnum } from "@prisma/driver-adapter-utils";
import Database from "better-sqlite3";
import { isUniqueViolation } from "../src/errors.js";
import { PrismaAdapter } from "../src/providers/prisma-adapter.js";
import { toDbTime } from "../src/time.js";
import type { Tx } from "../src/types.js";
import { NOW, openTestDb } from "./support/place.js";

const blob = (sha256: string) => ({
  sha256,
  sizeBytes: 2n ** 53n + 1n,
  mime: "text/plain",
  createdAt: NOW,
  usedAt: NOW,
});

describe("the Prisma models", () => {
  it("read what SQL has written, and write what SQL reads", async () => {
    await using db = await openTestDb();
    const later = new Date("2027-02-03T04:05:06.007Z");
    await db.write(async (tx) => {
      await tx.sql.run(`INSERT INTO "Project" ("id", "name", "createdAt") VALUES ('prj_a', 'a', ?)`, toDbTime(later));
      await tx.models.project.create({ data: { id: "prj_b", name: "b", createdAt: later } });
    });
    const rows = await db.sql.all<{ createdAt: string }>(
      `SELECT "createdAt" FROM "Project" WHERE "id" LIKE 'prj/__' ESCAPE '/'`,
    );
    expect(rows).toEqual([{ createdAt: toDbTime(later) }, { createdAt: toDbTime(later) }]);
    const found = await db.models.project.findMany({ where: { createdAt: { gt: NOW } }, orderBy: { id: "asc" } });
    expect(found.map(({ id, createdAt }) => [id, createdAt])).toEqual([
      ["prj_a", later],
      ["prj_b", later],
    ]);
  });

  it("keep numbers beyond 2^53, bytes, booleans and JSON text as they are", async () => {
    await using db = await openTestDb();
    const variables = JSON.stringify({ ключ: '🎈\u0000"' });
    await db.write(async ({ models }) => {
      await models.inputBlob.create({ data: blob("b1") });
      await models.environment.updateMany({ data: { variables } });
    });
    expect((await db.models.inputBlob.findUnique({ where: { sha256: "b1" } }))?.sizeBytes).toBe(2n ** 53n + 1n);
    expect((await db.models.environment.findFirst())?.variables).toBe(variables);
    const { schedule } = db.models;
    expect(await schedule.aggregate({ _count: { _all: true }, _max: { intervalMs: true } })).toEqual({
      _count: { _all: 0 },
      _max: { intervalMs: null },
    });
  });

  it("keep bytes and booleans", async () => {
    const database = new Database(":memory:");
    database.exec(`CREATE TABLE "t" ("b" BLOB, "y" BOOLEAN, "x")`);
    const adapter = new PrismaAdapter(database);
    const argTypes = (["bytes", "boolean", "bytes"] as const).map((scalarType) => ({
      scalarType,
      arity: "scalar" as const,
    }));
    const insert = { sql: `INSERT INTO "t" VALUES (?, ?, ?)`, args: ["AP+ACg==", true, Buffer.from([1])], argTypes };
    expect(await adapter.executeRaw(insert)).toBe(1);
    const { columnTypes, rows } = await adapter.queryRaw({ sql: `SELECT * FROM "t"`, args: [], argTypes: [] });
    expect(columnTypes).toEqual([ColumnTypeEnum.Bytes, ColumnTypeEnum.Boolean, ColumnTypeEnum.Bytes]);
    expect(rows).toEqual([[Buffer.from([0, 255, 128, 10]), 1, Buffer.from([1])]]);
    database.close();
  });

  it("name a row that exists already, and let the write go on", async () => {
    await using db = await openTestDb();
    await db.write(async (tx) => {
      const prisma = await failureOf(
        tx.models.project.create({ data: { id: "prj_x", name: "default", createdAt: NOW } }),
      );
      expect(prisma).toMatchObject({ code: "P2002" });
      const sql = await failureOf(
        tx.sql.run(`INSERT INTO "Project" ("id", "name", "createdAt") VALUES ('prj_x', 'default', '')`),
      );
      expect([prisma, sql].map(isUniqueViolation)).toEqual([true, true]);
      await tx.models.project.create({ data: { id: "prj_y", name: "other", createdAt: NOW } });
    });
    expect(await db.models.project.count()).toBe(2);
  });

  it("say when a row refers to one that does not exist", async () => {
    await using db = await openTestDb();
    const data = { id: "env_x", name: "x", projectId: "prj_none", createdAt: NOW, updatedAt: NOW };
    expect(await failureOf(db.write((tx) => tx.models.environment.create({ data })))).toMatchObject({ code: "P2003" });
  });

  it("never commit behind our back: a nested create goes with the write that fails", async () => {
    await using db = await openTestDb();
    await failureOf(
      db.write(async (tx) => {
        await createWithEnvironment(tx, "gone");
        throw new Error("thought better of it");
      }),
    );
    await db.write((tx) => createWithEnvironment(tx, "kept"));
    expect((await db.models.project.findMany({ orderBy: { name: "asc" } })).map(({ name }) => name)).toEqual([
      "default",
      "kept",
    ]);
    expect(await db.models.environment.count()).toBe(2);
  });

  it("undo a nested create that fails halfway, and nothing else of the write", async () => {
    await using db = await openTestDb();
    await db.write(async (tx) => {
      await tx.models.project.create({ data: { id: "prj_1", name: "first", createdAt: NOW } });
      const twice = [environment("same", "env_1"), environment("same", "env_2")];
      const nested = { id: "prj_2", name: "second", createdAt: NOW, environments: { create: twice } };
      const [failed, alongside] = await Promise.all([
        failureOf(tx.models.project.create({ data: nested })),
        tx.models.project.create({ data: { id: "prj_3", name: "third", createdAt: NOW } }),
      ]);
      expect(failed).toMatchObject({ code: "P2002" });
      expect(alongside.name).toBe("third");
    });
    expect((await db.models.project.findMany({ orderBy: { id: "asc" } })).map(({ name }) => name)).toEqual(
      expect.arrayContaining(["first", "third"]),
    );
    expect(await db.models.project.findUnique({ where: { id: "prj_2" } })).toBeNull();
  });

  it("refuse to write on the reader, and outside of a write", async () => {
    await using db = await openTestDb();
    const data = { id: "prj_x", name: "x", createdAt: NOW };
    await expect(db.models.project.create({ data })).rejects.toThrow("readonly");
    const models = await db.write((tx) => tx.models);
    await expect(models.project.create({ data })).rejects.toThrow("after its write had ended");
    expect(await db.models.project.count()).toBe(1);
  });
});

const environment = (name: string, id: string) => ({ id, name, createdAt: NOW, updatedAt: NOW });

async function createWithEnvironment(tx: Tx, name: string): Promise<void> {
  const environments = { create: [environment("default", `env_${name}`)] };
  await tx.models.project.create({ data: { id: `prj_${name}`, name, createdAt: NOW, environments } });
}

async function failureOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => expect("a failure").toBe("the outcome"),
    (error: unknown) => error,
  );
}
