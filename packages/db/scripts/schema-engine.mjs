#!/usr/bin/env node
// Prisma's schema engine for machines that cannot download the native one: the `prisma` command starts what
// PRISMA_SCHEMA_ENGINE_BINARY names and talks JSON-RPC to it, here answered by Prisma's own WASM build of that engine.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import readline from "node:readline";
import { bindMigrationAwareSqlAdapterFactory } from "@prisma/driver-adapter-utils";
import Database from "better-sqlite3";
import { PrismaAdapter } from "../src/providers/prisma-adapter.ts";

const HISTORY = "_prisma_migrations";
const HISTORY_COLUMNS = [
  "id",
  "checksum",
  "finished_at",
  "migration_name",
  "logs",
  "rolled_back_at",
  "started_at",
  "applied_steps_count",
];
const HISTORY_TABLE = `CREATE TABLE IF NOT EXISTS "${HISTORY}" (
  "id" TEXT PRIMARY KEY NOT NULL, "checksum" TEXT NOT NULL, "finished_at" DATETIME, "migration_name" TEXT NOT NULL,
  "logs" TEXT, "rolled_back_at" DATETIME, "started_at" DATETIME NOT NULL DEFAULT current_timestamp,
  "applied_steps_count" INTEGER UNSIGNED NOT NULL DEFAULT 0
);`;
const TEXT_COLUMN = 7;
const LOCK_WAIT_MS = 10_000;

let engine;

const { words, datamodels, datasource } = parseArguments(process.argv.slice(2));
if (words.includes("--version")) console.log(`schema-engine-cli ${(await loadEngine()).version()}`);
else if (words[0] === "cli") await runCommand(words[1]);
else await serve();

function parseArguments(args) {
  const found = { words: [], datamodels: [], datasource: undefined };
  while (args.length > 0) {
    const arg = args.shift();
    if (arg === "--datamodels") {
      const file = args.shift();
      found.datamodels.push([file, readFileSync(file, "utf8")]);
    } else if (arg === "--datasource") found.datasource = JSON.parse(args.shift());
    else if (arg === "--enabled-preview-features" || arg === "--extension-types") args.shift();
    else found.words.push(arg);
  }
  return found;
}

async function runCommand(command) {
  const file = databaseFile();
  if (command === "create-database") {
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, "", { flag: "a" });
  } else if (command === "can-connect-to-database") {
    if (!existsSync(file)) fail(`Database \`${path.basename(file)}\` does not exist`, "P1003");
    await withConnection((connection) => connection.executeScript("SELECT 1")).catch((error) =>
      fail(String(error?.cause?.originalMessage ?? error?.message), "P1001"),
    );
  } else fail(`unsupported command: ${command}`, "P0000");
}

function fail(message, errorCode) {
  const fields = { message, error_code: errorCode, is_panic: false };
  const timestamp = new Date().toISOString();
  process.stderr.write(`\n${JSON.stringify({ timestamp, level: "ERROR", fields, target: "schema_engine::logger" })}\n`);
  process.exit(1);
}

/** Answers the calls on stdin one after another until it ends. */
async function serve() {
  let queue = Promise.resolve();
  for await (const line of readline.createInterface({ input: process.stdin, crlfDelay: Number.POSITIVE_INFINITY })) {
    const { id, method, params } = line.trim() ? JSON.parse(line) : {};
    if (method) queue = queue.then(() => answer(id, method, params)); // without one it answers our "print"
  }
  await queue;
  process.exit(0);
}

async function answer(id, method, params) {
  try {
    const result = await call(method, params);
    if (method === "diff" && typeof result.stdout === "string") {
      send({ id: `print-${id}`, method: "print", params: { content: result.stdout } });
    }
    send({ id, result });
  } catch (error) {
    const data = { is_panic: false, message: String(error?.message ?? error), error_code: error?.code };
    send({ id, error: { code: 4466, message: "An error happened. Check the data field for details.", data } });
  }
}

function send(message) {
  process.stdout.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
}

async function call(method, params) {
  if (datasource && method === "reset") return dropEverything();
  if (datasource && method === "markMigrationApplied") {
    await withConnection((connection) => connection.executeScript(HISTORY_TABLE));
  }
  engine ??= await startEngine();
  return (await engine[method === "getDatabaseVersion" ? "version" : method](params)) ?? {};
}

async function startEngine() {
  const adapters = bindMigrationAwareSqlAdapterFactory(adapterFactory());
  const { SchemaEngine } = await loadEngine();
  return SchemaEngine.new({ datamodels: datamodels.length > 0 ? datamodels : undefined }, () => {}, adapters);
}

async function loadEngine() {
  const glue = createRequire(import.meta.url).resolve("@prisma/schema-engine-wasm/schema_engine_bg");
  const engineModule = await import(glue);
  const bytes = readFileSync(path.join(path.dirname(glue), "schema_engine_bg.wasm"));
  const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), { "./schema_engine_bg.js": engineModule });
  engineModule.__wbg_set_wasm(instance.exports);
  instance.exports.__wbindgen_start();
  return engineModule;
}

function databaseFile() {
  if (!datasource.url.startsWith("file:")) fail("this bridge speaks to SQLite (file:) only", "P1013");
  return path.resolve(datasource.url.replace(/^file:/, "").replace(/\?.*$/, ""));
}

function adapterFactory() {
  const open = async (file) => {
    const database = new Database(file, { timeout: LOCK_WAIT_MS });
    const adapter = adapt(new PrismaAdapter(database));
    adapter.dispose = async () => void database.close();
    return adapter;
  };
  return {
    provider: "sqlite",
    adapterName: "@maia/db",
    connect: () => open(datasource ? databaseFile() : ":memory:"),
    connectToShadowDb: () => open(":memory:"),
  };
}

/** The two answers that the WASM engine needs and the native one does not. */
function adapt(connection) {
  const queryRaw = connection.queryRaw.bind(connection);
  const executeRaw = connection.executeRaw.bind(connection);
  // It takes a missing history table for a failure: answer that the table has no rows.
  connection.queryRaw = async (query) => {
    try {
      return await queryRaw(query);
    } catch (error) {
      if (error?.cause?.kind !== "TableDoesNotExist" || !query.sql.includes(HISTORY)) throw error;
      return { columnNames: HISTORY_COLUMNS, columnTypes: HISTORY_COLUMNS.map(() => TEXT_COLUMN), rows: [] };
    }
  };
  // It replays whole migrations with executeRaw, which prepares a single statement only.
  connection.executeRaw = async (query) => {
    try {
      return await executeRaw(query);
    } catch (error) {
      if (!(error instanceof RangeError) || query.args.length > 0) throw error;
      await connection.executeScript(query.sql);
      return 0;
    }
  };
  return connection;
}

/** The WASM engine's reset only empties the tables; the native one drops them. */
async function dropEverything() {
  await withConnection(async (connection) => {
    const sql = "SELECT type, name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%'";
    const { rows } = await connection.queryRaw({ sql, args: [], argTypes: [] });
    const drops = rows.map(([type, name]) => `DROP ${type} IF EXISTS "${name.replaceAll('"', '""')}";`);
    await connection.executeScript(`PRAGMA foreign_keys=OFF;${drops.join("")}VACUUM;`); // VACUUM drops sqlite_sequence too
  });
  return {};
}

async function withConnection(work) {
  const connection = await adapterFactory().connect();
  try {
    return await work(connection);
  } finally {
    await connection.dispose();
  }
}
