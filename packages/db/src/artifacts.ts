import { newId } from "@maia/domain";
import type { AttemptRef } from "./attempts.js";
import { noteStoredAfar } from "./stored-afar.js";
import { toDbTime } from "./time.js";
import type { Sql, Tx } from "./types.js";

export interface NewArtifact {
  readonly name: string;
  readonly mime: string;
  readonly sizeBytes: number;
  readonly sha256: string;
  readonly system: boolean;
}

/** The store of a runner that has the bytes. */
export interface KeptBy {
  readonly storeId: string;
  readonly runnerId: string;
}

/** Keeps a file that an attempt left behind. A name that the attempt has used already keeps its first content. */
export async function insertArtifact(
  tx: Tx,
  attempt: AttemptRef,
  artifact: NewArtifact,
  now: Date,
  keptBy: KeptBy | null = null,
): Promise<void> {
  const id = newId("artifact", now);
  const changed = await tx.sql.run(
    `INSERT INTO "Artifact" ("id", "runId", "attemptId", "stepKey", "attemptNo", "name", "mime", "sizeBytes", "sha256", "system", "createdAt")
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
    id,
    attempt.runId,
    attempt.id,
    attempt.stepKey,
    attempt.no,
    artifact.name,
    artifact.mime,
    artifact.sizeBytes,
    artifact.sha256,
    artifact.system ? 1 : 0,
    toDbTime(now),
  );
  if (changed === 0) return;
  const { name, mime, sizeBytes, sha256, system } = artifact;
  if (keptBy) await noteStoredAfar(tx, id, { ...keptBy, sha256, sizeBytes });
  const data = {
    runId: attempt.runId,
    stepKey: attempt.stepKey,
    attemptNo: attempt.no,
    artifactId: id,
    name,
    mime,
    sizeBytes,
    sha256,
    system,
    at: now.toISOString(),
  };
  await tx.event("artifact_created", { runId: attempt.runId, projectId: attempt.projectId }, data);
}

/** What an attempt has left behind so far, without what Maia itself renders. */
export interface ArtifactTotals {
  readonly count: number;
  readonly bytes: number;
}

export async function artifactTotals(sql: Sql, attemptId: string): Promise<ArtifactTotals> {
  const text = `SELECT COUNT(*) AS "count", COALESCE(SUM("sizeBytes"), 0) AS "bytes" FROM "Artifact" WHERE "attemptId" = ? AND "system" = 0`;
  return (await sql.get<ArtifactTotals>(text, attemptId)) ?? { count: 0, bytes: 0 };
}
