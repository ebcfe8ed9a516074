import type { Tx } from "@maia/db";
import type { IntakeContext } from "./context.js";
import { freezeDefinition } from "./freeze.js";
import { type Published, type StoreRequest, storeWorkflow } from "./store-workflow.js";

export interface PublishRequest extends Omit<StoreRequest, "publishing"> {
  /** The definition as it came. */
  readonly definition: unknown;
  /** False saves the draft only. */
  readonly publish: boolean;
  /** Told what came of it, in the same transaction. */
  readonly onStored?: (tx: Tx, stored: Published) => Promise<void>;
}

/**
 * Creates or replaces a workflow's definition, and publishes it if it differs from the latest version.
 * @throws {MaiaError} INVALID, RESERVED_KEY, CYCLE with pointers into the definition
 */
export async function publishWorkflow(
  { db, schemas }: IntakeContext,
  { definition, publish, onStored, ...request }: PublishRequest,
  now: Date,
): Promise<Published> {
  const frozen = await freezeDefinition(schemas, definition, request.slug);
  const publishing = publish ? "latest" : "draft";
  return db.write(async (tx) => {
    const stored = await storeWorkflow(tx, { ...request, publishing }, frozen, now);
    await onStored?.(tx, stored);
    return stored;
  });
}
