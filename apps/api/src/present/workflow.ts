import { COUNTED_MAX, type VersionView, type WorkflowActivity, type WorkflowView } from "@maia/db";
import { storedSnapshot, VERSION_MESSAGE_MAX, versionMessageProblem } from "@maia/domain";
import {
  anyObject,
  choice,
  flag,
  integer,
  type JsonSchema,
  named,
  nullable,
  type Of,
  object,
  optional,
  passedOn,
  text,
} from "../http/shapes.js";
import { id, iso, moment, sha256 } from "./common.js";
import { runStatuses } from "./run.js";

const version = integer(1, 1_000_000_000);

const lastRun = named(
  "LastRun",
  object({
    id: id("run"),
    jobId: id("job"),
    status: choice(runStatuses),
    createdAt: moment,
    finishedAt: nullable(moment),
  }),
);

const recent = named(
  "RecentRuns",
  object(
    {
      succeeded: integer(0, 100),
      failed: integer(0, 100),
      canceled: integer(0, 100),
      successRate: nullable({
        schema: { type: "number", minimum: 0, maximum: 1, description: "Of those that were not canceled" },
        read: (at) => at.number(0, 1),
      }),
    },
    { description: "How the runs ended that were begun last, at most 20" },
  ),
  { succeeded: 18, failed: 1, canceled: 1, successRate: 0.947 },
);

const summaryFields = {
  id: id("wf"),
  name: text({ description: "The slug" }),
  project: text(),
  projectId: id("prj"),
  description: text(),
  latestVersion: nullable(version),
  hasUnpublishedChanges: flag(),
  lastRun: nullable(lastRun),
  queued: integer(0, COUNTED_MAX, { description: `Jobs that wait; ${COUNTED_MAX} stands for that many or more` }),
  running: integer(0, COUNTED_MAX, { description: "Jobs that run" }),
  recent,
  createdAt: moment,
  updatedAt: moment,
} as const;

export const workflowSummary = named("WorkflowSummary", object(summaryFields));
export const workflow = named("Workflow", object({ ...summaryFields, definition: anyObject }));

const versionFields = {
  workflow: text(),
  workflowId: id("wf"),
  version,
  snapHash: sha256,
  depsHash: nullable(sha256),
  latest: flag({ description: "Jobs get it unless they name another" }),
  message: text(),
  createdBy: nullable(text()),
  createdAt: moment,
} as const;

/** What somebody says about a version that he makes. */
export const versionMessage = text({ maxLength: VERSION_MESSAGE_MAX }, versionMessageProblem);

export const versionSummary = named("WorkflowVersionSummary", object(versionFields));
export const workflowVersion = named("WorkflowVersion", object({ ...versionFields, workflowSnap: anyObject }));

const restored = flag({ description: "It had been deleted, and is back with its versions" });

/** A version that was just made, or was there already. */
export const madeVersion = named("MadeWorkflowVersion", object({ ...versionFields, restored: optional(restored) }));

/** What PUT answers. */
export const publication = named(
  "Publication",
  object({
    workflow: text(),
    workflowId: id("wf"),
    version: nullable(version),
    snapHash: sha256,
    published: flag(),
    restored,
  }),
  {
    workflow: "csv-report",
    workflowId: "wf_01kc1x8m0000000000000000b2",
    version: 3,
    snapHash: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    published: true,
    restored: false,
  },
);

const filesRule = {
  type: "object",
  properties: { enabled: { type: "boolean" }, required: { type: "boolean" }, maxItems: { type: "integer" } },
};

const definitionSchema: JsonSchema = {
  type: "object",
  description: "A workflow as its author writes it. Scripts are sent as text.",
  required: ["steps"],
  properties: {
    name: { type: "string", pattern: "^[a-z0-9][a-z0-9-]{0,62}$" },
    description: { type: "string" },
    inputSpec: {
      type: "object",
      properties: {
        version: { const: 2 },
        paramsSchema: { type: "object", description: "A JSON Schema" },
        filesInput: { type: "object", properties: { uploadFiles: filesRule, urlFiles: filesRule } },
        examples: { type: "array", items: { type: "object" } },
      },
    },
    outputsSpec: { type: "object", properties: { version: { const: 1 }, outputs: { type: "object" } } },
    env: { type: "object", additionalProperties: { type: "string" } },
    secrets: { type: "array", items: { type: "string" } },
    dependencies: {
      type: "object",
      properties: {
        npm: { type: "object", additionalProperties: { type: "string" } },
        python: { type: "array", items: { type: "string" } },
        allowScripts: {
          type: "array",
          items: { type: "string" },
          description: "npm packages whose install scripts run",
        },
      },
    },
    reuse: { type: "boolean" },
    timeoutMs: { type: ["integer", "null"], description: "How long a run may take" },
    concurrency: { type: ["integer", "null"], description: "How many steps of a run may go on at once" },
    queueTimeoutMs: { type: ["integer", "null"], description: "How long a job may wait for an engine" },
    steps: {
      type: "array",
      minItems: 1,
      items: {
        type: "object",
        required: ["key", "script"],
        properties: {
          key: { type: "string", pattern: "^[a-z0-9_][a-z0-9_-]{0,62}$" },
          name: { type: "string" },
          runtime: { enum: ["node", "python", "shell"] },
          script: { type: "string" },
          deps: { type: "array", items: { type: "string" } },
          artifacts: { type: "array", items: { type: "object" } },
          secrets: { type: "array", items: { type: "string" } },
          timeoutMs: { type: "integer" },
          retry: { type: "object" },
          transaction: { type: ["string", "null"] },
          rollback: { type: "boolean" },
          limits: {
            type: ["object", "null"],
            description: "Memory and CPU time of each process of the step, and how many it may have",
            properties: {
              memoryBytes: { type: ["integer", "null"] },
              processes: { type: ["integer", "null"] },
              cpuMs: { type: ["integer", "null"] },
            },
          },
        },
      },
    },
  },
};

/** A workflow's definition; the domain checks it. */
export const definition = { ...passedOn(definitionSchema), name: "WorkflowDefinitionRequest" };

/** Some fields of a definition. */
export const definitionPatch = {
  ...(passedOn({
    ...definitionSchema,
    required: [],
    description: "Fields that replace those of the definition; null takes one away.",
  }) as typeof anyObject),
  name: "WorkflowDefinitionPatch",
};

export const definitionExample = {
  name: "hello",
  steps: [
    {
      key: "greet",
      runtime: "node",
      script: "export default async (ctx) => ({ greeting: ctx.params.who });",
    },
  ],
};

/** A workflow in a list. */
export function presentWorkflowSummary(view: WorkflowView, activity: WorkflowActivity): Of<typeof workflowSummary> {
  const { id, slug, project, projectId, description, latestVersion, draftHash } = view;
  const hasUnpublishedChanges = draftHash !== view.latestHash;
  const times = { createdAt: iso(view.createdAt), updatedAt: iso(view.updatedAt) };
  const about = { id, name: slug, project, projectId, description, latestVersion, hasUnpublishedChanges };
  return { ...about, ...presentActivity(activity), ...times };
}

function presentActivity({ lastRun, queued, running, recent }: WorkflowActivity) {
  const { succeeded, failed } = recent;
  const counted = succeeded + failed;
  const successRate = counted === 0 ? null : Math.round((1_000 * succeeded) / counted) / 1_000;
  const last = lastRun && { ...lastRun, createdAt: iso(lastRun.createdAt), finishedAt: iso(lastRun.finishedAt) };
  return { lastRun: last, queued, running, recent: { ...recent, successRate } };
}

/** A workflow with its editable definition. */
export function presentWorkflow(view: WorkflowView, activity: WorkflowActivity): Of<typeof workflow> {
  return { ...presentWorkflowSummary(view, activity), definition: storedSnapshot(view.draft) };
}

type Bare = Omit<VersionView, "workflowSnap">;

/** A version in a list. */
export function presentVersionSummary(
  { slug, id, latestVersion }: WorkflowView,
  view: Bare,
): Of<typeof versionSummary> {
  const { version, snapHash, depsHash, message, createdBy, createdAt } = view;
  const latest = version === latestVersion;
  const about = { workflow: slug, workflowId: id, version, snapHash, depsHash, latest };
  return { ...about, message, createdBy, createdAt: iso(createdAt) };
}

/** A version with its frozen snapshot, exactly as it was hashed. */
export function presentVersion(workflow: WorkflowView, view: VersionView): Of<typeof workflowVersion> {
  return { ...presentVersionSummary(workflow, view), workflowSnap: storedSnapshot(view.workflowSnap) };
}
