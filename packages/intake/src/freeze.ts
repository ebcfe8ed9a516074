import {
  canonicalJson,
  depsHash,
  hasDependencies,
  type InputIssue,
  invalid,
  parseBundle,
  parseDefinition,
  slugProblem,
  snapHash,
  storedSnapshot,
  type WorkflowSnapshot,
} from "@maia/domain";
import type { IntakeContext } from "./context.js";

/** A definition that was checked, as it is stored. */
export interface Frozen {
  readonly snapshot: WorkflowSnapshot;
  /** Canonical JSON. */
  readonly text: string;
  readonly snapHash: string;
  readonly depsHash: string | null;
  /** A lock that came with it; null leaves it to the first install. */
  readonly depsLock: string | null;
  /** What its author said about it. */
  readonly message: string;
}

/**
 * Checks a definition for the workflow `slug`; it may leave the name out.
 * @throws {MaiaError} INVALID, RESERVED_KEY, CYCLE with pointers into the definition
 */
export async function freezeDefinition(
  schemas: IntakeContext["schemas"],
  definition: unknown,
  slug: string,
): Promise<Frozen> {
  const snapshot = parseDefinition(withName(definition, slug));
  if (snapshot.name !== slug) {
    throw invalid([{ pointer: "/name", message: `is ${snapshot.name}, but the address names ${slug}` }]);
  }
  const issues = await schemaIssues(schemas, snapshot);
  if (issues.length > 0) throw invalid(issues);
  return frozen(snapshot, null, "");
}

/**
 * Checks a bundle for the workflow `slug`, which may be called otherwise than the one that it was exported from.
 * @throws {MaiaError} INVALID, HASH_MISMATCH, RESERVED_KEY, CYCLE with pointers into the bundle
 */
export async function freezeBundle(schemas: IntakeContext["schemas"], bundle: unknown, slug: string): Promise<Frozen> {
  const problem = slugProblem(slug);
  if (problem) throw invalid([{ pointer: "", message: `the workflow's name in the address ${problem}` }]);
  const { snapshot, depsLock, message } = parseBundle(bundle);
  const issues = await schemaIssues(schemas, snapshot);
  if (issues.length > 0) throw invalid(issues.map((issue) => ({ ...issue, pointer: `/workflowSnap${issue.pointer}` })));
  return frozen({ ...snapshot, name: slug }, depsLock, message);
}

/** What was checked once, from the text that was stored then. */
export function thaw(text: string): Frozen {
  return frozen(storedSnapshot(text), null, "");
}

function frozen(snapshot: WorkflowSnapshot, depsLock: string | null, message: string): Frozen {
  const { dependencies } = snapshot;
  return {
    snapshot,
    text: canonicalJson(snapshot),
    snapHash: snapHash(snapshot),
    depsHash: hasDependencies(dependencies) ? depsHash(dependencies, depsLock) : null,
    depsLock,
    message,
  };
}

/** The address names the workflow; the definition may leave the name out. */
function withName(definition: unknown, slug: string): unknown {
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
