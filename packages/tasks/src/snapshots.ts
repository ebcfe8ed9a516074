import type { Db, Sql } from "@maia/db";
import { sha256Hex, type WorkflowSnapshot } from "@maia/domain";

/** A version as the engine needs it: parsed once, its scripts by hash. */
export interface LoadedVersion {
  readonly snapshot: WorkflowSnapshot;
  readonly snapHash: string;
  readonly scripts: ReadonlyMap<string, { readonly sha256: string; readonly bytes: Uint8Array }>;
}

/** Most versions kept in memory. */
const MAX_CACHED = 256;

/** Versions never change, so they are read once and kept while they are in use. */
export class Snapshots {
  readonly #cache = new Map<string, LoadedVersion>();

  constructor(private readonly db: Db) {}

  /** @throws when the version does not exist or cannot be read. */
  async load(versionId: string, sql: Sql = this.db.sql): Promise<LoadedVersion> {
    const cached = this.#cache.get(versionId);
    if (cached) {
      this.#cache.delete(versionId);
      this.#cache.set(versionId, cached);
      return cached;
    }
    const text = `SELECT "workflowSnap", "snapHash" FROM "WorkflowVersion" WHERE "id" = ?`;
    const row = await sql.get<{ workflowSnap: string; snapHash: string }>(text, versionId);
    if (!row) throw new Error(`version ${versionId} does not exist`);
    const snapshot: WorkflowSnapshot = JSON.parse(row.workflowSnap);
    const scripts = new Map(
      snapshot.steps.map((step) => {
        const bytes = Buffer.from(step.script);
        return [step.key, { sha256: sha256Hex(bytes), bytes }];
      }),
    );
    const loaded = { snapshot, snapHash: row.snapHash, scripts };
    this.#cache.set(versionId, loaded);
    const oldest = this.#cache.keys().next().value;
    if (this.#cache.size > MAX_CACHED && oldest !== undefined) this.#cache.delete(oldest);
    return loaded;
  }
}
