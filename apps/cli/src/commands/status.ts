import { type CommonFlags, type Context, connect, printJson } from "../context.js";
import { type ExitCode, exitCodes } from "../exit-codes.js";
import { ownVersion } from "../version.js";

interface Me {
  readonly name: string;
  readonly role: string;
}

/** `maia status`: whether Maia can be reached, and as whom. */
export async function status(context: Context, flags: CommonFlags): Promise<ExitCode> {
  const api = await connect(context, flags);
  const me = await api.get<Me>("v1/me");
  const active = await api.list<{ id: string }>("v1/runs", { status: "RUNNING" }, 100);
  const { hostedRunners } = await api.get<{ hostedRunners?: number }>("readyz");
  const facts = {
    url: api.url.origin,
    key: me.name,
    role: me.role,
    runningRuns: active.length,
    ...(hostedRunners === undefined ? {} : { hostedRunners }),
  };
  if (flags.json) {
    printJson(context, facts);
    return exitCodes.ok;
  }
  const { terminal } = context;
  terminal.print(`Maia at ${facts.url} answers`);
  terminal.print(`  you      ${facts.key} (${facts.role})`);
  terminal.print(`  runs     ${active.length} running`);
  if (hostedRunners !== undefined)
    terminal.print(`  hosted   ${hostedRunners} ${hostedRunners === 1 ? "runner" : "runners"} connected`);
  return exitCodes.ok;
}

/** `maia version`. */
export function version(context: Context, flags: CommonFlags): ExitCode {
  const facts = { version: ownVersion(), node: process.versions.node };
  if (flags.json) printJson(context, facts);
  else context.terminal.print(`maia ${facts.version} (Node ${facts.node})`);
  return exitCodes.ok;
}
