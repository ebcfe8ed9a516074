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
