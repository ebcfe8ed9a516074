import { readdir, readFile, stat } from "node:fs/promises";
import { dirname, isAbsolute, join, relative, sep } from "node:path";
import { text as readStream } from "node:stream/consumers";
import { CliError, type Fault, invalid, usage } from "../errors.js";
import { readYaml } from "./read-yaml.js";

/** A workflow from a file: its definition with the scripts inside, ready to be sent. */
export interface WorkflowFile {
  readonly file: string;
  readonly slug: string;
  readonly definition: Readonly<Record<string, unknown>>;
  /** Says where in the file a pointer of the API points. */
  readonly placeOf: (pointer: string) => string | null;
}

const NAMES = ["workflow.yaml", "workflow.yml"];
/** Scripts travel inside the definition, whose size the API limits. */
const SCRIPT_MAX = 1_024 * 1_024;

/**
 * The files that a path stands for: itself, the `workflow.yaml` in a folder, else those in its subfolders. `-` is stdin.
 * @throws {CliError} when there is none.
 */
export async function findWorkflowFiles(path: string): Promise<string[]> {
  if (path === "-") return [path];
  const found = await stat(path).catch(() => null);
  if (!found) throw usage(`There is no file or folder ${path}`);
  if (!found.isDirectory()) return [path];
  const names = await readdir(path);
  const own = NAMES.find((name) => names.includes(name));
  if (own) return [join(path, own)];
  const below = await Promise.all(names.sort().map((name) => workflowIn(join(path, name))));
  const files = below.filter((file) => file !== null);
  if (files.length === 0) throw usage(`Neither ${path} nor a folder in it has a workflow.yaml`);
  return files;
}

async function workflowIn(folder: string): Promise<string | null> {
  const names = await readdir(folder).catch((): string[] => []);
  const name = NAMES.find((candidate) => names.includes(candidate));
  return name ? join(folder, name) : null;
}

/** Reads a workflow and the scripts that it names by `file:`, relative to itself. @throws {CliError} */
export async function readWorkflow(file: string): Promise<WorkflowFile> {
  const text = file === "-" ? await readStream(process.stdin) : await readFile(file, "utf8");
  const { value, placeOf } = readYaml(text, file === "-" ? "stdin" : file);
  if (!isRecord(value)) throw invalid(`${file} holds no workflow: it must be a map with name and steps`);
  const { name, steps } = value;
  if (typeof name !== "string" || name === "")
    throw invalid(`${file} names no workflow`, [{ pointer: "/name", message: "is missing" }]);

  const faults: Fault[] = [];
  const folder = file === "-" ? "." : dirname(file);
  const inlined = Array.isArray(steps)
    ? await Promise.all(steps.map((step, at) => inlineScript(step, at, folder, faults)))
    : steps;
  if (faults.length > 0) throw invalid(`${file} is not complete`, withPlaces(faults, placeOf));
  const definition = steps === undefined ? value : { ...value, steps: inlined };
  return { file, slug: name, definition, placeOf };
}

/** Adds to each pointer where it is in the file. */
export function withPlaces(faults: readonly Fault[], placeOf: (pointer: string) => string | null): Fault[] {
  return faults.map(({ pointer, message }) => {
    const place = placeOf(pointer);
    return { pointer, message: place === null ? message : `${message} (at ${place})` };
  });
}

/** Says where in the file the faults are that the API found; `root` is where in the request the definition stood. */
export function inFile(error: unknown, { file, placeOf }: WorkflowFile, root = ""): unknown {
  if (!(error instanceof CliError) || !error.problem.errors) return error;
  const own = error.problem.errors.map(({ pointer, message }) => {
    return { pointer: pointer.startsWith(root) ? pointer.slice(root.length) : pointer, message };
  });
  const problem = { ...error.problem, errors: withPlaces(own, placeOf) };
  return new CliError(error.exitCode, `${file}: ${error.message}`, { hint: error.hint, problem, cause: error });
}

/** Puts the text of a step's `file` in its place, as `script`. */
async function inlineScript(step: unknown, at: number, folder: string, faults: Fault[]): Promise<unknown> {
  if (!isRecord(step) || step.file === undefined) return step;
  const fault = (message: string) => {
    faults.push({ pointer: `/steps/${at}/file`, message });
    return step;
  };
  const { file, ...rest } = step;
  if (rest.script !== undefined) return fault("a step has a file or a script, not both");
  if (typeof file !== "string" || file === "") return fault("must be the path of a script");
  if (isAbsolute(file)) return fault(`must be relative to the workflow's file, such as steps/main.mjs`);
  const path = join(folder, file);
  // Whoever applies somebody else's folder sends nothing but what is in it.
  if (relative(folder, path).split(sep)[0] === "..") return fault("must lie in the folder of the workflow's file");
  const found = await stat(path).catch(() => null);
  if (!found?.isFile()) return fault(`there is no file ${path}`);
  if (found.size > SCRIPT_MAX) return fault(`${path} is larger than ${SCRIPT_MAX / 1_024} KiB`);
  try {
    return { ...rest, script: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(await readFile(path)) };
  } catch {
    return fault(`${path} is not UTF-8 text`);
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
