import { DEFAULT_NAME, findProject, findRunner, HIDDEN_TEXT, isIdOf, type Sql } from "@maia/db";
import { MaiaError } from "@maia/domain";
import type { Caller } from "./context.js";
import type { JobRequest } from "./job-request.js";
import { type JobRules, jobRulesOf } from "./job-rules.js";

/** The names in a request. */
export type Named = Pick<JobRequest, "workflow" | "project" | "version" | "environment" | "runner">;

/** What a job's request names, as it stands in the database. */
export interface Resolved extends JobRules {
  readonly projectId: string;
  readonly workflowId: string;
  readonly versionId: string;
  readonly environmentId: string;
  readonly runnerId: string | null;
}

/**
 * Finds what a request names, by id or by name. What belongs to another project is missing.
 * @throws {MaiaError} NOT_FOUND, NO_VERSION
 */
export async function resolveRequest(sql: Sql, request: Named, caller: Caller): Promise<Resolved> {
  const row = await findTarget(sql, request);
  if (!row || !mayUse(caller, row.projectId) || !(await isInProject(sql, request, row)))
    throw await whatIsMissing(sql, request, caller);
  const { projectId, workflowId, latestVersion, versionId, environmentId } = row;
  if (versionId === null && request.version === null && latestVersion === null) {
    throw new MaiaError("NO_VERSION", `Workflow ${row.slug} has no version yet; publish one first`);
  }
  if (versionId === null) throw missing("version", `${request.version ?? latestVersion} of ${row.slug}`);
  if (environmentId === null) throw missing("environment", request.environment ?? DEFAULT_NAME);
  const runner = request.runner === null ? null : await findRunner(sql, request.runner);
  if (runner === undefined) throw missing("runner", request.runner ?? "");
  const rules = await jobRulesOf(sql, versionId);
  return { projectId, workflowId, versionId, ...rules, environmentId, runnerId: runner?.id ?? null };
}

interface Target {
  readonly projectId: string;
  readonly workflowId: string;
  readonly slug: string;
  readonly latestVersion: number | null;
  readonly versionId: string | null;
  readonly environmentId: string | null;
}

const isWorkflowId = isIdOf("wf");
const isProjectId = isIdOf("prj");
const isEnvironmentId = isIdOf("env");

/** Project, workflow, version and environment in one question: this is asked for every job. */
async function findTarget(sql: Sql, request: Named): Promise<Target | undefined> {
  const { workflow, version } = request;
  const project = request.project ?? DEFAULT_NAME;
  const environment = request.environment ?? DEFAULT_NAME;
  const byId = isWorkflowId.test(workflow); // slugs hold no `_`
  const home = byId
    ? `"Workflow" w`
    : `"Project" p JOIN "Workflow" w ON w."projectId" = p."id" AND w."slug" = ${HIDDEN_TEXT}`;
  const which = byId ? `w."id" = ${HIDDEN_TEXT}` : `p."${isProjectId.test(project) ? "id" : "name"}" = ${HIDDEN_TEXT}`;
  const place = isEnvironmentId.test(environment) ? "id" : "name";
  const joins = `LEFT JOIN "WorkflowVersion" v ON v."workflowId" = w."id" AND v."version" = COALESCE(CAST(? AS INTEGER), w."latestVersion")
    LEFT JOIN "Environment" e ON e."projectId" = w."projectId" AND e."${place}" = ${HIDDEN_TEXT}`;
  const text = `SELECT w."projectId", w."id" AS "workflowId", w."slug", w."latestVersion", v."id" AS "versionId", e."id" AS "environmentId"
    FROM ${home} ${joins} WHERE ${which} AND w."deletedAt" IS NULL LIMIT 1`;
  const last = byId ? workflow : project;
  const values = [version, environment, last];
  return sql.get(text, ...(byId ? values : [workflow, ...values]));
}

/** A workflow that is named by its id must lie in the project that is named beside it. */
async function isInProject(sql: Sql, { workflow, project }: Named, { projectId }: Target): Promise<boolean> {
  if (project === null || !isWorkflowId.test(workflow)) return true;
  return (await findProject(sql, project))?.id === projectId;
}

/** Nothing was found: was it the project or the workflow? */
async function whatIsMissing(sql: Sql, request: Named, caller: Caller): Promise<MaiaError> {
  const { workflow } = request;
  const project = request.project ?? DEFAULT_NAME;
  if (request.project === null && isWorkflowId.test(workflow)) return missing("workflow", workflow);
  const home = await findProject(sql, project);
  return home && mayUse(caller, home.id) ? missing("workflow", workflow) : missing("project", project);
}

function mayUse({ projects }: Caller, projectId: string): boolean {
  return projects === null || projects.includes(projectId);
}

function missing(what: string, ref: string): MaiaError {
  return new MaiaError("NOT_FOUND", `There is no ${what} ${ref}`);
}
