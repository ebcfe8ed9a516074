import type { ApiClient } from "../api-client.js";
import type { AllowList, Runner } from "../api-types.js";
import { type CommonFlags, type Context, connect, printJson } from "../context.js";
import { usage } from "../errors.js";
import { type ExitCode, exitCodes } from "../exit-codes.js";
import { plain } from "../output/format.js";
import { printTable } from "../output/table.js";
import { pathOf } from "./runners.js";

export interface AllowFlags extends CommonFlags {
  readonly remove?: boolean;
  readonly set?: boolean;
}

/** `maia runners allow RUNNER [PROJECT[/ENVIRONMENT]…]`: adds these, or takes them off, or puts them in place of all. */
export async function allow(
  context: Context,
  ref: string,
  places: readonly string[],
  flags: AllowFlags,
): Promise<ExitCode> {
  if (flags.remove && flags.set) throw usage("Give --remove or --set, not both");
  if (flags.remove && places.length === 0) throw usage("Say what is to be taken off: PROJECT or PROJECT/ENVIRONMENT");
  const api = await connect(context, flags);
  const list = await change(api, `${pathOf(ref)}/allowlist`, places.map(parse), flags);
  const runner = await api.get<Runner>(pathOf(ref));
  if (flags.json) printJson(context, list);
  else await print(context, api, runner, list);
  return exitCodes.ok;
}

interface Place {
  readonly project: string;
  readonly environment: string | null;
}

function parse(text: string): Place {
  const [project = "", environment = null, ...rest] = text.split("/");
  if (project === "" || environment === "" || rest.length > 0)
    throw usage(`${text} is no place; write PROJECT or PROJECT/ENVIRONMENT`);
  return { project, environment };
}

async function change(
  api: ApiClient,
  path: string,
  places: readonly Place[],
  { remove, set }: AllowFlags,
): Promise<AllowList> {
  if (set) return api.put<AllowList>(path, listOf(places));
  if (places.length === 0) return api.get<AllowList>(path);
  if (!remove) return api.patch<AllowList>(path, listOf(places));
  let list: AllowList = { projects: {} };
  for (const { project, environment } of places) {
    const query = { projectId: project, ...(environment === null ? {} : { environment }) };
    list = await api.deleteFor<AllowList>(path, query);
  }
  return list;
}

/** A project without an environment means all of them. */
function listOf(places: readonly Place[]): AllowList {
  const byProject = Map.groupBy(places, ({ project }) => project);
  const entries = [...byProject].map(([project, of]) => {
    const names = of.map(({ environment }) => environment);
    return [project, names.includes(null) ? {} : { environments: names as string[] }] as const;
  });
  return { projects: Object.fromEntries(entries) };
}

async function print({ terminal }: Context, api: ApiClient, runner: Runner, { projects }: AllowList): Promise<void> {
  const rows = await Promise.all(
    Object.entries(projects).map(async ([id, { environments = [] }]) => {
      const { name } = await api.get<{ name: string }>(`v1/projects/${id}`);
      return [plain(name), environments.length === 0 ? "all environments" : environments.map(plain).join(", ")];
    }),
  );
  printTable(terminal, ["PROJECT", "ENVIRONMENTS"], rows);
  if (!runner.restricted)
    terminal.note("The list is not enforced: the runner is not restricted (see maia runners restrict)");
  else if (rows.length === 0) terminal.note("Nobody may use the runner: it is restricted, and its list is empty");
}

/** `maia runners restrict RUNNER [--off]`: whether the list is enforced. */
export async function restrict(
  context: Context,
  ref: string,
  flags: CommonFlags & { readonly off?: boolean },
): Promise<ExitCode> {
  const api = await connect(context, flags);
  const runner = await api.patch<Runner>(pathOf(ref), { restricted: !flags.off });
  if (flags.json) printJson(context, runner);
  else {
    const who = runner.restricted ? "only what its allow list names may use it" : "every project may use it";
    context.terminal.print(`${plain(runner.name)}: ${who}`);
  }
  return exitCodes.ok;
}
