import { isSha256, pathProblem } from "./checks.js";
import { FieldReader } from "./field-reader.js";
import { badField } from "./protocol-error.js";
import type { Task, TaskDeps, TaskFile, TaskLimits } from "./task.js";

/** Largest body of a task, in bytes. It is dominated by a lockfile. */
export const MAX_TASK_BYTES = 16 * 1_048_576;

/** Longest value of a variable, in bytes. Source: MAX_ARG_STRLEN of Linux, which holds name, value and two more bytes. */
const MAX_VALUE_BYTES = 131_072 - 130;
const MAX_VARIABLES = 1_024;
const MAX_FILES = 10_000;
const MAX_PACKAGES = 2_000;

/** Fields by which another system would choose what is executed, and where. The runner decides that, so they are refused. */
const NOT_TO_CHOOSE = ["argv", "command", "cwd", "image", "mounts", "shell", "uid"];
/** Variables that decide what a process loads or where it looks, or that Maia sets. Source: contract.md, §3. */
const RESERVED = /^(__proto__|MAIA_.*|LD_.*|PATH|HOME|NODE_OPTIONS|PYTHONSTARTUP|BASH_ENV)$/;

/** The name of an npm package, with or without a scope. */
const PACKAGE = /^(@[a-z0-9~][\w.~-]*\/)?[a-z0-9~][\w.~-]*$/i;

const ISOLATIONS = ["sandbox", "pid-namespace", "process-group"] as const;

/**
 * Makes a task of a parsed body, with the fields that this version knows.
 * @throws {ProtocolError} bad_task, naming the field.
 */
export function parseTask(value: unknown): Task {
  const task = FieldReader.root(value, "the task");
  for (const name of NOT_TO_CHOOSE) {
    if (task.has(name)) throw badField("bad_task", name, "is not for a task to choose");
  }
  const kind = task.oneOf("kind", ["step", "deps"] as const);
  return {
    attemptId: task.id("attemptId"),
    epoch: task.integer("epoch", 0),
    token: task.text("token", 512),
    kind,
    runId: task.id("runId"),
    stepKey: kind === "deps" && task.isEmpty("stepKey") ? "" : task.id("stepKey", /^[A-Za-z0-9_][A-Za-z0-9_-]{0,127}$/),
    attemptNo: task.integer("attemptNo", kind === "deps" ? 0 : 1),
    workflowId: task.id("workflowId"),
    runtime: task.oneOf("runtime", ["node", "python", "shell"] as const),
    script: { sha256: task.object("script").sha256("sha256") },
    input: { sha256: task.object("input").sha256("sha256") },
    files: parseFiles(task),
    env: parseVariables(task.object("env")),
    secrets: parseVariables(task.object("secrets")),
    deps: task.isNull("deps") ? null : parseDeps(task.object("deps")),
    reuseKey: task.isNull("reuseKey") ? null : task.text("reuseKey", 512),
    transaction: task.isNull("transaction") ? null : task.text("transaction", 128),
    timeoutMs: task.integer("timeoutMs", 1),
    graceMs: task.integer("graceMs", 0),
    reconnectWindowMs: task.integer("reconnectWindowMs", 1),
    limits: parseLimits(task.object("limits")),
    isolation: task.isNull("isolation") ? null : task.oneOf("isolation", ISOLATIONS),
    ...(task.isNull("keep") ? {} : { keep: task.id("keep") }),
  };
}

function parseFiles(task: FieldReader): TaskFile[] {
  const taken = new Set<string>();
  return task.list("files", MAX_FILES).map((file) => {
    const path = file.checked("path", pathProblem);
    if (taken.has(path)) throw file.bad("path", "is there twice");
    taken.add(path);
    const isKept = !file.isNull("kept") && file.flag("kept");
    const what = { path, sha256: file.sha256("sha256"), sizeBytes: file.integer("sizeBytes", 0) };
    return isKept ? { ...what, kept: true } : what;
  });
}

function parseVariables(variables: FieldReader): { [name: string]: string } {
  const names = variables.names(MAX_VARIABLES);
  return Object.fromEntries(
    names.map((name) => {
      if (!/^[A-Za-z_][A-Za-z0-9_]{0,127}$/.test(name))
        throw variables.bad(name, "must be a variable name: letters, digits and _");
      if (RESERVED.test(name)) throw variables.bad(name, "is reserved");
      return [name, variables.checked(name, valueProblem)];
    }),
  );
}

function valueProblem(value: string): string | null {
  if (!value.isWellFormed()) return "must be well-formed Unicode";
  if (value.includes("\0")) return "must not hold NUL";
  return new TextEncoder().encode(value).length > MAX_VALUE_BYTES ? `must have at most ${MAX_VALUE_BYTES} bytes` : null;
}

/** Names and ranges become arguments of a package manager, so none may look like an option. */
function parseDeps(deps: FieldReader): TaskDeps {
  const npm = deps.object("npm");
  const names = npm.names(MAX_PACKAGES);
  const isPackage = (name: string) => (PACKAGE.test(name) ? null : "must be the name of a package");
  return {
    hash: deps.checked("hash", (hash) => (isSha256(hash) ? null : "must be 64 lower-case hexadecimal digits")),
    npm: Object.fromEntries(
      names.map((name) => {
        if (!PACKAGE.test(name)) throw npm.bad(name, "must be the name of a package");
        return [name, npm.checked(name, requirementProblem)];
      }),
    ),
    python: deps.strings("python", MAX_PACKAGES, requirementProblem),
    ...(deps.isNull("allowScripts") ? {} : { allowScripts: deps.strings("allowScripts", MAX_PACKAGES, isPackage) }),
    lock: deps.isNull("lock") ? null : deps.text("lock", MAX_TASK_BYTES),
  };
}

function requirementProblem(text: string): string | null {
  if (text.startsWith("-")) return "must not begin with -";
  return text.length > 512 || /\p{Cc}/u.test(text) ? "must be one short line" : null;
}

function parseLimits(limits: FieldReader): TaskLimits {
  const optional = (name: string) => (limits.isNull(name) ? null : limits.integer(name, 1));
  return {
    logLineMax: limits.integer("logLineMax", 1),
    logAttemptMax: limits.integer("logAttemptMax", 0),
    outputMax: limits.integer("outputMax", 0),
    artifactsMax: limits.integer("artifactsMax", 0),
    artifactMax: limits.integer("artifactMax", 0),
    memoryBytes: optional("memoryBytes"),
    processes: optional("processes"),
    ...(limits.isNull("cpuMs") ? {} : { cpuMs: limits.integer("cpuMs", 1) }),
  };
}
