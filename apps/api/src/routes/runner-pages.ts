import { allReleases, listActivity, listInstances, type RunnerRow } from "@maia/db";
import { MaiaError, versionState } from "@maia/domain";
import { type Call, ok, type Route, route } from "../http/route.js";
import { flag, list, named, nullable, object, text } from "../http/shapes.js";
import { pageOf, pageRequest, paging } from "../present/common.js";
import { definitionOf } from "../present/runner.js";
import { activity, presentActivity } from "../present/runner-activity.js";
import { instance, presentInstance } from "../present/runner-instance.js";
import { deploymentOf } from "../runners/deployment/index.js";
import { requireUnmanaged, visibleRunner } from "../runners/find.js";
import { parametersOf } from "../runners/parameters.js";

const parameter = named(
  "RunnerParameter",
  object({
    name: text(),
    needed: flag(),
    meaning: text(),
    default: nullable(text()),
    value: nullable(text({ description: "For this runner; null where it is a secret, or not set" })),
    where: text({ description: "Where it is set on the runner's platform" }),
  }),
);

const deployment = named(
  "RunnerDeployment",
  object({
    platform: text(),
    deployment: text(),
    image: text(),
    files: list(object({ path: text(), content: text() }), 100),
    commands: list(text(), 100),
    notes: list(text(), 100),
  }),
);

/** Maia's address as the caller reached it, unless it is configured. */
function addressOf({ context, req }: Call): string {
  const { publicUrl, tls } = context.config;
  if (publicUrl) return publicUrl.href.replace(/\/$/, "");
  const scheme = tls || (req as { secure?: boolean }).secure ? "https" : "http";
  return `${scheme}://${req.headers.host}`;
}

const MANAGED = "nothing of it is deployed, since it runs with Maia";

export const runnerPageRoutes: readonly Route[] = [
  route({
    method: "get",
    path: "/v1/runners/{id}/deployment",
    operationId: "getRunnerDeployment",
    summary: "How to deploy the runner: files to write and commands to give. The secret is for you to put in",
    tag: "Runners",
    permission: "runners.read",
    answers: { 200: { description: "The deployment", shape: deployment } },
    handler: async (call) => {
      const row = await visibleRunner(call, call.params.id);
      requireUnmanaged(row, MANAGED);
      const context = { runnerId: row.id, gatewayUrl: addressOf(call), releasedImage: await releasedImage(call, row) };
      const found = deploymentOf(definitionOf(row), context);
      if (!found)
        throw new MaiaError("NOT_FOUND", "A runner in Snowflake has no template here; its specification is in infra/");
      return ok({ platform: row.platform, deployment: row.deployment, ...found });
    },
  }),
  route({
    method: "get",
    path: "/v1/runners/{id}/parameters",
    operationId: "listRunnerParameters",
    summary:
      "What the runner's instances need in their environment, and what else they can be told. A change takes a restart",
    tag: "Runners",
    permission: "runners.read",
    answers: { 200: { description: "All of them", shape: pageOf(parameter) } },
    handler: async (call) => {
      const row = await visibleRunner(call, call.params.id);
      requireUnmanaged(row, MANAGED);
      const { env } = definitionOf(row).config;
      return ok({ items: parametersOf(row, env, addressOf(call)), nextCursor: null });
    },
  }),
  route({
    method: "get",
    path: "/v1/runners/{id}/activity",
    operationId: "listRunnerActivity",
    summary: "What was done to the runner and what it did, newest first",
    tag: "Runners",
    permission: "runners.read",
    query: paging,
    answers: { 200: { description: "A page of its history", shape: pageOf(activity) } },
    handler: async (call) => {
      const { id } = await visibleRunner(call, call.params.id);
      const page = await listActivity(call.context.db.sql, id, pageRequest(call.query));
      return ok({ ...page, items: page.items.map(presentActivity) });
    },
  }),
  route({
    method: "get",
    path: "/v1/runners/{id}/instances",
    operationId: "listRunnerInstances",
    summary: "The processes of the runner, newest first, those that are gone too",
    tag: "Runners",
    permission: "runners.read",
    query: paging,
    answers: { 200: { description: "A page of instances", shape: pageOf(instance) } },
    handler: async (call) => {
      const { id } = await visibleRunner(call, call.params.id);
      const page = await listInstances(call.context.db.sql, id, pageRequest(call.query));
      return ok({ ...page, items: page.items.map(presentInstance) });
    },
  }),
];

async function releasedImage({ context, now }: Call, row: RunnerRow): Promise<string | null> {
  const releases = await allReleases(context.db.sql);
  const { track } = definitionOf(row);
  const { latest } = versionState(null, track, releases, now);
  return releases.find((release) => release.version === latest && release.track === track)?.image ?? null;
}
