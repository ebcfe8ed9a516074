import { type Db, deleteSecret, findSecret, fromDbTime, listSecrets, putSecret, type SecretView } from "@maia/db";
import { invalid, MaiaError, secretValueProblem, VARIABLES_MAX, variableNameProblem } from "@maia/domain";
import { audited } from "../audited.js";
import { canSee } from "../auth.js";
import { type Call, created, ok, type Route, route } from "../http/route.js";
import { named, type Of, object, text } from "../http/shapes.js";
import { found, projectOf } from "../lookup.js";
import { inProject, iso, moment, pageOf } from "../present/common.js";

const secret = named("Secret", object({ name: text(), createdAt: moment, updatedAt: moment }), {
  name: "WAREHOUSE_DSN",
  createdAt: "2026-11-20T12:00:00.123Z",
  updatedAt: "2026-11-20T12:00:00.123Z",
});

const secretValue = named(
  "SecretRequest",
  object({
    value: text(
      { minLength: 4, writeOnly: true, description: "The value. Nothing ever gives it out again, except to steps" },
      secretValueProblem,
    ),
  }),
);

function present({ name, createdAt, updatedAt }: SecretView): Of<typeof secret> {
  return { name, createdAt: iso(fromDbTime(createdAt)), updatedAt: iso(fromDbTime(updatedAt)) };
}

/** The environment that a request names: by its id, or by its name in the project. @throws {MaiaError} NOT_FOUND */
async function environmentOf(call: Call, ref: string, project: string | undefined) {
  const { context, caller } = call;
  const projectId = ref.startsWith("env_") ? null : (await projectOf(call, project)).id;
  const row = await environmentRow(context.db, ref, projectId);
  return found(row && canSee(caller, row.projectId) ? row : null, "environment");
}

function environmentRow({ models }: Db, ref: string, projectId: string | null) {
  const select = { id: true, projectId: true, name: true } as const;
  return models.environment.findFirst({ where: projectId === null ? { id: ref } : { projectId, name: ref }, select });
}

/** A name that a secret can have. @throws {MaiaError} INVALID */
function checkName(name: string): void {
  const problem = variableNameProblem(name);
  if (problem) throw invalid([{ pointer: "", message: `the name of the secret ${problem}` }]);
}

export const secretRoutes: readonly Route[] = [
  route({
    method: "get",
    path: "/v1/environments/{id}/secrets",
    operationId: "listSecrets",
    summary: "The secrets of an environment by name, without their values",
    tag: "Secrets",
    permission: "secrets.manage",
    query: inProject,
    answers: { 200: { description: "All of them: there are at most 256", shape: pageOf(secret) } },
    handler: async (call) => {
      const { id } = await environmentOf(call, call.params.id, call.query.project);
      const secrets = await listSecrets(call.context.db.sql, id);
      return ok({ items: secrets.map(present), nextCursor: null });
    },
  }),
  route({
    method: "get",
    path: "/v1/environments/{id}/secrets/{name}",
    operationId: "getSecret",
    summary: "When a secret was made and last set. Its value is never given out",
    tag: "Secrets",
    permission: "secrets.manage",
    query: inProject,
    answers: { 200: { description: "The secret, without its value", shape: secret } },
    handler: async (call) => {
      const { id } = await environmentOf(call, call.params.id, call.query.project);
      return ok(present(found(await findSecret(call.context.db.sql, id, call.params.name), "secret")));
    },
  }),
  route({
    method: "put",
    path: "/v1/environments/{id}/secrets/{name}",
    operationId: "putSecret",
    summary: "Sets a secret. Attempts that start from now on get the new value",
    tag: "Secrets",
    permission: "secrets.manage",
    query: inProject,
    body: { shape: secretValue, example: { value: "postgres://reader@warehouse/facts" } },
    answers: {
      200: { description: "The secret has a new value", shape: secret },
      201: { description: "The secret is new", shape: secret },
    },
    handler: async (call) => {
      const { context, params, body, now } = call;
      const { db, secrets } = context;
      const { name } = params;
      checkName(name);
      const { id: environmentId, projectId } = await environmentOf(call, params.id, call.query.project);
      const sealed = await secrets.seal({ projectId, environmentId, name }, body.value);
      const { isNew, view } = await db.write(async (tx) => {
        const isNew = !(await findSecret(tx.sql, environmentId, name));
        if (isNew && (await listSecrets(tx.sql, environmentId)).length >= VARIABLES_MAX)
          throw new MaiaError(
            "STATE_CONFLICT",
            `An environment has at most ${VARIABLES_MAX} secrets; delete one first`,
          );
        await putSecret(tx, { environmentId, name, ...sealed }, now);
        await audited(tx, call, "secret.put", environmentId, { name, isNew });
        return { isNew, view: (await findSecret(tx.sql, environmentId, name))! };
      });
      const location = `/v1/environments/${environmentId}/secrets/${name}`;
      return isNew ? created(location, present(view)) : ok(present(view));
    },
  }),
  route({
    method: "delete",
    path: "/v1/environments/{id}/secrets/{name}",
    operationId: "deleteSecret",
    summary: "Deletes a secret. Steps that name it fail from now on",
    tag: "Secrets",
    permission: "secrets.manage",
    query: inProject,
    answers: { 204: { description: "It is gone" } },
    handler: async (call) => {
      const { id } = await environmentOf(call, call.params.id, call.query.project);
      await call.context.db.write(async (tx) => {
        if (!(await deleteSecret(tx, id, call.params.name)))
          throw new MaiaError("NOT_FOUND", "There is no such secret");
        await audited(tx, call, "secret.delete", id, { name: call.params.name });
      });
      return { status: 204 };
    },
  }),
];
