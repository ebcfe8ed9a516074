import type { AllowList } from "@maia/domain";
import { ifMatch } from "../http/precondition.js";
import { ok, type Reply, type Route, route } from "../http/route.js";
import { list, map, named, object, optional, passedOn, text } from "../http/shapes.js";
import {
  allowListEtag,
  allowListOf,
  extendAllowList,
  narrowAllowList,
  replaceAllowList,
} from "../runners/allow-list.js";
import { managedRunner, visibleRunner } from "../runners/find.js";
import { orNotedRefusal } from "../runners/noted.js";

const allowList = named(
  "AllowList",
  object({ projects: map(object({ environments: optional(list(text(), 1_000)) }), 1_000) }),
  { projects: { prj_01kc1x0000000000000000000a: { environments: ["dev", "prod"] } } },
);

const allowListRequest = {
  ...passedOn({
    type: "object",
    required: ["projects"],
    properties: {
      projects: {
        type: "object",
        maxProperties: 1_000,
        description: "Projects by id or by name. Without environments, or with none: all of its environments",
        additionalProperties: {
          type: "object",
          properties: { environments: { type: "array", maxItems: 1_000, items: { type: "string" } } },
          additionalProperties: false,
        },
      },
    },
    additionalProperties: false,
  }),
  name: "AllowListRequest",
};

const example = { projects: { default: { environments: ["default"] } } };
const etagHeader = { ETag: "For If-Match" };
const requestHeaders = { "If-Match": "Changes nothing if the list has changed since" };
const answers = { 200: { description: "The list", shape: allowList, headers: etagHeader } };
const about = { tag: "Runners", permission: "runners.manage", requestHeaders, answers } as const;

function answer(found: AllowList): Reply {
  return ok(found, { ETag: allowListEtag(found) });
}

export const runnerAllowListRoutes: readonly Route[] = [
  route({
    method: "get",
    path: "/v1/runners/{id}/allowlist",
    operationId: "getAllowList",
    summary: "Who may use a runner while it is restricted. An empty list is nobody",
    tag: "Runners",
    permission: "runners.read",
    answers,
    handler: async (call) => answer(allowListOf(await visibleRunner(call, call.params.id), call.caller)),
  }),
  route({
    ...about,
    method: "put",
    path: "/v1/runners/{id}/allowlist",
    operationId: "replaceAllowList",
    summary: "Replaces who may use a runner. Steps that have started go on",
    body: { shape: allowListRequest, example },
    handler: async (call) => {
      const { id } = await managedRunner(call, call.params.id);
      const wanted = ifMatch(call.req);
      return answer(await orNotedRefusal(call, id, "ALLOWLIST", () => replaceAllowList(call, id, wanted)));
    },
  }),
  route({
    ...about,
    method: "patch",
    path: "/v1/runners/{id}/allowlist",
    operationId: "extendAllowList",
    summary: "Lets more projects or environments use a runner",
    body: { shape: allowListRequest, example },
    handler: async (call) => {
      const { id } = await managedRunner(call, call.params.id);
      const wanted = ifMatch(call.req);
      return answer(await orNotedRefusal(call, id, "ALLOWLIST", () => extendAllowList(call, id, wanted)));
    },
  }),
  route({
    ...about,
    method: "delete",
    path: "/v1/runners/{id}/allowlist",
    operationId: "narrowAllowList",
    summary: "Takes a project, or one of its environments, off the list. With its last environment a project goes too",
    query: {
      projectId: text({ description: "By id or by name" }),
      environment: optional(text({ description: "By name; without it the whole project goes" })),
    },
    handler: async (call) => {
      const { projectId, environment } = call.query;
      const { id } = await managedRunner(call, call.params.id);
      const wanted = ifMatch(call.req);
      const narrow = () => narrowAllowList(call, id, wanted, { projectId, environment });
      return answer(await orNotedRefusal(call, id, "ALLOWLIST", narrow));
    },
  }),
];
