import type { IntakeContext } from "./context.js";
import { freezeDefinition } from "./freeze.js";
import { type Published, type StoreRequest, storeWorkflow } from "./store-workflow.js";

export interface PublishRequest extends Omit<StoreRequest, "publishing"> {
  /** The definition as it came. */
  readonly definition: unknown;
  /** False saves the draft only. */
  readonly publish: boolean;
}

/**
 * Creates or replaces a workflow's definition, and publishes it if it differs from the latest version.
 * @throws {MaiaError} INVALID, RESERVED_KEY, CYCLE with pointers into the definition
 */
export async function publishWorkflow(
  { db, schemas }: IntakeContext,
  { definition, publish, ...request }: PublishRequest,
  now: Date,
): Promise<Published> {
  const frozen = await freezeDefinition(schemas, definition, request.slug);
  return db.write((tx) => storeWorkflow(tx, { ...request, publishing: publish ? "latest" : "draft" }, frozen, now));
}
