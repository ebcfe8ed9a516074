import { randomUUID } from "node:crypto";
import type { Runner } from "../api-types.js";
import { type CommonFlags, type Context, connect, printJson } from "../context.js";
import { usage } from "../errors.js";
import { type ExitCode, exitCodes } from "../exit-codes.js";
import { printCredentials, printRunner } from "../output/runner.js";
import { readWhole } from "./run.js";

/** What instances are started with. */
export interface ConfigFlags {
  readonly image?: string;
  readonly env?: readonly string[];
  readonly cpu?: string;
  readonly memory?: string;
  readonly minInstances?: string;
  readonly maxInstances?: string;
}

export interface CreateFlags extends CommonFlags, ConfigFlags {
  readonly platform: string;
  readonly deployment?: string;
  readonly type?: string;
  readonly track?: string;
  readonly description?: string;
  readonly autoUpdate?: boolean;
  readonly restricted?: boolean;
  readonly idempotencyKey?: string;
}

/** `maia runners create NAME`: prints the credentials, this once without a further look. */
export async function createRunner(context: Context, name: string, flags: CreateFlags): Promise<ExitCode> {
  const api = await connect(context, flags);
  const { platform, deployment, type, track, description, autoUpdate, restricted } = flags;
  const given = Object.entries({ deployment, type, track, description, autoUpdate, restricted });
  const config = configOf(flags);
  const body = {
    name,
    platform,
    ...Object.fromEntries(given.filter(([, value]) => value !== undefined)),
    ...(Object.keys(config).length > 0 ? { config } : {}),
  };
  const headers = { "idempotency-key": flags.idempotencyKey ?? randomUUID() };
  const { body: runner, replayed } = await api.post<Runner>("v1/runners", body, headers);
  const { terminal } = context;
  if (flags.json) printJson(context, runner);
  else {
    printRunner(context, runner);
    if (runner.credentials) printCredentials(context, runner.credentials);
  }
  if (replayed) terminal.note("This request had been made before; this is the runner that it made");
  terminal.note(terminal.paint("dim", `Next: maia runners deployment ${quoted(name)}`));
  return exitCodes.ok;
}

export function configOf({ image, env = [], cpu, memory, minInstances, maxInstances }: ConfigFlags): object {
  const variables = env.map((pair) => {
    const at = pair.indexOf("=");
    if (at < 1) throw usage(`--env ${pair} is no NAME=VALUE`);
    return [pair.slice(0, at), pair.slice(at + 1)] as const;
  });
  return {
    ...(image === undefined ? {} : { image }),
    ...(variables.length === 0 ? {} : { env: Object.fromEntries(variables) }),
    ...(cpu === undefined ? {} : { cpu }),
    ...(memory === undefined ? {} : { memory }),
    ...(minInstances === undefined ? {} : { minInstances: readWhole(minInstances, "--min-instances") }),
    ...(maxInstances === undefined ? {} : { maxInstances: readWhole(maxInstances, "--max-instances") }),
  };
}

/** A name as a shell takes it. */
function quoted(name: string): string {
  return /^[\w.-]+$/.test(name) ? name : `'${name.replaceAll("'", `'\\''`)}'`;
}
