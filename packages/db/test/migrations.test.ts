import { execFile } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "@jest/globals";
import Database from "better-sqlite3";
import { migrate } from "../src/migrate.js";
import { aPlace, NOW, type Place } from "./support/place.js";

const PACKAGE = fileURLToPath(new URL("..", import.meta.url));
const PRISMA = createRequire(import.meta.url).resolve("prisma/build/index.js");
const MIGRATIONS = ["--from-migrations", "prisma/migrations", "--to-schema", "prisma/schema.prisma"];

/** Runs a command of Prisma's. @returns what it printed. @throws where its exit code is not 0. */
async function prisma(args: readonly string[], url?: string): Promise<string> {
  const env = { ...process.env, ...(url ? { DATABASE_URL: url } : {}) };
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [PRISMA, ...args], { cwd: PACKAGE, env });
  return stdout + stderr;
}

describe("the migrations", () => {
  it("lead exactly to the schema", async () => {
    expect(await prisma(["migrate", "diff", ...MIGRATIONS, "--exit-code"])).toContain("No difference detected");
  });

  it("leave Prisma nothing to do once Maia has applied them", async () => {
    await using here = await aPlace();
    await (await here.open())[Symbol.asyncDispose]();
    expect(await prisma(["migrate", "status"], here.options.url)).toContain("up to date");
    expect(await prisma(["migrate", "deploy"], here.options.url)).toContain("No pending migrations");
  });

  it("leave Maia nothing to do once Prisma has applied them", async () => {
    await using here = await aPlace();
    await prisma(["migrate", "deploy"], here.options.url);
    await using db = await here.open();
    expect(await db.sql.all(`SELECT 1 FROM "_prisma_migrations"`)).toHaveLength(1);
    expect(await db.sql.all(`SELECT 1 FROM "Runner"`)).toHaveLength(1);
  });
});

describe("migrating", () => {
  it("refuses a database that a newer Maia has used", async () => {
    await using here = await aDatabase();
    change(here, `UPDATE "_prisma_migrations" SET "migration_name" = '29990101000000_later'`);
    await refusal(here, "start a newer Maia");
  });

  it("refuses a database whose migration was another text", async () => {
    await using here = await aDatabase();
    change(here, `UPDATE "_prisma_migrations" SET "checksum" = 'other'`);
    await refusal(here, "not the one that was applied");
  });

  it("refuses a database in which a migration has failed", async () => {
    await using here = await aDatabase();
    change(here, `UPDATE "_prisma_migrations" SET "finished_at" = NULL`);
    await refusal(here, "has failed before");
  });

  it("refuses a database that is somebody else's", async () => {
    await using here = await aPlace();
    change(here, `CREATE TABLE "theirs" ("id" TEXT)`);
    await refusal(here, "not Maia's");
  });

  it("applies all that is pending or, where one fails, nothing", async () => {
    await using here = await aPlace();
    const folder = await migrationsIn(here, {
      "1_one": `CREATE TABLE "one" ("id" TEXT PRIMARY KEY)`,
      "2_two": `CREATE TABLE "two" ("id" TEXT REFERENCES "missing" ("id")); INSERT INTO "nowhere" VALUES (1)`,
    });
    const database = new Database(here.file);
    await expect(apply(database, folder)).rejects.toMatchObject({ code: "DB_MIGRATION" });
    expect(database.prepare("SELECT name FROM sqlite_master").all()).toEqual([]);
    await migrationsIn(here, { "2_two": `CREATE TABLE "two" ("id" TEXT)` });
    await apply(database, folder);
    expect(database.prepare(`SELECT "migration_name", "applied_steps_count" FROM "_prisma_migrations"`).all()).toEqual([
      { migration_name: "1_one", applied_steps_count: 1 },
      { migration_name: "2_two", applied_steps_count: 1 },
    ]);
    database.close();
  });

  it("keeps the rows that refer to a table which is built anew", async () => {
    await using here = await aPlace();
    const parents = `CREATE TABLE "parent" ("id" TEXT PRIMARY KEY)`;
    const folder = await migrationsIn(here, {
      "1_one": `${parents}; CREATE TABLE "child" ("of" TEXT REFERENCES "parent" ("id") ON DELETE CASCADE)`,
    });
    const database = new Database(here.file);
    await apply(database, folder);
    database.exec(`INSERT INTO "parent" VALUES ('p'); INSERT INTO "child" VALUES ('p')`);
    await migrationsIn(here, {
      "2_two": `CREATE TABLE "new_parent" ("id" TEXT PRIMARY KEY, "name" TEXT);
        INSERT INTO "new_parent" ("id") SELECT "id" FROM "parent";
        DROP TABLE "parent"; ALTER TABLE "new_parent" RENAME TO "parent";`,
    });
    await apply(database, folder);
    expect(database.prepare(`SELECT * FROM "child"`).all()).toEqual([{ of: "p" }]);
    expect(database.pragma("foreign_keys", { simple: true })).toBe(1);
    database.close();
  });
});

/** A place with a closed database that is up to date. */
async function aDatabase(): Promise<Place> {
  const here = await aPlace();
  await (await here.open())[Symbol.asyncDispose]();
  return here;
}

function change({ file }: Place, sql: string): void {
  const database = new Database(file);
  database.exec(sql);
  database.close();
}

async function refusal(here: Place, words: string): Promise<void> {
  await expect(here.open()).rejects.toMatchObject({ code: "DB_MIGRATION", message: expect.stringContaining(words) });
}

async function migrationsIn({ folder }: Place, texts: Record<string, string>): Promise<string> {
  const migrations = path.join(folder, "migrations");
  for (const [name, sql] of Object.entries(texts)) {
    await mkdir(path.join(migrations, name), { recursive: true });
    await writeFile(path.join(migrations, name, "migration.sql"), sql);
  }
  return migrations;
}

function apply(database: Database.Database, folder: string): Promise<void> {
  return migrate(database, { now: NOW, patiently: async (work) => work(), folder });
}
