import type { Task } from "@maia/runner-protocol";
import type { Packages } from "./packages.js";
import type { SlotView } from "./slot-view.js";

/** What the shell runs, once it is known what the script begins with. */
export interface ScriptFile {
  /** In the step's view. */
  readonly path: string;
  /** The same content under a name that lets node strip types. */
  readonly typedPath: string | null;
  readonly hasInterpreter: boolean;
}

/** The text that makes a waiting process carry out its attempt. */
export function handover(
  task: Task,
  script: ScriptFile,
  view: SlotView,
  env: Record<string, string>,
  packages: Packages | null,
): string {
  if (task.runtime === "shell") return shellHandover(script, env);
  return `${JSON.stringify({ reuse: false, env, ...handedPaths(script, view, packages), run: runFacts(task) })}\n`;
}

/** What a reused process is told once, and again when it changes. */
export interface ReuseBasics {
  readonly env: Record<string, string>;
  readonly view: SlotView;
  readonly packages: Packages | null;
}

/** The same for a process that is reused: what repeats is left out, and the input comes along. */
export function reuseHandover(task: Task, script: ScriptFile, input: string, basics: ReuseBasics | null): string {
  const own = { reuse: true, script: script.path, typedScript: script.typedPath, run: runFacts(task), input };
  return `${JSON.stringify(basics ? { ...own, env: basics.env, ...handedPaths(script, basics.view, basics.packages) } : own)}\n`;
}

function handedPaths(script: ScriptFile, view: SlotView, packages: Packages | null): object {
  return {
    script: script.path,
    typedScript: script.typedPath,
    runPath: view.run,
    workPath: view.work,
    inputPath: view.input,
    outputPath: view.output,
    artifactsPath: view.artifacts,
    ownPath: view.own,
    registeredPath: view.registered,
    errorPath: view.error,
    packagesPath: packages?.python ?? null,
  };
}

function runFacts({ runId, stepKey, attemptNo, attemptId, workflowId }: Task): object {
  return { runId, stepKey, attemptNo, attemptId, workflowId };
}

/** The same for the shell. */
export function shellHandover(
  { path, hasInterpreter }: Pick<ScriptFile, "path" | "hasInterpreter">,
  env: Record<string, string>,
): string {
  const exports = Object.entries(env).map(([name, value]) => `export ${name}=${quote(value)}`);
  const command = hasInterpreter ? quote(path) : `/bin/sh -eu ${quote(path)}`;
  return `${[...exports, `exec ${command}`].join("\n")}\n`;
}

/** One word of shell, whatever it holds. */
function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
