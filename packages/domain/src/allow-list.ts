import type { Reader } from "./reader.js";

/** Who may use a runner: projects by id, and of each the environments by name. No environments named: all of them. */
export interface AllowList {
  readonly projects: { readonly [projectId: string]: { readonly environments?: readonly string[] } };
}

/** Where a job wants to run. */
export interface Placement {
  readonly projectId: string;
  readonly environment: string;
}

/** True when a runner may carry out jobs of this environment. An unrestricted runner may; its list is kept, not enforced. */
export function isAllowed(restricted: boolean, list: AllowList, { projectId, environment }: Placement): boolean {
  if (!restricted) return true;
  if (!Object.hasOwn(list.projects, projectId)) return false;
  const { environments = [] } = list.projects[projectId]!;
  return environments.length === 0 || environments.includes(environment);
}

export const NOBODY: AllowList = { projects: {} };

/** Most projects of a list, and most environments of one of them. */
export const ALLOWED_MAX = 1_000;
const REF_MAX = 255;

/** The projects and environments that a list names, as its author named them: by id or by name. */
export type NamedPlaces = readonly {
  readonly project: string;
  readonly place: Reader;
  readonly environments: readonly { readonly name: string; readonly place: Reader }[];
}[];

/** Reads a list as it comes from outside. Whether what it names exists is checked by who knows the projects. */
export function readAllowList(root: Reader): NamedPlaces {
  const projects = root.object(["projects"])("projects");
  if (projects.isAbsent) projects.fail("is required");
  return projects.entries(ALLOWED_MAX).map(([project, place]) => {
    const environments = place.object(["environments"])("environments").items(ALLOWED_MAX);
    return {
      project,
      place,
      environments: environments.map((item) => ({ name: item.string(refProblem), place: item })),
    };
  });
}

function refProblem(text: string): string | null {
  return text === "" || text.length > REF_MAX
    ? `must be the name of an environment, at most ${REF_MAX} characters`
    : null;
}

/** The one spelling of a list: projects and environments in order, each once, and all environments as none. */
export function tidyAllowList({ projects }: AllowList): AllowList {
  const entries = Object.entries(projects).map(([id, { environments = [] }]) => [id, allowed(environments)] as const);
  return { projects: Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1))) };
}

function allowed(environments: readonly string[]): { environments?: readonly string[] } {
  return environments.length === 0 ? {} : { environments: [...new Set(environments)].sort() };
}

/** Both lists together. A project with all its environments has all of them, whatever else is added. */
export function addToAllowList(list: AllowList, more: AllowList): AllowList {
  const added = Object.entries(more.projects).map(([id, { environments = [] }]) => {
    const before = Object.hasOwn(list.projects, id) ? (list.projects[id]!.environments ?? []) : null;
    const isAll = environments.length === 0 || before?.length === 0;
    return [id, isAll ? {} : { environments: [...(before ?? []), ...environments] }] as const;
  });
  return tidyAllowList({ projects: { ...list.projects, ...Object.fromEntries(added) } });
}

/** The list without a project. Null: it is not on it. */
export function withoutProject({ projects }: AllowList, projectId: string): AllowList | null {
  if (!Object.hasOwn(projects, projectId)) return null;
  const { [projectId]: _, ...others } = projects;
  return tidyAllowList({ projects: others });
}

/**
 * The list without an environment of a project. With its last environment the project goes too, since a project without
 * environments has all of them. Null: it is not on it. "all": the project has all its environments, so one cannot be taken
 * out of them.
 */
export function withoutEnvironment(list: AllowList, projectId: string, environment: string): AllowList | "all" | null {
  if (!Object.hasOwn(list.projects, projectId)) return null;
  const { environments = [] } = list.projects[projectId]!;
  if (environments.length === 0) return "all";
  if (!environments.includes(environment)) return null;
  const left = environments.filter((name) => name !== environment);
  if (left.length === 0) return withoutProject(list, projectId);
  return tidyAllowList({ projects: { ...list.projects, [projectId]: { environments: left } } });
}
