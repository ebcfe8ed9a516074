// The first code in the process of a node step. It waits for its attempt on descriptor 3, carries it out and ends the
// process, or, when it is told to be reused, answers on the descriptor and waits for the next attempt.
import fs from "node:fs";
import path from "node:path";
import { inspect } from "node:util";

const CONTROL = 3;
const GENERIC_CALL = /[\w$]<[\w$\s,.[\]{}|&'"<>]+>\(/;

const buffer = Buffer.allocUnsafe(64 * 1024);

/** Reads up to the newline, behind which nothing follows yet, and blocks meanwhile. Empty: there is nobody any more. */
function readLine() {
  const parts = [];
  for (;;) {
    const length = fs.readSync(CONTROL, buffer);
    if (length === 0) return "";
    const isLast = buffer[length - 1] === 10;
    if (isLast && parts.length === 0) return buffer.toString("utf8", 0, length);
    parts.push(Buffer.from(buffer.subarray(0, length)));
    if (isLast) return Buffer.concat(parts).toString("utf8");
  }
}

async function runOnce(task) {
  tellOtherEnds(() => task);
  try {
    const input = JSON.parse(fs.readFileSync(task.inputPath, "utf8"));
    const main = await loadStep(task);
    keepResult(task, await main(createContext(task, input)));
  } catch (error) {
    console.error(error);
    tellError(task, { message: describe(error) });
    process.exitCode = 1;
  }
  await flush(process.stdout);
  await flush(process.stderr);
  process.exit();
}

function keepResult(task, result) {
  try {
    // Without a file the process would count as one that ended early.
    fs.writeFileSync(task.outputPath, toJson(result) ?? "{}");
  } catch (error) {
    tellError(task, { code: "OUTPUT_INVALID", message: error.message });
    process.exitCode = 1;
  }
}

/** Tells of what will end the process although the step's function has not come to its end; Node itself prints it. */
function tellOtherEnds(current) {
  process.on("beforeExit", () => {
    tellError(current(), { message: "the step waits for what can never come: nothing is left that could bring it" });
  });
  process.on("uncaughtExceptionMonitor", (error, origin) => {
    const what = origin === "unhandledRejection" ? "a promise was rejected" : "an error was thrown";
    tellError(current(), { message: `${what} that nothing waited for: ${describe(error)}` });
  });
}

/** Nothing may be thrown here: it would end the process in the middle of telling why it ends. */
function tellError(task, error) {
  try {
    fs.writeFileSync(task.errorPath, JSON.stringify(error));
  } catch (problem) {
    console.error(problem.message);
  }
}

function describe(error) {
  if (error?.code === "ERR_UNHANDLED_REJECTION") return error.message.replace(/^.* with the reason "(.*)"\.$/s, "$1");
  if (error instanceof Error) return `${error.name}: ${error.message}`;
  return typeof error === "object" ? inspect(error, { breakLength: Number.POSITIVE_INFINITY }) : String(error);
}

/** Undefined means that nothing was returned. */
function toJson(result) {
  if (result === undefined) return undefined;
  if (result === null || typeof result !== "object" || Array.isArray(result)) {
    throw new TypeError(`a step returns a JSON object, not ${Array.isArray(result) ? "an array" : String(result)}`);
  }
  return JSON.stringify(result);
}

const loaded = new Map();

async function loadStep(task) {
  let main = loaded.get(task.script);
  if (!main) {
    process.argv = [process.execPath, task.script];
    const module = await importScript(task);
    main = module.default;
    if (typeof main !== "function") throw new TypeError("a step is a module whose default export is a function");
    loaded.set(task.script, main);
  }
  return main;
}

/** JavaScript loads faster as such, so that types are looked for only where the source does not parse without. */
async function importScript({ script, typedScript }) {
  if (GENERIC_CALL.test(fs.readFileSync(script, "utf8"))) return import(`file://${typedScript}`);
  try {
    return await import(`file://${script}`);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return import(`file://${typedScript}`);
  }
}

function setEnvironment(wanted) {
  for (const name of Object.keys(process.env)) if (!Object.hasOwn(wanted, name)) delete process.env[name];
  for (const name of Object.keys(wanted)) if (process.env[name] !== wanted[name]) process.env[name] = wanted[name];
}

function createContext(task, input) {
  const { files = [], ...params } = input.initialInput ?? {};
  const log = (...parts) => console.log(...parts);
  log.debug = log.info = log;
  log.warn = (...parts) => console.warn(...parts);
  log.error = (...parts) => console.error(...parts);
  return {
    input,
    params,
    files,
    upstream: input.upstream ?? {},
    run: task.run,
    env: { ...task.env },
    log,
    artifacts: createArtifacts(task),
    /** Made when it is first asked for: a step that does not look ends at once when it is asked to. */
    get signal() {
      return abortSignal();
    },
  };
}

let controller = null;

function abortSignal() {
  if (!controller) {
    controller = new AbortController();
    process.on("SIGTERM", () => controller.abort(new Error("the attempt is asked to end")));
    // A step may have nothing to wait for but this.
    setInterval(() => {}, 1_000_000_000);
  }
  return controller.signal;
}

function createArtifacts({ artifactsPath, registeredPath, workPath, runPath }) {
  return {
    async write(name, data) {
      const target = `${artifactsPath}/${checkedName(name)}`;
      fs.mkdirSync(target.slice(0, target.lastIndexOf("/")), { recursive: true });
      const isBytes = typeof data === "string" || ArrayBuffer.isView(data);
      const isStream = typeof data?.[Symbol.asyncIterator] === "function";
      await fs.promises.writeFile(target, isBytes || isStream ? data : JSON.stringify(data));
      return target;
    },
    async register(file, { name, mime } = {}) {
      const absolute = path.resolve(workPath, file);
      const problem = fileProblem(absolute, workPath);
      if (problem) throw new Error(`the file ${JSON.stringify(file)} cannot be kept as an artifact: it ${problem}`);
      const entry = { path: absolute, name: checkedName(name ?? path.basename(absolute)), mime };
      fs.appendFileSync(registeredPath, `${JSON.stringify(entry)}\n`);
    },
    path(stepKey, name) {
      return `${runPath}/artifacts/${stepKey}/${name}`;
    },
  };
}

function checkedName(name) {
  const isFine = typeof name === "string" && name !== "" && !name.startsWith("/") && !name.split("/").includes("..");
  if (!isFine) throw new TypeError(`an artifact's name is a relative path, not ${JSON.stringify(name)}`);
  return name;
}

/** Why a file cannot be kept as it is now. When the step has ended, what has become of it is judged in the same way. */
function fileProblem(file, folder) {
  if (!file.startsWith(`${folder}/`)) return "lies outside of the attempt's folder";
  try {
    for (let at = path.dirname(file); at !== folder; at = path.dirname(at))
      if (!fs.lstatSync(at).isDirectory()) return "lies behind a link, or in what is no folder";
    const stat = fs.lstatSync(file);
    if (stat.isSymbolicLink()) return "is a symbolic link";
    if (!stat.isFile()) return "is no regular file";
    return stat.nlink === 1 ? null : "has more than one name (a hard link)";
  } catch (error) {
    return error.code === "ENOENT" ? "does not exist" : `cannot be read (${error.code})`;
  }
}

async function flush(stream) {
  if (stream.writableLength > 0) await new Promise((resolve) => stream.write("", resolve));
}

/**
 * Carries out attempts one after another as they come. Between two of them the process stands still, which costs half of
 * what an event loop that listens does.
 */
async function serve(first) {
  let basics = {};
  tellOtherEnds(() => basics);
  for (let line = first; line !== ""; line = readLine()) {
    // What did not change since the last attempt is not told again.
    basics = { ...basics, ...JSON.parse(line) };
    await answer({ ...basics, env: { ...basics.env, ...attemptEnvironment(basics) } });
    // Timers and connections that a step left get their turn.
    await new Promise(setImmediate);
  }
  process.exit(0);
}

async function answer(task) {
  setEnvironment(task.env);
  let outcome;
  try {
    writeInput(task);
    if (process.cwd() !== task.workPath) process.chdir(task.workPath);
    const main = await loadStep(task);
    const result = await main(createContext(task, JSON.parse(task.input)));
    outcome = returned(result);
  } catch (error) {
    console.error(error);
    outcome = `"ok":false,"error":${JSON.stringify({ message: describe(error) })}`;
  }
  await flush(process.stdout);
  await flush(process.stderr);
  writeAll(`{${outcome},"dirty":${hasLeftFiles(task)}}\n`);
}

function writeAll(text) {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; ) at += fs.writeSync(CONTROL, bytes, at);
}

function attemptEnvironment(task) {
  const { runId, stepKey, attemptNo, attemptId, workflowId } = task.run;
  return {
    HOME: task.workPath,
    MAIA_RUN_ID: runId,
    MAIA_STEP_KEY: stepKey,
    MAIA_ATTEMPT_NO: String(attemptNo),
    MAIA_ATTEMPT_ID: attemptId,
    MAIA_WORKFLOW_ID: workflowId,
    MAIA_INPUT_PATH: task.inputPath,
    MAIA_OUTPUT_PATH: task.outputPath,
    MAIA_RUN_DIR: task.runPath,
    MAIA_ATTEMPT_DIR: task.workPath,
    MAIA_ARTIFACTS_DIR: task.artifactsPath,
  };
}

function returned(result) {
  try {
    return `"ok":true,"data":${toJson(result) ?? "null"}`;
  } catch (error) {
    return `"ok":false,"error":${JSON.stringify({ code: "OUTPUT_INVALID", message: error.message })}`;
  }
}

const input = { file: null, length: 0 };

/** The file is overwritten in place: opening one costs more than all else here. */
function writeInput({ inputPath, input: text }) {
  if (input.file === null || (!wasClean && !fs.existsSync(inputPath))) input.file = fs.openSync(inputPath, "w", 0o644);
  const length = fs.writeSync(input.file, text, 0);
  if (length < input.length) fs.ftruncateSync(input.file, length);
  input.length = length;
}

const CERTAIN_AFTER_NS = 20_000_000n;
let wasClean = false;
let cleanTimes = "";

/**
 * Whether the step left files. Asking the folders for their times is cheap, and certain once these are older than the
 * clock's grain; until then it is looked into the folders.
 */
function hasLeftFiles(task) {
  try {
    const now = BigInt(Date.now()) * 1_000_000n;
    const times = [task.workPath, task.artifactsPath, task.ownPath].map(
      (folder) => fs.statSync(folder, { bigint: true }).mtimeNs,
    );
    if (wasClean && times.join() === cleanTimes) return false;
    wasClean = isClean(task) && times.every((time) => now - time > CERTAIN_AFTER_NS);
    cleanTimes = times.join();
    return !isClean(task);
  } catch {
    wasClean = false;
    return true;
  }
}

function isClean({ workPath, artifactsPath, outputPath, registeredPath }) {
  const hasFiles = fs.readdirSync(workPath).length !== 2 || fs.readdirSync(artifactsPath).length > 0;
  return !hasFiles && !fs.existsSync(outputPath) && !fs.existsSync(registeredPath);
}

// What every step needs is made ready while nobody waits for it.
process.stdout.writable && process.stderr.writable;
await import("data:text/javascript,");
fs.writeSync(CONTROL, "\u0006\n");

const first = readLine();
if (first === "") process.exit(0);
const task = JSON.parse(first);
if (task.reuse) {
  await serve(first);
} else {
  fs.writeSync(CONTROL, "\u0007\n");
  fs.closeSync(CONTROL);
  setEnvironment(task.env);
  await runOnce(task);
}
