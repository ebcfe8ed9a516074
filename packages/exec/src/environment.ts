import { ExecutorError, type Task } from "@maia/runner-protocol";
import type { Packages } from "./packages.js";
import type { SlotView } from "./slot-view.js";

/** Names that would change what runs, or pass for something that Maia says. */
const REFUSED = /^(MAIA_.*|PATH|HOME|LD_.*|NODE_OPTIONS|PYTHONSTARTUP|BASH_ENV)$/;
const USABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** Adds the programs of packages to where a step looks for programs. */
export function withPrograms(machine: MachineEnvironment, packages: Packages | null): MachineEnvironment {
  return packages ? { ...machine, PATH: `${packages.node}/.bin:${machine.PATH}` } : machine;
}

/** What a step inherits from the machine. */
export interface MachineEnvironment {
  readonly PATH: string;
  readonly LANG: string;
  readonly TZ: string;
}

/**
 * The whole environment of a step, and nothing else.
 * @throws {ExecutorError} REFUSED, naming a variable that a workflow may not set.
 */
export function stepEnvironment(task: Task, view: SlotView, machine: MachineEnvironment): Record<string, string> {
  return { ...userEnvironment(task, machine), ...attemptEnvironment(task, view) };
}

/** The part that is the same for all attempts of a version in an environment. */
export function userEnvironment(task: Task, { PATH, LANG, TZ }: MachineEnvironment): Record<string, string> {
  const chosen = { ...task.env, ...task.secrets };
  for (const [name, value] of Object.entries(chosen)) checkVariable(name, value);
  return { LANG, TZ, ...chosen, PATH };
}

/** The part that is an attempt's own. */
export function attemptEnvironment(task: Task, view: SlotView): Record<string, string> {
  return {
    HOME: view.work,
    MAIA_RUN_ID: task.runId,
    MAIA_STEP_KEY: task.stepKey,
    MAIA_ATTEMPT_NO: String(task.attemptNo),
    MAIA_ATTEMPT_ID: task.attemptId,
    MAIA_WORKFLOW_ID: task.workflowId,
    MAIA_INPUT_PATH: view.input,
    MAIA_OUTPUT_PATH: view.output,
    MAIA_RUN_DIR: view.run,
    MAIA_ATTEMPT_DIR: view.work,
    MAIA_ARTIFACTS_DIR: view.artifacts,
  };
}

function checkVariable(name: string, value: string): void {
  if (!USABLE.test(name)) throw new ExecutorError("REFUSED", `"${name}" cannot be the name of an environment variable`);
  if (REFUSED.test(name)) throw new ExecutorError("REFUSED", `the environment variable ${name} is Maia's own`);
  if (typeof value !== "string" || value.includes("\0")) {
    throw new ExecutorError("REFUSED", `the environment variable ${name} holds no text that a process can get`);
  }
}
