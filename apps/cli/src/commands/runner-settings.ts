import type { Runner, RunnerInstance, RunnerParameter } from "../api-types.js";
import { type CommonFlags, type Context, connect, printJson } from "../context.js";
import { usage } from "../errors.js";
import { type ExitCode, exitCodes } from "../exit-codes.js";
import { ago, plain } from "../output/format.js";
import { printRunner } from "../output/runner.js";
import { printTable } from "../output/table.js";
import { type ConfigFlags, configOf } from "./runner-create.js";
import { type ListFlags, pathOf } from "./runners.js";
import { readLimit } from "./runs.js";

export interface SetFlags extends CommonFlags, ConfigFlags {
  readonly name?: string;
  readonly description?: string;
  readonly track?: string;
  readonly autoUpdate?: boolean;
}

interface Changed extends Runner {
  readonly notices: readonly string[];
}

/** `maia runners set RUNNER`: changes what is named, and says what that does not do by itself. */
export async function setRunner(context: Context, ref: string, flags: SetFlags): Promise<ExitCode> {
  const { name, description, track, autoUpdate } = flags;
  const config = configOf(flags);
  const given = Object.entries({ name, description, track, autoUpdate }).filter(([, value]) => value !== undefined);
  const change = { ...Object.fromEntries(given), ...(Object.keys(config).length > 0 ? { config } : {}) };
  if (Object.keys(change).length === 0) throw usage("Say what is to change: see maia runners set --help");
  const api = await connect(context, flags);
  const { notices, ...runner } = await api.patch<Changed>(pathOf(ref), change);
  if (flags.json) printJson(context, { ...runner, notices });
  else {
    printRunner(context, runner);
    for (const notice of notices) context.terminal.note(notice);
  }
  return exitCodes.ok;
}

/** `maia runners parameters RUNNER`: what its instances need in their environment, and what else they can be told. */
export async function listParameters(context: Context, ref: string, flags: CommonFlags): Promise<ExitCode> {
  const api = await connect(context, flags);
  const { items } = await api.get<{ items: readonly RunnerParameter[] }>(`${pathOf(ref)}/parameters`);
  if (flags.json) printJson(context, items);
  else {
    const rows = items.map(({ name, needed, value, default: fallback, meaning }) => [
      name,
      needed ? "needed" : "optional",
      plain(value ?? (fallback === null ? "" : `(${fallback})`)),
      meaning,
    ]);
    printTable(context.terminal, ["PARAMETER", "", "VALUE (DEFAULT)", "MEANING"], rows);
  }
  return exitCodes.ok;
}

/** `maia runners instances RUNNER`: its processes, newest first, those that are gone too. */
export async function listInstances(context: Context, ref: string, flags: ListFlags): Promise<ExitCode> {
  const api = await connect(context, flags);
  const instances = await api.list<RunnerInstance>(`${pathOf(ref)}/instances`, {}, readLimit(flags.limit));
  if (flags.json) {
    printJson(context, instances);
    return exitCodes.ok;
  }
  const now = context.clock();
  const rows = instances.map(({ id, status, version, slots, running, isolation, labels, lastSeenAt }) => [
    id,
    status,
    plain(labels.host ?? ""),
    plain(version),
    `${running}/${slots}`,
    plain(isolation),
    context.terminal.isTty ? ago(lastSeenAt, now) : lastSeenAt,
  ]);
  printTable(context.terminal, ["INSTANCE", "STATUS", "HOST", "VERSION", "TASKS", "ISOLATION", "LAST SEEN"], rows);
  return exitCodes.ok;
}
