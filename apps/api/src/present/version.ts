import type { WholeVersion, WorkflowView } from "@maia/db";
import { BUNDLE_FORMAT, type Bundle, storedSnapshot } from "@maia/domain";
import {
  anyObject,
  choice,
  flag,
  integer,
  type JsonSchema,
  list,
  named,
  nullable,
  object,
  optional,
  passedOn,
  text,
} from "../http/shapes.js";
import { id, iso, moment, sha256 } from "./common.js";
import { definition, definitionExample } from "./workflow.js";

const number = integer(1, 1_000_000_000);
const anything = passedOn({});

export const bundle = named(
  "WorkflowBundle",
  object(
    {
      format: choice([BUNDLE_FORMAT]),
      workflow: text(),
      version: number,
      message: text(),
      createdAt: moment,
      snapHash: sha256,
      workflowSnap: anyObject,
      depsHash: nullable(sha256),
      depsLock: nullable(text({ description: "The lock of the dependencies, as text" })),
    },
    { description: "A version as one file: scripts, schema and lock. The same version always gives the same bytes" },
  ),
);

/** A version as a file. */
export function bundleOf({ slug }: WorkflowView, whole: WholeVersion): Bundle {
  const { version, message, createdAt, snapHash, workflowSnap, depsHash, depsLock } = whole;
  const head = { format: BUNDLE_FORMAT, workflow: slug, version, message, createdAt: iso(createdAt) } as const;
  return { ...head, snapHash, workflowSnap: storedSnapshot(workflowSnap), depsHash, depsLock };
}

/** One side of a comparison; the draft has no number. */
const side = object({ version: nullable(number), snapHash: sha256, depsHash: nullable(sha256) });

const change = named(
  "VersionChange",
  object({
    op: choice(["add", "remove", "replace", "reorder"]),
    pointer: text({ description: "A JSON Pointer into the later snapshot; for `remove` into the earlier one" }),
    stepKey: optional(text()),
    value: optional(anything),
    from: optional(anything),
    to: optional(anything),
    patch: optional(text({ description: "A unified patch, for texts of several lines" })),
  }),
  { op: "replace", pointer: "/steps/0/timeoutMs", stepKey: "parse", from: 600_000, to: 900_000 },
);

export const versionDiff = named(
  "VersionDiff",
  object({
    workflow: text(),
    workflowId: id("wf"),
    from: nullable(side),
    to: side,
    same: flag({ description: "Nothing differs, neither content nor dependencies" }),
    changes: list(change, 100_000),
  }),
);

export const versionRequest: JsonSchema = {
  type: "object",
  description:
    "The draft, unless a definition or a bundle comes with it; then the workflow is made where there is none",
  properties: {
    message: { type: "string", maxLength: 5_000 },
    latest: { type: "boolean", description: "`false`: only jobs that name the version get it, and the draft stays" },
    definition: definition.schema,
    bundle: { type: "object", description: "What `GET …/export` gave, of any workflow" },
  },
  additionalProperties: false,
};

export const versionExample = { message: "Greets by name", latest: false, definition: definitionExample };
