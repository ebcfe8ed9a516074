import { hash } from "node:crypto";
import { findBatch, keepBlob } from "@maia/db";
import { createBatch, parseBatchRequest } from "@maia/intake";
import { openSchemaWorker } from "@maia/schema";
import type { World } from "./world.js";

const caller = { principal: "key_a", projects: null };

/** Asks for a batch as `POST /v1/batches` does. @returns its id. */
export async function aBatch(world: World, request: object): Promise<string> {
  const { db, blobs } = world;
  await using schemas = openSchemaWorker({ validateMs: 500, maxBytes: 65_536, nodesMax: 2_000 });
  const context = { db, blobs, schemas, idempotencyTtlMs: 1_000, itemsMax: 100_000, parseJson: JSON.parse };
  return (await createBatch(context, parseBatchRequest(request, 100_000), caller, null, new Date())).batchId;
}

/** Uploads a CSV. @returns its hash. */
export async function uploadCsv({ db, blobs }: World, content: string): Promise<string> {
  const bytes = Buffer.from(content);
  const sha256 = hash("sha256", bytes);
  await blobs.put(bytes);
  const project = await db.sql.get<{ id: string }>(`SELECT "id" FROM "Project" WHERE "name" = 'default'`);
  const blob = { sha256, sizeBytes: bytes.length, mime: "text/csv" };
  await db.write((tx) => keepBlob(tx, blob, project!.id, new Date()));
  return sha256;
}

/** Waits until a batch is as a test expects it. */
export async function untilBatch(world: World, id: string, status: string, withinMs = 280_000): Promise<void> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const rung = world.db.bell("events").next(AbortSignal.timeout(100));
    const batch = await findBatch(world.db.sql, id);
    if (batch?.status === status) return;
    if (performance.now() > deadline) throw new Error(`batch ${id} is not ${status}: ${JSON.stringify(batch)}`);
    await rung;
  }
}
