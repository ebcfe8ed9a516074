import { DEFAULT_NAME, findProject, findWorkflow, findWorkflowId, type ProjectRow, type WorkflowView } from "@maia/db";
import { MaiaError } from "@maia/domain";
import { canSee } from "./auth.js";
import type { Call } from "./http/route.js";

/** What was looked up. @throws {MaiaError} NOT_FOUND, whether it is missing or another project's. */
export function found<T>(value: T | null | undefined, what: string): T {
  if (value === null || value === undefined) throw new MaiaError("NOT_FOUND", `There is no such ${what}`);
  return value;
}

/** The project that a request names, by id or by name; the default one where it names none. @throws {MaiaError} NOT_FOUND */
export async function projectOf({ context, caller }: Call, ref: string | undefined): Promise<ProjectRow> {
  const project = await findProject(context.db.sql, ref ?? DEFAULT_NAME);
  return found(project && canSee(caller, project.id) ? project : null, "project");
}

/** The id of the project that a list is narrowed to; undefined is every readable project. */
export async function narrowedTo(call: Call, ref: string | undefined): Promise<string | undefined> {
  return ref === undefined ? undefined : (await projectOf(call, ref)).id;
}

/** Where a definition goes: to a workflow that is there, by its id, or under a slug in a project. */
export async function placeOf(
  call: Call,
  ref: string,
  project: string | undefined,
): Promise<{ projectId: string; slug: string }> {
  if (ref.startsWith("wf_")) return workflowOf(call, ref, project);
  return { projectId: (await projectOf(call, project)).id, slug: ref };
}

/** The workflow that a request names, by its id, or by its slug in the project. @throws {MaiaError} NOT_FOUND */
export async function workflowOf(call: Call, ref: string, project: string | undefined): Promise<WorkflowView> {
  const { context, caller } = call;
  return found(await findWorkflow(context.db, caller.projects, await nameOf(call, ref, project)), "workflow");
}

/**
 * The id of the workflow that a list is narrowed to; undefined is every one. It may be deleted: what it made is still
 * there. @throws {MaiaError} NOT_FOUND
 */
export async function ofWorkflow(
  call: Call<unknown, { readonly workflow?: string; readonly project?: string }>,
): Promise<string | undefined> {
  const { context, caller, query } = call;
  if (query.workflow === undefined) return undefined;
  const name = await nameOf(call, query.workflow, query.project);
  return found(await findWorkflowId(context.db, caller.projects, name), "workflow");
}

/** An id counts wherever the caller may look, a slug in its project. */
async function nameOf(call: Call, ref: string, project: string | undefined) {
  return { ref, projectId: ref.startsWith("wf_") ? "" : (await projectOf(call, project)).id };
}
