import { type Tx, toDbTime } from "@maia/db";
import {
  canonicalJson,
  depsHash,
  hasDependencies,
  type InputIssue,
  invalid,
  newId,
  parseDefinition,
  snapHash,
  type WorkflowSnapshot,
} from "@maia/domain";
import type { IntakeContext } from "./context.js";

export interface PublishRequest {
  readonly projectId: string;
  readonly slug: string;
  /** The definition as it came. */
  readonly definition: unknown;
  /** False saves the draft only. */
  readonly publish: boolean;
  readonly message: string;
  readonly principal: string;
  /** Refuses when it says no to the definition that is there, or to there being none. */
  readonly guard?: (current: { readonly draftHash: string } | null) => void;
}

export interface Published {
  readonly workflowId: string;
  /** The latest version; null while nothing is published. */
  readonly version: number | null;
  readonly snapHash: string;
  /** True: the workflow did not exist before. */
  readonly created: boolean;
  /** True: a new version was made. */
  readonly published: boolean;
}

interface Current {
  readonly id: string;
  readonly draftHash: string;
  readonly latestVersion: number | null;
  readonly deletedAt: string | null;
}

/**
 * Creates or replaces a workflow's definition, and publishes it if it differs from the latest version.
 * @throws {MaiaError} INVALID, RESERVED_KEY, CYCLE with pointers into the definition
 */
export async function publishWorkflow(
  { db, schemas }: IntakeContext,
  request: PublishRequest,
  now: Date,
): Promise<Published> {
  const snapshot = parseDefinition(withName(request));
  if (snapshot.name !== request.slug) {
    throw invalid([{ pointer: "/name", message: `is ${snapshot.name}, but the address names ${request.slug}` }]);
  }
  const issues = await schemaIssues(schemas, snapshot);
  if (issues.length > 0) throw invalid(issues);
  const hash = snapHash(snapshot);
  const text = canonicalJson(snapshot);
  return db.write(async (tx) => {
    const current = await findCurrent(tx, request);
    const isThere = current !== undefined && current.deletedAt === null;
    request.guard?.(isThere ? current : null);
    const workflowId = await saveDraft(tx, request, snapshot, current, text, hash, now);
    const latest = current?.latestVersion ?? null;
    if (!request.publish) return { workflowId, version: latest, snapHash: hash, created: !isThere, published: false };
    const same = latest !== null && (await hashOfVersion(tx, workflowId, latest)) === hash;
    const version = same ? latest : await insertVersion(tx, workflowId, request, snapshot, text, hash, now);
    return { workflowId, version, snapHash: hash, created: !isThere, published: !same };
  });
}

/** The address names the workflow; the definition may leave the name out. */
function withName({ definition, slug }: PublishRequest): unknown {
  const isObject = typeof definition === "object" && definition !== null && !Array.isArray(definition);
  return isObject && !Object.hasOwn(definition, "name") ? { ...definition, name: slug } : definition;
}

async function schemaIssues(schemas: IntakeContext["schemas"], { inputSpec }: WorkflowSnapshot): Promise<InputIssue[]> {
  if (!inputSpec?.paramsSchema) return [];
  const at = "/inputSpec/paramsSchema";
  const issues = (await schemas.check(inputSpec.paramsSchema)).map((issue) => ({
    ...issue,
    pointer: at + issue.pointer,
  }));
  if (issues.length > 0) return issues;
  for (const [index, example] of inputSpec.examples.entries()) {
    const checked = await schemas.validate(inputSpec.paramsSchema, example.params);
    for (const issue of checked.issues)
      issues.push({ ...issue, pointer: `/inputSpec/examples/${index}/params${issue.pointer}` });
  }
  return issues;
}

function findCurrent(tx: Tx, { projectId, slug }: PublishRequest): Promise<Current | undefined> {
  const text = `SELECT "id", "draftHash", "latestVersion", "deletedAt" FROM "Workflow" WHERE "projectId" = ? AND "slug" = ?`;
  return tx.sql.get(text, projectId, slug);
}

/** A deleted workflow comes back with its versions when its name is used again. */
async function saveDraft(
  tx: Tx,
  { projectId, slug }: PublishRequest,
  { description }: WorkflowSnapshot,
  current: Current | undefined,
  text: string,
  hash: string,
  now: Date,
): Promise<string> {
  const at = toDbTime(now);
  if (current) {
    const update = `UPDATE "Workflow" SET "description" = ?, "draft" = ?, "draftHash" = ?, "updatedAt" = ?, "deletedAt" = NULL WHERE "id" = ?`;
    if (current.draftHash !== hash || current.deletedAt !== null)
      await tx.sql.run(update, description, text, hash, at, current.id);
    return current.id;
  }
  const id = newId("workflow", now);
  await tx.sql.run(
    `INSERT INTO "Workflow" ("id", "projectId", "slug", "description", "draft", "draftHash", "createdAt", "updatedAt") VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    id,
    projectId,
    slug,
    description,
    text,
    hash,
    at,
    at,
  );
  return id;
}

async function hashOfVersion(tx: Tx, workflowId: string, version: number): Promise<string | undefined> {
  const text = `SELECT "snapHash" FROM "WorkflowVersion" WHERE "workflowId" = ? AND "version" = ?`;
  return (await tx.sql.get<{ snapHash: string }>(text, workflowId, version))?.snapHash;
}

async function insertVersion(
  tx: Tx,
  workflowId: string,
  { message, principal }: PublishRequest,
  { dependencies }: WorkflowSnapshot,
  text: string,
  hash: string,
  now: Date,
): Promise<number> {
  const newest = await tx.sql.get<{ version: number | null }>(
    `SELECT MAX("version") AS "version" FROM "WorkflowVersion" WHERE "workflowId" = ?`,
    workflowId,
  );
  const version = (newest?.version ?? 0) + 1;
  await tx.sql.run(
    `INSERT INTO "WorkflowVersion" ("id", "workflowId", "version", "workflowSnap", "snapHash", "depsHash", "message", "createdAt", "createdBy")
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    newId("version", now),
    workflowId,
    version,
    text,
    hash,
    hasDependencies(dependencies) ? depsHash(dependencies, null) : null,
    message,
    toDbTime(now),
    principal,
  );
  await tx.sql.run(`UPDATE "Workflow" SET "latestVersion" = ? WHERE "id" = ?`, version, workflowId);
  return version;
}
