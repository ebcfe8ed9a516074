import { findVersion, listVersions } from "@maia/db";
import { ok, type Route, route } from "../http/route.js";
import { found, workflowOf } from "../lookup.js";
import { inProject, pageOf, pageRequest, paging } from "../present/common.js";
import { presentVersion, presentVersionSummary, versionSummary, workflowVersion } from "../present/workflow.js";

export const versionRoutes: readonly Route[] = [
  route({
    method: "get",
    path: "/v1/workflows/{idOrSlug}/versions",
    operationId: "listVersions",
    summary: "The published versions of a workflow, newest first",
    tag: "Workflows",
    permission: "workflows.read",
    query: { ...paging, ...inProject },
    answers: { 200: { description: "A page of versions", shape: pageOf(versionSummary) } },
    handler: async (call) => {
      const workflow = await workflowOf(call, call.params.idOrSlug, call.query.project);
      const page = await listVersions(call.context.db, workflow.id, pageRequest(call.query));
      return ok({ ...page, items: page.items.map((version) => presentVersionSummary(workflow, version)) });
    },
  }),
  route({
    method: "get",
    path: "/v1/workflows/{idOrSlug}/versions/{n}",
    operationId: "getVersion",
    summary: "A published version with its frozen snapshot",
    tag: "Workflows",
    permission: "workflows.read",
    query: inProject,
    answers: { 200: { description: "The version", shape: workflowVersion, headers: { ETag: "The snapshot's hash" } } },
    handler: async (call) => {
      const workflow = await workflowOf(call, call.params.idOrSlug, call.query.project);
      const number = /^[1-9]\d{0,8}$/.test(call.params.n) ? Number(call.params.n) : 0;
      const version = found(await findVersion(call.context.db, workflow.id, number), "version");
      return ok(presentVersion(workflow, version), { ETag: `"${version.snapHash}"` });
    },
  }),
];
