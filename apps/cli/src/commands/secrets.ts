import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";
import { text as readStream } from "node:stream/consumers";
import type { ApiClient } from "../api-client.js";
import type { Page, Secret } from "../api-types.js";
import { type CommonFlags, type Context, connect, printJson } from "../context.js";
import { CliError, usage } from "../errors.js";
import { type ExitCode, exitCodes } from "../exit-codes.js";
import { plain } from "../output/format.js";
import { printTable } from "../output/table.js";

export interface SecretFlags extends CommonFlags {
  readonly environment: string;
  readonly project?: string;
}

/** `maia secrets list`: names and times. Values cannot be had. */
export async function listSecrets(context: Context, flags: SecretFlags): Promise<ExitCode> {
  const api = await connect(context, flags);
  const { items } = await api.get<Page<Secret>>(await pathOf(api, flags));
  if (flags.json) {
    printJson(context, items);
    return exitCodes.ok;
  }
  const rows = items.map(({ name, createdAt, updatedAt }) => [plain(name), createdAt, updatedAt]);
  printTable(context.terminal, ["NAME", "CREATED", "LAST SET"], rows);
  if (items.length === 0)
    context.terminal.note("The environment has no secrets yet. Make one: maia secrets set NAME < file");
  return exitCodes.ok;
}

/** `maia secrets set NAME`: with the value from stdin or a prompt, since arguments show in lists of processes. */
export async function setSecret(context: Context, name: string, flags: SecretFlags): Promise<ExitCode> {
  if (name.includes("=")) throw usage("A value is never an argument: give it by stdin, or type it when asked");
  const api = await connect(context, flags);
  const path = `${await pathOf(api, flags)}/${encodeURIComponent(name)}`;
  const value = process.stdin.isTTY ? await askFor(context, name) : await readStream(process.stdin);
  const secret = await api.put<Secret>(path, { value: value.replace(/\r?\n$/, "") });
  if (flags.json) printJson(context, secret);
  else context.terminal.print(`${secret.name} is set in ${flags.environment}`);
  return exitCodes.ok;
}

/** `maia secrets delete NAME`. */
export async function deleteSecret(context: Context, name: string, flags: SecretFlags): Promise<ExitCode> {
  const api = await connect(context, flags);
  await api.delete(`${await pathOf(api, flags)}/${encodeURIComponent(name)}`);
  if (flags.json) printJson(context, { name, deleted: true });
  else context.terminal.print(`${name} is deleted from ${flags.environment}`);
  return exitCodes.ok;
}

async function pathOf(api: ApiClient, { environment, project = "default" }: SecretFlags): Promise<string> {
  const [inProject, ref] = [project, environment].map(encodeURIComponent);
  const { id } = await api.get<{ id: string }>(`v1/projects/${inProject}/environments/${ref}`);
  return `v1/environments/${id}/secrets`;
}

/** Asks on the terminal and shows nothing of the answer. */
async function askFor({ terminal }: Context, name: string): Promise<string> {
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: nowhere, terminal: true });
  terminal.note(`Value of ${name} (it is not shown):`);
  try {
    const interrupted = new Promise<never>((_, reject) => {
      lines.once("SIGINT", () => reject(new CliError(exitCodes.interrupted, "Nothing was set")));
    });
    return await Promise.race([lines.question(""), interrupted]);
  } finally {
    lines.close();
  }
}
