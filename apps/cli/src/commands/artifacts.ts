import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { mkdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join, relative, resolve, sep } from "node:path";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { ApiClient } from "../api-client.js";
import type { Artifact, JobRun } from "../api-types.js";
import { type CommonFlags, type Context, connect, printJson } from "../context.js";
import { CliError, usage } from "../errors.js";
import { type ExitCode, exitCodes } from "../exit-codes.js";
import { userArtifacts } from "../follow/run-view.js";
import { listArtifacts, printArtifacts } from "../output/report.js";

export interface GetFlags extends CommonFlags {
  readonly to: string;
  readonly step?: string;
}

/** `maia artifacts list RUN`. */
export async function list(
  context: Context,
  id: string,
  flags: CommonFlags & { readonly all?: boolean },
): Promise<ExitCode> {
  const api = await connect(context, flags);
  const artifacts = await listArtifacts(api, await runIdOf(api, id));
  const shown = flags.all ? artifacts : userArtifacts(artifacts);
  if (flags.json) printJson(context, shown);
  else printArtifacts(context.terminal, shown);
  return exitCodes.ok;
}

/** `maia artifacts get RUN [NAME…]`: downloads into a folder and prints the paths; `--to -` writes one to stdout. */
export async function get(context: Context, id: string, names: readonly string[], flags: GetFlags): Promise<ExitCode> {
  const api = await connect(context, flags);
  const wanted = await choose(api, id, names, flags);
  if (flags.to === "-") {
    const [only, ...more] = wanted;
    if (!only || more.length > 0)
      throw usage(`--to - takes one artifact, but ${wanted.length} match`, "Name one, or its step with --step");
    await download(api, only, async (source) => {
      for await (const chunk of source) process.stdout.write(chunk);
    });
    return exitCodes.ok;
  }
  const isAmbiguous = (name: string) => wanted.filter((artifact) => artifact.name === name).length > 1;
  for (const artifact of wanted) {
    const path = pathIn(flags.to, isAmbiguous(artifact.name) ? join(artifact.stepKey, artifact.name) : artifact.name);
    await save(api, artifact, path);
    if (!flags.json) context.terminal.print(path);
  }
  if (flags.json) printJson(context, wanted);
  return exitCodes.ok;
}

async function choose(api: ApiClient, id: string, names: readonly string[], { step }: GetFlags): Promise<Artifact[]> {
  if (id.startsWith("art_")) return [await api.get<Artifact>(`v1/artifacts/${encodeURIComponent(id)}`)];
  const all = await listArtifacts(api, await runIdOf(api, id));
  const own = userArtifacts(all).filter(({ stepKey }) => step === undefined || stepKey === step);
  const wanted = names.length === 0 ? own : own.filter(({ name }) => names.includes(name));
  const missing = names.filter((name) => !wanted.some((artifact) => artifact.name === name));
  if (missing.length > 0 || wanted.length === 0) {
    const what = missing.length > 0 ? `The run has no artifact ${missing.join(", ")}` : "The run has no artifacts";
    const hint = own.length > 0 ? `It has ${own.map(({ name }) => name).join(", ")}` : null;
    throw new CliError(exitCodes.notFound, what, { hint });
  }
  return wanted;
}

async function runIdOf(api: ApiClient, id: string): Promise<string> {
  if (id.startsWith("run_")) return id;
  const { runId } = await api.get<JobRun>(`v1/jobs/${encodeURIComponent(id)}`);
  if (runId === null) throw new CliError(exitCodes.notFound, `${id} has not started, so it has no artifacts`);
  return runId;
}

/** Where an artifact goes. Its name was chosen by a step, so it must not lead out of the folder. */
function pathIn(folder: string, name: string): string {
  const path = join(folder, name);
  const inside = relative(resolve(folder), resolve(path));
  if (inside === "" || inside === ".." || inside.startsWith(`..${sep}`))
    throw usage(`The artifact ${name} would lie outside of ${folder}`);
  return path;
}

/** Writes beside and renames, so that a file is whole or not there. */
async function save(api: ApiClient, artifact: Artifact, path: string): Promise<void> {
  await makeFolder(dirname(path));
  const part = `${path}.part-${process.pid}`;
  try {
    await download(api, artifact, (source) => pipeline(source, createWriteStream(part)));
    await rename(part, path);
  } finally {
    await rm(part, { force: true });
  }
}

/** Makes a folder and those above it. Node's own way to do so never ends where a file system makes none, such as /proc. */
async function makeFolder(path: string): Promise<void> {
  const make = () => mkdir(path).catch((error: NodeJS.ErrnoException) => error);
  let error = await make();
  if (error?.code === "ENOENT" && dirname(path) !== path) {
    await makeFolder(dirname(path));
    error = await make();
  }
  if (error?.code === "EEXIST" && (await stat(path)).isDirectory()) return;
  if (error)
    throw usage(
      `The folder ${path} cannot be made: ${error.code === "EEXIST" ? "there is a file of that name" : error.code}`,
    );
}

/** @throws {CliError} when the bytes are not those that were recorded. */
async function download(
  api: ApiClient,
  artifact: Artifact,
  take: (source: Transform) => Promise<unknown>,
): Promise<void> {
  const source = await api.open(`v1/artifacts/${artifact.id}/content`);
  const hash = createHash("sha256");
  const hashing = new Transform({
    transform(chunk, _encoding, done) {
      hash.update(chunk);
      done(null, chunk);
    },
  });
  if (source) await Promise.all([pipeline(source, hashing), take(hashing)]);
  if (hash.digest("hex") === artifact.sha256) return;
  throw new CliError(exitCodes.unexpected, `${artifact.name} arrived damaged: its SHA-256 is not the recorded one`);
}
