import { findRunner, HOSTED_RUNNER, isEnginesOwn, sightOfPool } from "@maia/db";
import { INSTANCES_MAX } from "@maia/domain";
import { HttpProblem } from "../http/problems.js";
import { ok, type Route, route } from "../http/route.js";
import { choice, integer, list, named, nullable, object, optional, text } from "../http/shapes.js";
import { roles } from "../permissions.js";

const health = object({ status: text() });

const readiness = object({
  status: text(),
  hostedRunners: optional(
    integer(0, INSTANCES_MAX, { description: "With MAIA_HOSTED_POOL: how many of its processes are connected" }),
  ),
});

const me = named(
  "Me",
  object({ id: text(), name: text(), role: choice(roles), projects: nullable(list(text(), 1_000)) }),
  { id: "key_01kc1x0000000000000000000a", name: "laptop", role: "operator", projects: null },
);

export const systemRoutes: readonly Route[] = [
  route({
    method: "get",
    path: "/healthz",
    operationId: "getHealth",
    summary: "Whether the process answers",
    tag: "System",
    permission: "health.read",
    answers: { 200: { description: "It does", shape: health } },
    handler: () => ok({ status: "ok" }),
  }),
  route({
    method: "get",
    path: "/readyz",
    operationId: "getReadiness",
    summary: "Whether requests can be served: the database answers, and nothing is being stopped",
    tag: "System",
    permission: "health.read",
    answers: { 200: { description: "They can", shape: readiness }, 503: { description: "Not now", shape: health } },
    handler: async ({ context }) => {
      if (context.stopping.aborted) return { status: 503, body: { status: "stopping" } };
      const hosted = await findRunner(context.db.sql, HOSTED_RUNNER).catch(() => null);
      if (hosted === null) return { status: 503, body: { status: "the database does not answer" } };
      if (!hosted || isEnginesOwn(hosted)) return ok({ status: "ok" });
      const { instances } = await sightOfPool(context.db.sql, hosted.id);
      return ok({ status: "ok", hostedRunners: instances.length });
    },
  }),
  route({
    method: "get",
    path: "/metrics",
    operationId: "getMetrics",
    summary: "Figures for Prometheus",
    tag: "System",
    permission: "metrics.read",
    answers: { 200: { description: "Text exposition format", content: { "text/plain": { type: "string" } } } },
    handler: async ({ context }) => ({
      status: 200,
      headers: { "Content-Type": "text/plain; version=0.0.4; charset=utf-8" },
      body: await context.metrics.render(),
    }),
  }),
  route({
    method: "get",
    path: "/v1/me",
    operationId: "getMe",
    summary: "Whose key this is, and what it may",
    tag: "System",
    permission: "me.read",
    answers: { 200: { description: "The caller", shape: me } },
    handler: ({ caller }) => {
      if (!caller.role) throw new HttpProblem("UNAUTHENTICATED", "The API key is not valid");
      const { id, name, role, projects } = caller;
      return ok({ id, name, role, projects });
    },
  }),
];
