import {
  findRunner,
  insertRunner,
  listRunners,
  requireRunner,
  tellRunnerStatus,
  updateRunner,
  viewRunner,
} from "@maia/db";
import { newId, Reader, type RunnerDefinition, readRunnerChange, readRunnerDefinition } from "@maia/domain";
import { etagOf, ifMatch, requireMatch } from "../http/precondition.js";
import { created, ok, type Route, route } from "../http/route.js";
import { choice, optional } from "../http/shapes.js";
import { madeBefore, makeOnce, replayHeader } from "../idempotency.js";
import { found } from "../lookup.js";
import { pageOf, pageRequest, paging } from "../present/common.js";
import { changedRunner, definitionOf, newRunner, presentRunner, removed, runner } from "../present/runner.js";
import { runnerChange, runnerRequest } from "../present/runner-requests.js";
import { newSecret } from "../runners/credentials.js";
import {
  canSeeRunner,
  describeRunner,
  managedRunner,
  presenting,
  requireAllProjects,
  requireUnmanaged,
  visibleRunner,
} from "../runners/find.js";
import { noted, orNotedRefusal } from "../runners/noted.js";
import { remove } from "../runners/remove.js";

const etagHeader = { ETag: "For If-Match" };

/** Changes with what people define, not with what the runner does. */
function etag(definition: RunnerDefinition): string {
  return etagOf(JSON.stringify(definition));
}

/** What a change does not do by itself. */
function noticesOf(before: RunnerDefinition, after: RunnerDefinition): string[] {
  const changed = (name: keyof RunnerDefinition) => JSON.stringify(before[name]) !== JSON.stringify(after[name]);
  return [
    ...(changed("track")
      ? [
          "The track does not update what is installed: point the service at an image of the new track, or its version may show as OUT_OF_SUPPORT",
        ]
      : []),
    ...(changed("track") && after.track === "stable"
      ? ["Workflows that were made with a newer version may not run as expected on the stable one"]
      : []),
    ...(changed("config") ? ["Instances have the new configuration once they are deployed with it"] : []),
    ...(after.autoUpdate && after.config.minInstances < 2 && (changed("autoUpdate") || changed("config"))
      ? ["Updates replace one instance after the other: with fewer than 2, work waits while one is replaced"]
      : []),
  ];
}

export const runnerRoutes: readonly Route[] = [
  route({
    method: "get",
    path: "/v1/runners",
    operationId: "listRunners",
    summary: "Runners, newest first, the hosted one among them",
    tag: "Runners",
    permission: "runners.read",
    query: paging,
    answers: { 200: { description: "A page of runners", shape: pageOf(runner) } },
    handler: async (call) => {
      const { context, caller, query } = call;
      const page = await listRunners(context.db.sql, pageRequest(query));
      const visible = page.items.filter((view) => canSeeRunner(caller, view));
      const shown = await presenting(call);
      return ok({ ...page, items: visible.map((view) => presentRunner(view, shown)) });
    },
  }),
  route({
    method: "post",
    path: "/v1/runners",
    operationId: "createRunner",
    summary: "Makes a runner, with the credentials that its instances need",
    tag: "Runners",
    permission: "runners.manage",
    requestHeaders: { "Idempotency-Key": "Makes asking again safe; the credentials are answered the first time only" },
    body: {
      shape: runnerRequest,
      example: { name: "warehouse-eu", platform: "self_managed", deployment: "docker", restricted: true },
    },
    answers: { 201: { description: "The runner", shape: newRunner, headers: etagHeader } },
    handler: async (call) => {
      const { context, body, now } = call;
      requireAllProjects(call);
      const definition = Reader.read(body, readRunnerDefinition);
      const id = newId("runner", now);
      const { credentials, stored } = await newSecret(context.secrets, id);
      const { location, made } =
        (await madeBefore(call)) ??
        (await makeOnce(call, async (tx) => {
          await insertRunner(tx, id, definition, stored, now);
          const { name, type, platform } = definition;
          await noted(tx, call, id, { action: "CREATE", data: { name, type, platform } });
          const row = await requireRunner(tx, id);
          await tellRunnerStatus(tx, row, context.config.constants.pauseAutoResumeMs, now);
          return { location: `/v1/runners/${id}`, made: credentials };
        }));
      const row = found(await findRunner(context.db.sql, location.split("/").at(-1)!), "runner");
      const { view, body: answer } = await describeRunner(call, row);
      const headers = { ETag: etag(definitionOf(view)), ...replayHeader(made === null) };
      return created(location, made ? { ...answer, credentials: made } : answer, headers);
    },
  }),
  route({
    method: "get",
    path: "/v1/runners/{id}",
    operationId: "getRunner",
    summary: "A runner, by id or by name, with what it is doing",
    tag: "Runners",
    permission: "runners.read",
    answers: { 200: { description: "The runner", shape: runner, headers: etagHeader } },
    handler: async (call) => {
      const { view, body } = await describeRunner(call, await visibleRunner(call, call.params.id));
      return ok(body, { ETag: etag(definitionOf(view)) });
    },
  }),
  route({
    method: "patch",
    path: "/v1/runners/{id}",
    operationId: "updateRunner",
    summary: "Changes a runner. What of `config` is not named stays",
    tag: "Runners",
    permission: "runners.manage",
    requestHeaders: { "If-Match": "Changes nothing if the runner has changed since" },
    body: { shape: runnerChange, example: { description: "Beside the warehouse" } },
    answers: { 200: { description: "The runner, and what is left to do", shape: changedRunner, headers: etagHeader } },
    handler: async (call) => {
      const { req, context, params, body, now } = call;
      const { id, name } = await managedRunner(call, params.id);
      const tags = ifMatch(req);
      const [before, after] = await orNotedRefusal(call, id, "UPDATE", () =>
        context.db.write(async (tx) => {
          const row = await requireRunner(tx, id);
          const before = definitionOf(row);
          requireMatch(tags, etag(before));
          const after = Reader.read(body, (root) => readRunnerChange(root, before));
          const fields = changedFields(before, after);
          if (fields.some((field) => field !== "description" && field !== "restricted"))
            requireUnmanaged(row, "its description and its allow list are what can change");
          if (fields.length > 0) {
            await updateRunner(tx, id, after, now);
            await noted(tx, call, id, { action: "UPDATE", data: { fields } });
          }
          return [before, after] as const;
        }),
      );
      const row = found(await findRunner(context.db.sql, id), `runner ${name}`);
      const { body: answer } = await describeRunner(call, row);
      return ok({ ...answer, notices: noticesOf(before, after) }, { ETag: etag(after) });
    },
  }),
  route({
    method: "delete",
    path: "/v1/runners/{id}",
    operationId: "removeRunner",
    summary: "Removes a runner that nobody counts on; with force, whatever counts on it ends",
    tag: "Runners",
    permission: "runners.manage",
    query: { force: optional(choice(["true", "false"])) },
    requestHeaders: { "If-Match": "Removes nothing if the runner has changed since" },
    answers: { 200: { description: "What stays behind", shape: removed } },
    handler: async (call) => {
      const row = await managedRunner(call, call.params.id);
      const tags = ifMatch(call.req);
      requireMatch(tags, etag(definitionOf(await viewRunner(call.context.db.sql, row))));
      return orNotedRefusal(call, row.id, "REMOVE", async () => {
        requireUnmanaged(row, "it comes with Maia and cannot be removed");
        return ok(await remove(call, row, call.query.force === "true"));
      });
    },
  }),
];

function changedFields(before: RunnerDefinition, after: RunnerDefinition): string[] {
  const names = Object.keys(after) as (keyof RunnerDefinition)[];
  return names.filter((name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]));
}
