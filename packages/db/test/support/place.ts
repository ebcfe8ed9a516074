import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { type OpenDbOptions, openDb } from "../../src/db.js";
import type { Db } from "../../src/types.js";

/** A folder of its own for a database, removed at the end. */
export interface Place extends AsyncDisposable {
  readonly folder: string;
  readonly file: string;
  readonly options: OpenDbOptions;
  open(more?: Partial<OpenDbOptions>): Promise<Db>;
}

/** The moment at which tests happen. */
export const NOW = new Date("2026-11-21T12:00:00.000Z");

export async function aPlace(): Promise<Place> {
  const folder = await mkdtemp(path.join(os.tmpdir(), "maia-db-"));
  const file = path.join(folder, "maia.db");
  const options = {
    url: `file:${file}`,
    bellsDir: path.join(folder, "bells"),
    busyTimeoutMs: 100,
    retryBudgetMs: 5_000,
    now: () => NOW,
  };
  return {
    folder,
    file,
    options,
    open: (more) => openDb({ ...options, ...more }),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  };
}

/** An open database that goes with its folder. */
export async function openTestDb(more: Partial<OpenDbOptions> = {}): Promise<Db & { place: Place }> {
  const place = await aPlace();
  const db = await place.open(more);
  const { sql, models, bells } = db;
  return {
    sql,
    models,
    bells,
    place,
    write: (fn) => db.write(fn),
    bell: (topic) => db.bell(topic),
    [Symbol.asyncDispose]: async () => {
      await db[Symbol.asyncDispose]();
      await place[Symbol.asyncDispose]();
    },
  };
}
