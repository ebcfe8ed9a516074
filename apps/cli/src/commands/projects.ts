import { randomUUID } from "node:crypto";
import type { Environment, Project } from "../api-types.js";
import { type CommonFlags, type Context, connect, printJson } from "../context.js";
import { usage } from "../errors.js";
import { type ExitCode, exitCodes } from "../exit-codes.js";
import { plain } from "../output/format.js";
import { printTable } from "../output/table.js";
import { readLimit } from "./runs.js";

export interface ListPlacesFlags extends CommonFlags {
  readonly limit: string;
}

export interface EnvironmentFlags extends CommonFlags {
  readonly project?: string;
}

export interface SetEnvironmentFlags extends EnvironmentFlags {
  readonly variable?: readonly string[];
  readonly unset?: readonly string[];
  /** False: there is to be none. */
  readonly defaultRunner?: string | false;
  readonly dataResidency?: string;
}

/** `maia projects list`. */
export async function listProjects(context: Context, flags: ListPlacesFlags): Promise<ExitCode> {
  const api = await connect(context, flags);
  const projects = await api.list<Project>("v1/projects", {}, readLimit(flags.limit));
  if (flags.json) printJson(context, projects);
  else {
    const rows = projects.map(({ name, id, createdAt }) => [plain(name), id, createdAt]);
    printTable(context.terminal, ["PROJECT", "ID", "CREATED"], rows);
  }
  return exitCodes.ok;
}

/** `maia projects create NAME`. */
export async function createProject(context: Context, name: string, flags: CommonFlags): Promise<ExitCode> {
  const api = await connect(context, flags);
  const { body: project } = await api.post<Project>("v1/projects", { name }, { "idempotency-key": randomUUID() });
  if (flags.json) printJson(context, project);
  else context.terminal.print(`${plain(project.name)}  ${project.id}`);
  return exitCodes.ok;
}

/** `maia environments list`: with the runner that each leans on. */
export async function listEnvironments(context: Context, flags: ListPlacesFlags & EnvironmentFlags): Promise<ExitCode> {
  const api = await connect(context, flags);
  const environments = await api.list<Environment>(pathOf(flags), {}, readLimit(flags.limit));
  if (flags.json) printJson(context, environments);
  else {
    const rows = environments.map(({ name, defaultRunnerName, variables, id }) => [
      plain(name),
      plain(defaultRunnerName ?? "hosted"),
      String(Object.keys(variables).length),
      id,
    ]);
    printTable(context.terminal, ["ENVIRONMENT", "DEFAULT RUNNER", "VARIABLES", "ID"], rows);
  }
  return exitCodes.ok;
}

/** `maia environments show ENVIRONMENT`. */
export async function showEnvironment(context: Context, ref: string, flags: EnvironmentFlags): Promise<ExitCode> {
  const api = await connect(context, flags);
  print(context, await api.get<Environment>(pathOf(flags, ref)), flags);
  return exitCodes.ok;
}

/** `maia environments create NAME`. */
export async function createEnvironment(context: Context, name: string, flags: SetEnvironmentFlags): Promise<ExitCode> {
  const variables = readVariables(flags.variable);
  const { defaultRunner, dataResidency } = flags;
  const given = Object.entries({ defaultRunner, dataResidency }).filter(([, value]) => value !== undefined);
  const api = await connect(context, flags);
  const once = { "idempotency-key": randomUUID() };
  const { body } = await api.post<Environment>(pathOf(flags), { name, variables, ...Object.fromEntries(given) }, once);
  print(context, body, flags);
  return exitCodes.ok;
}

/** `maia environments set ENVIRONMENT`: the API replaces all variables, so those that are not named are sent again. */
export async function setEnvironment(context: Context, ref: string, flags: SetEnvironmentFlags): Promise<ExitCode> {
  const { variable, unset, defaultRunner, dataResidency } = flags;
  const added = readVariables(variable);
  if (!variable && !unset && defaultRunner === undefined && dataResidency === undefined)
    throw usage(
      "Say what is to change: --variable, --unset, --data-residency, --default-runner or --no-default-runner",
    );
  const api = await connect(context, flags);
  const path = pathOf(flags, ref);
  const { body: now, etag } = await api.getTagged<Environment>(path);
  const kept = Object.entries(now.variables).filter(([name]) => !unset?.includes(name));
  const change = {
    ...(variable || unset ? { variables: { ...Object.fromEntries(kept), ...added } } : {}),
    ...(defaultRunner === undefined ? {} : { defaultRunner: defaultRunner || null }),
    ...(dataResidency === undefined ? {} : { dataResidency }),
  };
  print(context, await api.patch<Environment>(path, change, { "if-match": etag }), flags);
  return exitCodes.ok;
}

function pathOf({ project = "default" }: EnvironmentFlags, ref?: string): string {
  const base = `v1/projects/${encodeURIComponent(project)}/environments`;
  return ref === undefined ? base : `${base}/${encodeURIComponent(ref)}`;
}

function readVariables(pairs: readonly string[] = []): { [name: string]: string } {
  const entries = pairs.map((pair) => {
    const at = pair.indexOf("=");
    if (at < 1) throw usage(`--variable ${pair} is no NAME=VALUE`);
    return [pair.slice(0, at), pair.slice(at + 1)] as const;
  });
  return Object.fromEntries(entries);
}

function print(context: Context, environment: Environment, flags: CommonFlags): void {
  if (flags.json) {
    printJson(context, environment);
    return;
  }
  const { terminal } = context;
  const { name, project, id, defaultRunnerName, variables } = environment;
  terminal.print(`${terminal.paint("bold", `${plain(project)}/${plain(name)}`)}  ${id}`);
  terminal.print(`  default runner  ${plain(defaultRunnerName ?? "none: jobs go to hosted")}`);
  if (environment.dataResidency === "runner") terminal.print("  data            stays at the runner");
  for (const [variable, value] of Object.entries(variables)) terminal.print(`  ${variable}=${plain(value)}`);
}
