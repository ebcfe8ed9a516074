// Starts Maia, runs the example `lockfile-report` on this repository's own lock file, shows what happens, and stops
// everything again. With --keep Maia goes on running.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const bin = join(root, "apps", "cli", "bin", "maia.js");
const example = join(root, "examples", "lockfile-report");
const lockFile = join(root, "pnpm-lock.yaml");
const dataDir = join(root, ".maia", "demo");
const outDir = join(root, ".maia", "demo-report");
const pidFile = join(root, ".maia", "demo.pid");
const logFile = join(root, ".maia", "demo.log");

const READY_WITHIN_MS = 60_000;
const STOP_WITHIN_MS = 30_000;

const { stdout, stderr } = process;
/** The developer's own settings of Maia and of whatever else has a database are not the demo's. */
const env = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^(MAIA_(?!ISOLATION$)|RUNNER_|DATABASE_URL$)/.test(name)),
);
const keep = process.argv.includes("--keep");
let interrupted = false;

/** Something that the reader can act on. */
class Trouble extends Error {}

async function main() {
  const unknown = process.argv.slice(2).find((argument) => argument !== "--keep");
  if (unknown !== undefined)
    throw new Trouble(`Unknown option ${unknown}. The only one is --keep: npm run demo -- --keep`);
  process.on("SIGINT", interrupt);
  process.on("SIGTERM", interrupt);
  process.on("SIGHUP", interrupt);

  heading("Starting Maia");
  const server = await startMaia();
  let kept = false;
  try {
    const succeeded = await runExample(server.url);
    kept = succeeded && keep && !interrupted;
    if (kept) sayHowToGoOn(server);
    return interrupted ? 130 : succeeded ? 0 : 1;
  } finally {
    if (!kept) await stop(server.child);
  }
}

function interrupt() {
  interrupted = true;
}

/** Publishes the example, runs it, follows it, and fetches what it made. False: it did not succeed. */
async function runExample(url) {
  const connection = { ...env, MAIA_URL: url, MAIA_DATA_DIR: dataDir };

  heading("maia apply -f examples/lockfile-report");
  if ((await apply(connection)) !== 0) return false;

  heading("maia run lockfile-report --file pnpm-lock.yaml --follow");
  const asked = await capture(["run", "lockfile-report", "--file", lockFile], connection);
  if (asked.code !== 0) return false;
  const job = asked.output.trim();
  if ((await maia(["runs", "watch", job], connection)) !== 0) return false;

  rmSync(outDir, { recursive: true, force: true });
  heading("maia artifacts get RUN --to .maia/demo-report");
  const fetched =
    (await maia(["artifacts", "get", job, "--to", relative(process.cwd(), outDir) || "."], connection)) === 0;
  stdout.write(`\nMaia listened at ${url}\n`);
  return fetched;
}

/** Without python3 the one python step runs its twin in node. */
async function apply(connection) {
  if (spawnSync("python3", ["--version"]).status === 0) return maia(["apply", "-f", example], connection);
  stdout.write("There is no python3 on this machine, so the step `versions` runs in node instead.\n");
  const text = readFileSync(join(example, "workflow.yaml"), "utf8");
  const inNode = text.replace("runtime: python", "runtime: node").replace("steps/versions.py", "steps/versions.mjs");
  return maia(["apply", "-f", "-"], connection, { cwd: example, input: inNode });
}

/** Runs a command of the CLI on our terminal, to its end. */
async function maia(args, connection, { cwd, input } = {}) {
  if (interrupted) return 130;
  const child = spawn(process.execPath, [bin, ...args], {
    cwd,
    env: connection,
    stdio: [input === undefined ? "ignore" : "pipe", "inherit", "inherit"],
  });
  child.stdin?.end(input);
  const [code] = await once(child, "exit");
  return code ?? 1;
}

/** Runs a command of the CLI to its end and gives what it printed. */
async function capture(args, connection) {
  const child = spawn(process.execPath, [bin, ...args], { env: connection, stdio: ["ignore", "pipe", "pipe"] });
  let [output, errors] = ["", ""];
  child.stdout.on("data", (chunk) => {
    output += chunk;
  });
  child.stderr.on("data", (chunk) => {
    errors += chunk;
  });
  const [code] = await once(child, "close");
  if (code !== 0) stderr.write(errors);
  return { code: interrupted ? 130 : code, output };
}

/** Starts `maia up` on a free port, in a session of its own, so that Ctrl-C reaches us and not it. */
async function startMaia() {
  refuseTwice();
  mkdirSync(dataDir, { recursive: true });
  const log = openSync(logFile, "w");
  const args = [bin, "up", "--data", dataDir, "--host", "127.0.0.1", "--port", "0"];
  const child = spawn(process.execPath, args, { cwd: root, env, detached: true, stdio: ["ignore", log, log] });
  closeSync(log);
  writeFileSync(pidFile, String(child.pid));
  const deadline = Date.now() + READY_WITHIN_MS;
  while (!interrupted && Date.now() < deadline) {
    const said = readFileSync(logFile, "utf8");
    const url = /is ready at (\S+)/.exec(said)?.[1];
    if (url) return { child, url };
    if (child.exitCode !== null || child.signalCode !== null) throw new Trouble(`Maia did not start:\n${said.trim()}`);
    await delay(25);
  }
  await stop(child);
  throw interrupted
    ? new Trouble("Interrupted")
    : new Trouble(`Maia was not ready within ${READY_WITHIN_MS / 1_000} s. Its log: ${logFile}`);
}

/** One data directory is for one Maia at a time. */
function refuseTwice() {
  const pid = existsSync(pidFile) ? Number(readFileSync(pidFile, "utf8")) : 0;
  if (pid > 0 && isMaia(pid)) throw new Trouble(`The Maia of an earlier demo still runs. Stop it first: kill ${pid}`);
}

function isMaia(pid) {
  return spawnSync("ps", ["-o", "args=", "-p", String(pid)], { encoding: "utf8" }).stdout?.includes(dataDir) ?? false;
}

/** Asks Maia to stop, and insists when it does not. */
async function stop(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  const insist = setTimeout(() => child.kill("SIGKILL"), STOP_WITHIN_MS);
  await ended;
  clearTimeout(insist);
}

function sayHowToGoOn({ child, url }) {
  child.unref();
  stdout.write(`
It goes on running. To use it from this folder:
  export MAIA_URL=${url} MAIA_DATA_DIR=${relative(process.cwd(), dataDir)}
  node_modules/.bin/maia runs list
Stop it with: kill ${child.pid}
`);
}

function heading(text) {
  stdout.write(`\n› ${text}\n`);
}

try {
  process.exitCode = await main();
} catch (error) {
  stderr.write(`${error instanceof Trouble ? error.message : error.stack}\n`);
  process.exitCode = interrupted ? 130 : 1;
}
