import {
  createEnvironment,
  type EnvironmentRow,
  type EnvironmentView,
  findEnvironmentView,
  findRunner,
  listEnvironments,
  updateEnvironment,
} from "@maia/db";
import {
  type DataResidency,
  dataResidencies,
  invalid,
  VARIABLES_MAX,
  variableNameProblem,
  variableValueProblem,
} from "@maia/domain";
import { audited } from "../audited.js";
import { etagOf, ifMatch, requireMatch } from "../http/precondition.js";
import { type Call, created, ok, type Route, route } from "../http/route.js";
import { choice, map, named, nullable, type Of, object, optional, text } from "../http/shapes.js";
import { makeOnce, replayHeader } from "../idempotency.js";
import { found, projectOf } from "../lookup.js";
import { id, iso, moment, nameOf, pageOf, pageRequest, paging } from "../present/common.js";

const variables = map(text({}, variableValueProblem), VARIABLES_MAX, variableNameProblem);
const defaultRunner = nullable(text({ description: "A runner, by id or by name" }));

const dataResidency = choice(dataResidencies, {
  description:
    "Where the bytes of files and artifacts stay: with Maia, or in a store of the runner, which must dial the gateway",
});

const environment = named(
  "Environment",
  object({
    id: id("env"),
    name: nameOf(100),
    project: text(),
    projectId: id("prj"),
    variables,
    defaultRunnerId: nullable(id("rnr")),
    defaultRunnerName: nullable(text()),
    dataResidency,
    createdAt: moment,
    updatedAt: moment,
  }),
  {
    id: "env_01kc1x0000000000000000000a",
    name: "default",
    project: "default",
    projectId: "prj_01kc1x0000000000000000000a",
    variables: { REPORT_STYLE: "short" },
    defaultRunnerId: null,
    defaultRunnerName: null,
    dataResidency: "maia",
    createdAt: "2026-11-20T12:00:00.123Z",
    updatedAt: "2026-11-20T12:00:00.123Z",
  },
);

const changeable = {
  variables: optional(variables),
  defaultRunner: optional(defaultRunner),
  dataResidency: optional(dataResidency),
} as const;

const newEnvironment = named("NewEnvironmentRequest", object({ name: nameOf(100), ...changeable }));

const environmentChange = named("EnvironmentChangeRequest", object(changeable));

type Project = { readonly id: string; readonly name: string };

function present(project: Project, view: EnvironmentView): Of<typeof environment> {
  return {
    id: view.id,
    name: view.name,
    project: project.name,
    projectId: project.id,
    variables: JSON.parse(view.variables),
    defaultRunnerId: view.defaultRunnerId,
    defaultRunnerName: view.defaultRunner?.name ?? null,
    dataResidency: view.dataResidency as DataResidency,
    createdAt: iso(view.createdAt),
    updatedAt: iso(view.updatedAt),
  };
}

type Tagged = Pick<EnvironmentRow, "variables" | "defaultRunnerId"> & { readonly dataResidency: string };

function etag(row: Tagged): string {
  return etagOf(JSON.stringify([row.variables, row.defaultRunnerId, row.dataResidency]));
}

/** The id of the runner that a request names. Undefined: it says nothing about one. */
async function runnerIdOf({ context }: Call, ref: string | null | undefined): Promise<string | null | undefined> {
  if (ref === undefined || ref === null) return ref;
  const runner = await findRunner(context.db.sql, ref);
  if (!runner) throw invalid([{ pointer: "/defaultRunner", message: "there is no such runner" }]);
  return runner.id;
}

async function answer(call: Call, project: Project, ref: string) {
  const view = found(await findEnvironmentView(call.context.db, project.id, ref), "environment");
  return { view, body: present(project, view), headers: { ETag: etag(view) } };
}

export const environmentRoutes: readonly Route[] = [
  route({
    method: "get",
    path: "/v1/projects/{id}/environments",
    operationId: "listEnvironments",
    summary: "The environments of a project, newest first",
    tag: "Environments",
    permission: "environments.read",
    query: paging,
    answers: { 200: { description: "A page of environments", shape: pageOf(environment) } },
    handler: async (call) => {
      const project = await projectOf(call, call.params.id);
      const page = await listEnvironments(call.context.db, project.id, pageRequest(call.query));
      return ok({ ...page, items: page.items.map((view) => present(project, view)) });
    },
  }),
  route({
    method: "post",
    path: "/v1/projects/{id}/environments",
    operationId: "createEnvironment",
    summary: "Makes an environment",
    tag: "Environments",
    permission: "environments.write",
    requestHeaders: { "Idempotency-Key": "Makes asking again safe" },
    body: { shape: newEnvironment, example: { name: "staging", variables: { REGION: "eu" }, defaultRunner: "hosted" } },
    answers: { 201: { description: "The environment", shape: environment } },
    handler: async (call) => {
      const { body, now } = call;
      const project = await projectOf(call, call.params.id);
      const defaultRunnerId = (await runnerIdOf(call, body.defaultRunner)) ?? null;
      const { location, made } = await makeOnce(call, async (tx) => {
        const { name, variables = {}, dataResidency = "maia" } = body;
        const settings = { projectId: project.id, name, variables, defaultRunnerId, dataResidency };
        const made = await createEnvironment(tx, settings, now);
        await audited(tx, call, "environment.create", made.id, { name: body.name });
        return { location: `/v1/projects/${project.id}/environments/${made.id}`, made };
      });
      const reply = await answer(call, project, location.split("/").at(-1)!);
      return created(location, reply.body, { ...reply.headers, ...replayHeader(made === null) });
    },
  }),
  route({
    method: "get",
    path: "/v1/projects/{id}/environments/{env}",
    operationId: "getEnvironment",
    summary: "An environment, by id or by name",
    tag: "Environments",
    permission: "environments.read",
    answers: { 200: { description: "The environment", shape: environment, headers: { ETag: "For If-Match" } } },
    handler: async (call) => {
      const { body, headers } = await answer(call, await projectOf(call, call.params.id), call.params.env);
      return ok(body, headers);
    },
  }),
  route({
    method: "patch",
    path: "/v1/projects/{id}/environments/{env}",
    operationId: "updateEnvironment",
    summary: "Replaces the variables or the default runner of an environment, or says where its data stays",
    tag: "Environments",
    permission: "environments.write",
    requestHeaders: { "If-Match": "Changes nothing if the environment has changed since" },
    body: { shape: environmentChange, example: { variables: { REGION: "us" } } },
    answers: { 200: { description: "The environment", shape: environment, headers: { ETag: "For If-Match" } } },
    handler: async (call) => {
      const { req, context, params, body, now } = call;
      const project = await projectOf(call, params.id);
      const { view } = await answer(call, project, params.env);
      const tags = ifMatch(req);
      const defaultRunnerId = await runnerIdOf(call, body.defaultRunner);
      const change = {
        ...(body.variables ? { variables: body.variables } : {}),
        ...(defaultRunnerId === undefined ? {} : { defaultRunnerId }),
        ...(body.dataResidency ? { dataResidency: body.dataResidency } : {}),
      };
      await context.db.write(async (tx) => {
        await updateEnvironment(tx, view, change, (current) => requireMatch(tags, etag(current)), now);
        await audited(tx, call, "environment.update", view.id, { fields: Object.keys(change) });
      });
      const reply = await answer(call, project, view.id);
      return ok(reply.body, reply.headers);
    },
  }),
];
