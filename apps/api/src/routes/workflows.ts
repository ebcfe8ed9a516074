import { deleteWorkflow, listWorkflows, type Tx, workflowActivity, workflowSorts } from "@maia/db";
import { MaiaError, Reader, storedSnapshot } from "@maia/domain";
import { type Published, publishWorkflow } from "@maia/intake";
import { audited } from "../audited.js";
import { ifMatch, requireMatch } from "../http/precondition.js";
import { type Call, ok, type Reply, type Route, route } from "../http/route.js";
import { choice, optional } from "../http/shapes.js";
import { intakeContext } from "../job-intake.js";
import { placeOf, projectOf, workflowOf } from "../lookup.js";
import { inProject, pageOf, pageRequest, paging, partOf } from "../present/common.js";
import {
  definition,
  definitionExample,
  definitionPatch,
  presentWorkflow,
  presentWorkflowSummary,
  publication,
  versionMessage,
  workflow,
  workflowSummary,
} from "../present/workflow.js";

const etagHeader = { ETag: "For If-Match" };
const ifMatchHeader = { "If-Match": "Does nothing if the definition has changed since" };

const publishQuery = {
  ...inProject,
  publish: optional(choice(["true", "false"], { description: "`false` saves a draft only" })),
  message: optional(versionMessage),
};

export const workflowRoutes: readonly Route[] = [
  route({
    method: "get",
    path: "/v1/workflows",
    operationId: "listWorkflows",
    summary: "Workflows with what goes on in them, newest first unless asked for otherwise",
    tag: "Workflows",
    permission: "workflows.read",
    query: {
      ...paging,
      ...inProject,
      ...partOf("the name or the description"),
      sort: optional(choice(workflowSorts, { description: "`created` unless given" })),
      order: optional(choice(["asc", "desc"], { description: "`asc` for names, else `desc`, unless given" })),
    },
    answers: { 200: { description: "A page of workflows", shape: pageOf(workflowSummary) } },
    handler: async (call) => {
      const { context, caller, query } = call;
      const project = query.project === undefined ? undefined : await projectOf(call, query.project);
      const filter = { projectId: project?.id, q: query.q };
      const page = await listWorkflows(context.db, caller.projects, filter, pageRequest(query), query.sort);
      const activity = await workflowActivity(
        context.db.sql,
        page.items.map(({ id }) => id),
      );
      return ok({ ...page, items: page.items.map((view) => presentWorkflowSummary(view, activity.get(view.id)!)) });
    },
  }),
  route({
    method: "get",
    path: "/v1/workflows/{idOrSlug}",
    operationId: "getWorkflow",
    summary: "A workflow with its editable definition",
    tag: "Workflows",
    permission: "workflows.read",
    query: inProject,
    answers: { 200: { description: "The workflow", shape: workflow, headers: etagHeader } },
    handler: async (call) => {
      const view = await workflowOf(call, call.params.idOrSlug, call.query.project);
      const activity = await workflowActivity(call.context.db.sql, [view.id]);
      return ok(presentWorkflow(view, activity.get(view.id)!), { ETag: etag(view) });
    },
  }),
  route({
    method: "put",
    path: "/v1/workflows/{idOrSlug}",
    operationId: "putWorkflow",
    summary: "Makes or replaces a workflow's definition, and publishes it if it has changed",
    tag: "Workflows",
    permission: "workflows.write",
    query: publishQuery,
    requestHeaders: ifMatchHeader,
    body: { shape: definition, example: definitionExample },
    answers: {
      200: { description: "It was there, and is as asked for", shape: publication, headers: etagHeader },
      201: { description: "It is new", shape: publication, headers: etagHeader },
    },
    handler: async (call) => {
      const { projectId, slug } = await placeOf(call, call.params.idOrSlug, call.query.project);
      const wanted = ifMatch(call.req);
      return publish(call, projectId, slug, call.body, (current) => requireMatch(wanted, current));
    },
  }),
  route({
    method: "patch",
    path: "/v1/workflows/{idOrSlug}",
    operationId: "patchWorkflow",
    summary: "Changes fields of a workflow's definition, and publishes it if it has changed",
    tag: "Workflows",
    permission: "workflows.write",
    query: publishQuery,
    requestHeaders: ifMatchHeader,
    body: { shape: definitionPatch, example: { description: "Counts the lines of each file." } },
    answers: { 200: { description: "It is as asked for", shape: publication, headers: etagHeader } },
    handler: async (call) => {
      const view = await workflowOf(call, call.params.idOrSlug, call.query.project);
      requireMatch(ifMatch(call.req), etag(view));
      const fields = Reader.read(call.body, (root) => root.record());
      const merged = mergePatch(storedSnapshot(view.draft), fields);
      // What was merged is right only for what was read.
      return publish(call, view.projectId, view.slug, merged, (current) => requireMatch([etag(view)], current));
    },
  }),
  route({
    method: "delete",
    path: "/v1/workflows/{idOrSlug}",
    operationId: "deleteWorkflow",
    summary: "Deletes a workflow. Its runs stay",
    tag: "Workflows",
    permission: "workflows.write",
    query: inProject,
    requestHeaders: ifMatchHeader,
    answers: { 204: { description: "It is gone" } },
    handler: async (call) => {
      const { context, now, req } = call;
      const view = await workflowOf(call, call.params.idOrSlug, call.query.project);
      requireMatch(ifMatch(req), etag(view));
      const isGone = await context.db.write(async (tx) => {
        const isDeleted = await deleteWorkflow(tx, view, now);
        if (isDeleted) await audited(tx, call, "workflow.delete", view.id, { workflow: view.slug });
        return isDeleted;
      });
      if (!isGone) throw new MaiaError("STATE_CONFLICT", "The workflow has changed at this very moment; look again");
      return { status: 204 };
    },
  }),
];

function etag({ draftHash }: { readonly draftHash: string }): string {
  return `"${draftHash}"`;
}

/** Stores a definition, if what is there now is what its author meant to change. */
async function publish(
  call: Call<unknown, { readonly publish?: "true" | "false"; readonly message?: string }>,
  projectId: string,
  slug: string,
  definition: unknown,
  check: (current: string | null) => void,
): Promise<Reply> {
  const { context, caller, now, query } = call;
  const request = {
    projectId,
    slug,
    definition,
    publish: query.publish !== "false",
    message: query.message ?? "",
    principal: caller.id,
    guard: (current: { readonly draftHash: string } | null) => check(current && etag(current)),
    onStored: (tx: Tx, stored: Published) => noteStored(tx, call, slug, stored),
  };
  const made = await publishWorkflow(intakeContext(context), request, now);
  const { workflowId, version, snapHash, created, published, restored } = made;
  return {
    status: created ? 201 : 200,
    body: { workflow: slug, workflowId, version, snapHash, published, restored },
    headers: { ETag: `"${snapHash}"`, Location: `/v1/workflows/${workflowId}` },
  };
}

/** Storing what is there already is no change, and leaves no trace. What was deleted is not there. */
async function noteStored(tx: Tx, call: Call, slug: string, stored: Published): Promise<void> {
  const { workflowId, version, created, published, saved, restored } = stored;
  if (!saved && !published) return;
  const action = published ? "workflow.publish" : "workflow.save";
  await audited(tx, call, action, workflowId, { workflow: slug, version, created, restored });
}

/** A merge patch (RFC 7396) at the top: fields that are given replace the old ones whole, null takes one away. */
function mergePatch(draft: object, patch: object): object {
  return Object.fromEntries(Object.entries({ ...draft, ...patch }).filter(([, value]) => value !== null));
}
