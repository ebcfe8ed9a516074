import {
  findVersion,
  findWholeVersion,
  listVersions,
  versionBefore,
  type WholeVersion,
  type WorkflowView,
} from "@maia/db";
import { invalid, storedSnapshot } from "@maia/domain";
import { etagOf } from "../http/precondition.js";
import { type Call, ok, type Route, route } from "../http/route.js";
import { optional, text } from "../http/shapes.js";
import { found, workflowOf } from "../lookup.js";
import { inProject, pageOf, pageRequest, paging, partOf } from "../present/common.js";
import { bundle, bundleOf, versionDiff } from "../present/version.js";
import { presentVersion, presentVersionSummary, versionSummary, workflowVersion } from "../present/workflow.js";
import { showChanges } from "../version-diff.js";

/** The number in an address; 0, which no version has, where there is none. */
export function versionNumber(text: string): number {
  return /^[1-9]\d{0,8}$/.test(text) ? Number(text) : 0;
}

export const versionRoutes: readonly Route[] = [
  route({
    method: "get",
    path: "/v1/workflows/{idOrSlug}/versions",
    operationId: "listVersions",
    summary: "The versions of a workflow, newest first",
    tag: "Workflows",
    permission: "workflows.read",
    query: { ...paging, ...inProject, ...partOf("the message") },
    answers: { 200: { description: "A page of versions", shape: pageOf(versionSummary) } },
    handler: async (call) => {
      const workflow = await workflowOf(call, call.params.idOrSlug, call.query.project);
      const page = await listVersions(call.context.db, workflow.id, pageRequest(call.query), call.query.q);
      return ok({ ...page, items: page.items.map((version) => presentVersionSummary(workflow, version)) });
    },
  }),
  route({
    method: "get",
    path: "/v1/workflows/{idOrSlug}/versions/{n}",
    operationId: "getVersion",
    summary: "A version with its frozen snapshot",
    tag: "Workflows",
    permission: "workflows.read",
    query: inProject,
    answers: { 200: { description: "The version", shape: workflowVersion, headers: { ETag: "The snapshot's hash" } } },
    handler: async (call) => {
      const workflow = await workflowOf(call, call.params.idOrSlug, call.query.project);
      const version = await findVersion(call.context.db, workflow.id, versionNumber(call.params.n));
      return ok(presentVersion(workflow, found(version, "version")), { ETag: `"${version?.snapHash}"` });
    },
  }),
  route({
    method: "get",
    path: "/v1/workflows/{idOrSlug}/versions/{n}/diff",
    operationId: "compareVersions",
    summary: "What has changed up to a version, from the one before it or from another",
    tag: "Workflows",
    permission: "workflows.read",
    query: {
      ...inProject,
      against: optional(text({ description: "The version to begin with: a number, `latest`, or `draft`" })),
    },
    answers: {
      200: { description: "The changes; `from` is null for what has no version before it", shape: versionDiff },
    },
    handler: async (call) => {
      const workflow = await workflowOf(call, call.params.idOrSlug, call.query.project);
      const to = await wholeVersion(call, workflow, call.params.n);
      const from = await otherSide(call, workflow, to.version, call.query.against);
      const [earlier, later] = [from && storedSnapshot(from.workflowSnap), storedSnapshot(to.workflowSnap)];
      const changes = earlier === null ? [{ op: "add", pointer: "", value: later }] : showChanges(earlier, later);
      const isPinnedAlike = from?.version === null || from?.depsHash === to.depsHash; // a draft has no packages yet
      const same = changes.length === 0 && isPinnedAlike;
      const sides = { from: from && sideOf(from), to: sideOf(to) };
      return ok({ workflow: workflow.slug, workflowId: workflow.id, ...sides, same, changes });
    },
  }),
  route({
    method: "get",
    path: "/v1/workflows/{idOrSlug}/versions/{n}/export",
    operationId: "exportVersion",
    summary: "A version as one file that another Maia can import",
    tag: "Workflows",
    permission: "workflows.read",
    query: inProject,
    answers: {
      200: {
        description: "The bundle",
        shape: bundle,
        headers: { ETag: "The bytes' hash", "Content-Disposition": "The name to save it under" },
      },
    },
    handler: async (call) => {
      const workflow = await workflowOf(call, call.params.idOrSlug, call.query.project);
      const whole = await wholeVersion(call, workflow, call.params.n);
      const file = bundleOf(workflow, whole);
      return ok(file, {
        ETag: etagOf(JSON.stringify(file)),
        "Content-Disposition": `attachment; filename="${workflow.slug}-v${whole.version}.maia.json"`,
      });
    },
  }),
];

async function wholeVersion({ context }: Call, { id }: WorkflowView, n: string): Promise<WholeVersion> {
  return found(await findWholeVersion(context.db.sql, id, versionNumber(n)), "version");
}

/** A side of a comparison. */
type Side = Pick<WholeVersion, "workflowSnap" | "snapHash"> & {
  readonly version: number | null;
  readonly depsHash: string | null;
};

async function otherSide(
  call: Call,
  workflow: WorkflowView,
  version: number,
  against: string | undefined,
): Promise<Side | null> {
  if (against === "draft") {
    return { version: null, workflowSnap: workflow.draft, snapHash: workflow.draftHash, depsHash: null };
  }
  if (against === undefined) {
    const before = await versionBefore(call.context.db.sql, workflow.id, version);
    return before === null ? null : wholeVersion(call, workflow, String(before));
  }
  const number = against === "latest" ? String(workflow.latestVersion) : against;
  if (versionNumber(number) > 0) return wholeVersion(call, workflow, number);
  throw invalid([{ pointer: "/against", message: "must be the number of a version, latest, or draft" }]);
}

function sideOf({ version, snapHash, depsHash }: Side) {
  return { version, snapHash, depsHash };
}
