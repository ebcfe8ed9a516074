import { findVersion } from "@maia/db";
import { freezeRequest, parseVersionRequest, promoteVersion, storeWorkflow } from "@maia/intake";
import { audited } from "../audited.js";
import { readJson } from "../http/body.js";
import { type Call, type Reply, type Route, route } from "../http/route.js";
import { optional } from "../http/shapes.js";
import { madeBefore, makeOnce, type Once, replayHeader } from "../idempotency.js";
import { found, placeOf, workflowOf } from "../lookup.js";
import { inProject } from "../present/common.js";
import { versionExample, versionRequest } from "../present/version.js";
import { madeVersion, presentVersionSummary, versionMessage, versionSummary } from "../present/workflow.js";
import { versionNumber } from "./versions.js";

/**
 * A bundle holds the lock of its packages beside a definition, so its body may be so many times as large as others. Not
 * more: reading JSON strictly holds up everybody else.
 */
const BUNDLE_FACTOR = 4;
/** How many levels deeper a definition lies in a bundle that lies in a request. */
const BUNDLE_LEVELS = 2;

const once = { "Idempotency-Key": "Makes asking again safe" };
const location = { Location: "Where the version is" };

export const versionChangeRoutes: readonly Route[] = [
  route({
    method: "post",
    path: "/v1/workflows/{idOrSlug}/versions",
    operationId: "createVersion",
    summary: "Makes a version of the draft, of a definition or of a bundle, as the latest or for jobs that name it",
    tag: "Workflows",
    permission: "workflows.write",
    query: inProject,
    requestHeaders: once,
    streamed: { content: { "application/json": { schema: versionRequest, example: versionExample } } },
    answers: {
      200: { description: "There is such a version already", shape: madeVersion, headers: location },
      201: { description: "The version", shape: madeVersion, headers: location },
    },
    handler: async (call) => {
      const { context, caller, params, query, req, now } = call;
      const { maxBytes, depthMax, timeoutMs } = context.config.body;
      const limits = { maxBytes: maxBytes * BUNDLE_FACTOR, depthMax: depthMax + BUNDLE_LEVELS, timeoutMs };
      const body = await readJson(req, limits);
      const before = await madeBefore({ ...call, body });
      if (before) return answer(call, before);
      const request = parseVersionRequest(body);
      const place = await placeOf(call, params.idOrSlug, query.project);
      const frozen = await freezeRequest(context.schemas, request, place.slug);
      const publishing = request.latest ? ("latest" as const) : ("aside" as const);
      const wanted = { ...place, publishing, message: request.message, principal: caller.id };
      const result = await makeOnce({ ...call, body }, async (tx) => {
        const { workflowId, version, made, published, restored } = await storeWorkflow(tx, wanted, frozen, now);
        const came = { version, made, published, restored };
        if (made || published || restored) await audited(tx, call, "version.create", workflowId, came);
        const location = `/v1/workflows/${workflowId}/versions/${version}`;
        return { location, status: made ? 201 : 200, made: { restored } };
      });
      return answer(call, result);
    },
  }),
  route({
    method: "post",
    path: "/v1/workflows/{idOrSlug}/versions/{n}/promote",
    operationId: "promoteVersion",
    summary: "Makes an earlier version what jobs get: its content, with its lock, comes back as a new version",
    tag: "Workflows",
    permission: "workflows.write",
    query: { ...inProject, message: optional(versionMessage) },
    requestHeaders: once,
    answers: {
      200: { description: "The version is the latest itself", shape: versionSummary, headers: location },
      201: { description: "The new version", shape: versionSummary, headers: location },
    },
    handler: async (call) => {
      const { caller, params, query, now } = call;
      const { id } = await workflowOf(call, params.idOrSlug, query.project);
      const number = versionNumber(params.n);
      const said = { message: query.message ?? "", principal: caller.id };
      const result = await makeOnce({ ...call, body: {} }, async (tx) => {
        const { version, made, published } = await promoteVersion(tx, id, number, said, now);
        if (published) await audited(tx, call, "version.promote", id, { from: number, version });
        return { location: `/v1/workflows/${id}/versions/${version}`, status: made ? 201 : 200, made: {} };
      });
      return answer(call, result);
    },
  }),
];

/** The version that a location names, as it is now, and what else came of the request. */
async function answer(call: Call, { location, status, made }: Once<{ readonly restored?: boolean }>): Promise<Reply> {
  const [, , , workflowId = "", , n = ""] = location.split("/");
  const workflow = await workflowOf(call, workflowId, undefined);
  const version = found(await findVersion(call.context.db, workflow.id, Number(n)), "version");
  const headers = { Location: location, ...replayHeader(made === null) };
  return { status, body: { ...presentVersionSummary(workflow, version), ...made }, headers };
}
