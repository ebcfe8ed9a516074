import { findEnvironment, findProject, type RunnerRow, requireRunner, setAllowList, type Tx } from "@maia/db";
import {
  type AllowList,
  addToAllowList,
  invalid,
  MaiaError,
  Reader,
  readAllowList,
  tidyAllowList,
  withoutEnvironment,
  withoutProject,
} from "@maia/domain";
import type { Caller } from "../auth.js";
import { etagOf, requireMatch, type Wanted } from "../http/precondition.js";
import type { Call } from "../http/route.js";
import { noted } from "./noted.js";

/** Who may use a runner, as far as the caller knows of the projects. */
export function allowListOf({ allowlist }: Pick<RunnerRow, "allowlist">, { projects }: Caller): AllowList {
  const list = tidyAllowList(JSON.parse(allowlist));
  if (projects === null) return list;
  return { projects: Object.fromEntries(Object.entries(list.projects).filter(([id]) => projects.includes(id))) };
}

export function allowListEtag(list: AllowList): string {
  return etagOf(JSON.stringify(list));
}

/**
 * The list that a request means: its projects by id, its environments by name.
 * @throws {MaiaError} INVALID with a pointer to each project or environment that does not exist.
 */
async function requestedList({ context, body }: Call): Promise<AllowList> {
  const { sql } = context.db;
  let named: ReturnType<typeof readAllowList> = [];
  Reader.read(body, (root) => {
    named = readAllowList(root);
  });
  const found: { id: string; environments: string[] }[] = [];
  const issues: { pointer: string; message: string }[] = [];
  for (const { project, place, environments } of named) {
    const row = await findProject(sql, project);
    if (!row) {
      issues.push({ pointer: place.pointer, message: "there is no such project" });
      continue;
    }
    const names: string[] = [];
    for (const { name, place: at } of environments) {
      const environment = await findEnvironment(sql, row.id, name);
      if (environment) names.push(environment.name);
      else issues.push({ pointer: at.pointer, message: `project ${row.name} has no such environment` });
    }
    found.push({ id: row.id, environments: names });
  }
  if (issues.length > 0) throw invalid(issues.slice(0, 100));
  return found.reduce<AllowList>(
    (list, { id, environments }) => addToAllowList(list, { projects: { [id]: { environments } } }),
    { projects: {} },
  );
}

/** Replaces who may use a runner. @throws {MaiaError} INVALID, PRECONDITION */
export async function replaceAllowList(call: Call, id: string, wanted: Wanted): Promise<AllowList> {
  const list = await requestedList(call);
  return change(call, id, wanted, "replace", () => list);
}

/** Lets more use a runner. @throws {MaiaError} INVALID, PRECONDITION */
export async function extendAllowList(call: Call, id: string, wanted: Wanted): Promise<AllowList> {
  const more = await requestedList(call);
  if (Object.keys(more.projects).length === 0)
    throw invalid([{ pointer: "/projects", message: "must name at least one project to add" }]);
  return change(call, id, wanted, "add", (now) => addToAllowList(now, more));
}

/** Takes a project, or one of its environments, off the list. @throws {MaiaError} NOT_FOUND, STATE_CONFLICT, INVALID */
export async function narrowAllowList(
  call: Call,
  id: string,
  wanted: Wanted,
  { projectId, environment }: { readonly projectId: string; readonly environment: string | undefined },
): Promise<AllowList> {
  const project = await findProject(call.context.db.sql, projectId);
  if (!project) throw invalid([{ pointer: "/projectId", message: "there is no such project" }]);
  return change(call, id, wanted, "remove", (now) => {
    const left =
      environment === undefined ? withoutProject(now, project.id) : withoutEnvironment(now, project.id, environment);
    if (left === null) throw new MaiaError("NOT_FOUND", "The allow list does not name it");
    if (left !== "all") return left;
    const message = `Project ${project.name} is on the list with all its environments; PUT the list with those that are to stay`;
    throw new MaiaError("STATE_CONFLICT", message);
  });
}

async function change(
  call: Call,
  id: string,
  wanted: Wanted,
  how: "replace" | "add" | "remove",
  next: (now: AllowList) => AllowList,
): Promise<AllowList> {
  return call.context.db.write(async (tx: Tx) => {
    const runner = await requireRunner(tx, id);
    const before = tidyAllowList(JSON.parse(runner.allowlist));
    requireMatch(wanted, allowListEtag(before));
    const after = next(before);
    await setAllowList(tx, id, after, call.now);
    const data = { how, before: before as never, after: after as never };
    await noted(tx, call, id, { action: "ALLOWLIST", data });
    return after;
  });
}
