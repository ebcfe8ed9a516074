import { DEFAULT_NAME, findProject, HIDDEN_TEXT, HOSTED_RUNNER, isIdOf, type Sql } from "@maia/db";
import { type AllowList, type DataResidency, invalid, isAllowed, MaiaError, residencyProblem } from "@maia/domain";
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
  /** Where it is to run: as the request says, else the environment's default, else the hosted runner. */
  readonly runnerId: string;
  /** Where the bytes of its files and artifacts stay. */
  readonly dataResidency: DataResidency;
}

/**
 * Finds what a request names, by id or by name. What belongs to another project is missing.
 * @throws {MaiaError} NOT_FOUND, NO_VERSION, RUNNER_NOT_ALLOWED, INVALID where the runner cannot keep the job's data
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
  if (row.runnerId === null) throw missing("runner", request.runner ?? HOSTED_RUNNER);
  requireAllowed(row);
  const dataResidency = row.dataResidency!;
  requireStore(row, dataResidency, request.runner !== null);
  const rules = await jobRulesOf(sql, versionId);
  return { projectId, workflowId, versionId, ...rules, environmentId, runnerId: row.runnerId, dataResidency };
}

/** What deciding about a runner needs. */
interface Chosen {
  readonly projectId: string;
  readonly project: string;
  readonly environment: string | null;
  readonly runner: string | null;
  /** 0 or 1. */
  readonly restricted: number | null;
  readonly allowlist: string | null;
  /** hosted, or where it is deployed. */
  readonly platform: string | null;
  readonly dataResidency: DataResidency | null;
}

/** @throws {MaiaError} INVALID, naming the field and the fix, where the job's data is to stay at a runner that keeps none. */
function requireStore({ environment, platform }: Chosen, residency: DataResidency, namesRunner: boolean): void {
  const isHosted = platform === "hosted";
  const problem = residencyProblem({ residency, environment: environment!, isHosted, namesRunner });
  if (problem) throw invalid([problem]);
}

/** @throws {MaiaError} RUNNER_NOT_ALLOWED naming the project and the environment. */
function requireAllowed({ projectId, project, environment, runner, restricted, allowlist }: Chosen): void {
  const list: AllowList = JSON.parse(allowlist!);
  if (isAllowed(restricted === 1, list, { projectId, environment: environment! })) return;
  const message = `The runner ${runner} does not take jobs of project ${project}, environment ${environment}: they are not on its allow list`;
  throw new MaiaError("RUNNER_NOT_ALLOWED", message);
}

/**
 * The runner for a job that is made again: the one that the first had, wherever its environment points by now.
 * @throws {MaiaError} RUNNER_NOT_ALLOWED where it was removed, or does not take such jobs any more.
 */
export async function runnerAgain(
  sql: Sql,
  { environmentId, runnerId }: { readonly environmentId: string; readonly runnerId: string | null },
): Promise<string> {
  const row = await sql.get<Chosen & { runnerId: string; deletedAt: string | null }>(
    `SELECT e."projectId", p."name" AS "project", e."name" AS "environment", n."id" AS "runnerId", n."name" AS "runner", n."restricted",
       n."allowlist", n."platform", e."dataResidency", n."deletedAt" FROM "Environment" e JOIN "Project" p ON p."id" = e."projectId"
     JOIN "Runner" n ON n."id" = COALESCE(?, e."defaultRunnerId", ${HOSTED}) WHERE e."id" = ?`,
    runnerId,
    environmentId,
  );
  if (!row || row.deletedAt !== null) {
    const message = `The runner ${row?.runner ?? runnerId} that it ran on was removed; start a new job instead`;
    throw new MaiaError("RUNNER_NOT_ALLOWED", message);
  }
  requireAllowed(row);
  requireStore(row, row.dataResidency ?? "maia", false);
  return row.runnerId;
}

interface Target extends Chosen {
  readonly workflowId: string;
  readonly slug: string;
  readonly latestVersion: number | null;
  readonly versionId: string | null;
  readonly environmentId: string | null;
  readonly runnerId: string | null;
}

const isWorkflowId = isIdOf("wf");
const isProjectId = isIdOf("prj");
const isEnvironmentId = isIdOf("env");
const isRunnerId = isIdOf("rnr");

const HOSTED = `(SELECT "id" FROM "Runner" WHERE "name" = '${HOSTED_RUNNER}' AND "deletedAt" IS NULL)`;
/** The runner that a job goes to where it names none. */
const CHOSEN = `n."id" = COALESCE(e."defaultRunnerId", ${HOSTED})`;

/** Project, workflow, version, environment and runner in one question: this is asked for every job. */
async function findTarget(sql: Sql, request: Named): Promise<Target | undefined> {
  const { workflow, version, runner } = request;
  const project = request.project ?? DEFAULT_NAME;
  const environment = request.environment ?? DEFAULT_NAME;
  const byId = isWorkflowId.test(workflow); // slugs hold no `_`
  const home = byId
    ? `"Workflow" w JOIN "Project" p ON p."id" = w."projectId"`
    : `"Project" p JOIN "Workflow" w ON w."projectId" = p."id" AND w."slug" = ${HIDDEN_TEXT}`;
  const which = byId ? `w."id" = ${HIDDEN_TEXT}` : `p."${isProjectId.test(project) ? "id" : "name"}" = ${HIDDEN_TEXT}`;
  const place = isEnvironmentId.test(environment) ? "id" : "name";
  const named = runner === null ? CHOSEN : `n."${isRunnerId.test(runner) ? "id" : "name"}" = ${HIDDEN_TEXT}`;
  const joins = `LEFT JOIN "WorkflowVersion" v ON v."workflowId" = w."id" AND v."version" = COALESCE(CAST(? AS INTEGER), w."latestVersion")
    LEFT JOIN "Environment" e ON e."projectId" = w."projectId" AND e."${place}" = ${HIDDEN_TEXT}
    LEFT JOIN "Runner" n ON n."deletedAt" IS NULL AND ${named}`;
  const text = `SELECT w."projectId", w."id" AS "workflowId", w."slug", w."latestVersion", v."id" AS "versionId", e."id" AS "environmentId",
      p."name" AS "project", e."name" AS "environment", n."id" AS "runnerId", n."name" AS "runner", n."restricted", n."allowlist", n."platform", e."dataResidency"
    FROM ${home} ${joins} WHERE ${which} AND w."deletedAt" IS NULL LIMIT 1`;
  const last = byId ? workflow : project;
  const values = [version, environment, ...(runner === null ? [] : [runner]), last];
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
