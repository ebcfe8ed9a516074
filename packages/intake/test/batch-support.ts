import { hash } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { keepBlob } from "@maia/db";
import { isMaiaError, MaiaError } from "@maia/domain";
import { BlobStore } from "@maia/storage";
import { readItems } from "../src/batch/items-file.js";
import { parseBatchRequest } from "../src/batch/request.js";
import type { BatchContext } from "../src/context.js";
import { createBatch, tryBatch } from "../src/index.js";
import { anyone, aPlace, NOW, type Place } from "./support.js";

/** Intake with a blob store, and short ways to ask for batches. */
export interface BatchPlace extends Place {
  readonly context: BatchContext;
  readonly blobs: BlobStore;
  /** Uploads a file of items. @returns its hash. */
  upload(content: string | Uint8Array): Promise<string>;
  create(request: object, key?: string): Promise<{ batchId: string; replayed: boolean }>;
  try(request: object): Promise<{ itemCount: number; columns: readonly string[] | null }>;
  /** What is wrong with a request, as its answer says: `row pointer message`. */
  faults(request: object): Promise<string[]>;
  /** The items of a batch as they are stored: row and params. */
  items(batchId: string): Promise<[row: number, params: unknown][]>;
}

export async function aBatchPlace(itemsMax = 100_000): Promise<BatchPlace> {
  const place = await aPlace();
  const folder = await mkdtemp(path.join(os.tmpdir(), "maia-items-"));
  const blobs = await BlobStore.open(`${folder}/blobs`, `${folder}/tmp`);
  const parseJson = (text: string) => {
    try {
      return JSON.parse(text);
    } catch {
      throw new MaiaError("BAD_JSON", "no JSON");
    }
  };
  const context = { ...place.context, blobs, itemsMax, parseJson };
  const read = (request: object) => parseBatchRequest({ workflow: "sheet", ...request }, itemsMax);
  return {
    ...place,
    context,
    blobs,
    upload: async (content) => {
      const bytes = Buffer.from(content);
      const sha256 = hash("sha256", bytes);
      await blobs.put(bytes);
      await place.db.write((tx) =>
        keepBlob(tx, { sha256, sizeBytes: bytes.length, mime: "text/csv" }, place.projectId, NOW),
      );
      return sha256;
    },
    create: async (request, key) => createBatch(context, read(request), anyone, key ?? null, NOW),
    try: async (request) => tryBatch(context, read(request), anyone),
    faults: async (request) => {
      try {
        await tryBatch(context, read(request), anyone);
      } catch (error) {
        if (!isMaiaError(error)) throw error;
        return error.issues.map(({ row = "-", pointer, message }) => `${row} ${pointer} ${message}`);
      }
      return [];
    },
    items: async (batchId) => {
      const batch = await place.db.sql.get<{ itemsSha256: string }>(
        `SELECT "itemsSha256" FROM "Batch" WHERE "id" = ?`,
        batchId,
      );
      const items = await Array.fromAsync(readItems(blobs, batch!.itemsSha256));
      return items.map(({ row, params }) => [row, JSON.parse(params)]);
    },
    [Symbol.asyncDispose]: async () => {
      await place[Symbol.asyncDispose]();
      await rm(folder, { recursive: true });
    },
  };
}
