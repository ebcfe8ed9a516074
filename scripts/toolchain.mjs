// Runs `npm run demo` and `npm test` on a machine that has git, npm and some Node: brings the pinned Node and pnpm into
// .tools where they are missing, installs, builds, and starts what was asked for. Plain JavaScript for Node 18 and newer,
// without dependencies, since nothing is installed yet when it runs.
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const NODE_FLOOR = [22, 18];
const NODE_VERSION = "24.21.0";
const PNPM_VERSION = "10.34.8";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const tools = join(root, ".tools");
const windows = process.platform === "win32";

/** Something that the reader can mend. Printed without a stack. */
class Trouble extends Error {}

const say = (text) => process.stderr.write(`${text}\n`);

async function main([command, ...args]) {
  if (command !== "demo" && command !== "test") throw new Trouble("Usage: node scripts/toolchain.mjs demo|test");
  if (Number(process.versions.node.split(".")[0]) < 18) {
    throw new Trouble(`Node ${process.versions.node} is too old even to fetch a newer one. Install Node 20 or newer.`);
  }
  mkdirSync(tools, { recursive: true });
  const node = bringNode();
  const pnpm = bringPnpm();
  install(node, pnpm);
  const env = cleanEnv(node, pnpm);
  if (command === "test") return test(node, env, args);
  build(node, env, ["build"]);
  return start(node, [join("scripts", "demo.mjs"), ...args], env);
}

/** Checks what the compiler and the linter say, then runs every test. */
function test(node, env, args) {
  build(node, env, ["build", "typecheck"]);
  const biome = join("node_modules", "@biomejs", "biome", "bin", "biome");
  runOrStop("Checking the style failed", node, [biome, "check", "--diagnostic-level=warn", "."], { env });
  bringSystemCommands();
  const flags = ["--experimental-vm-modules", "--disable-warning=ExperimentalWarning"];
  return start(node, [...flags, join("node_modules", "jest", "bin", "jest.js"), ...args], env);
}

/** The Node that runs Maia: this one where it is new enough, else the one in .tools. */
function bringNode() {
  if (atLeast(process.versions.node, NODE_FLOOR)) return process.execPath;
  const os = { linux: "linux", darwin: "darwin", win32: "win" }[process.platform] ?? process.platform;
  const name = `node-${os}-${process.arch}`;
  const folder = join(tools, "node");
  const binary = join(folder, "node_modules", name, "bin", windows ? "node.exe" : "node");
  if (versionOf(binary) !== `v${NODE_VERSION}`) {
    say(
      `Node ${process.versions.node} is older than ${NODE_FLOOR.join(".")}: bringing Node ${NODE_VERSION} into .tools`,
    );
    npmInstall(
      folder,
      `${name}@${NODE_VERSION}`,
      `Install Node ${NODE_FLOOR.join(".")} or newer yourself, then run this again.`,
    );
    if (versionOf(binary) !== `v${NODE_VERSION}`) {
      throw new Trouble(
        `The Node of the npm package ${name} does not run here. Install Node ${NODE_FLOOR.join(".")} or newer yourself.`,
      );
    }
  }
  return binary;
}

function bringPnpm() {
  const folder = join(tools, "pnpm");
  const script = join(folder, "node_modules", "pnpm", "bin", "pnpm.cjs");
  if (packageVersion(join(folder, "node_modules", "pnpm")) !== PNPM_VERSION) {
    say(`Bringing pnpm ${PNPM_VERSION} into .tools`);
    npmInstall(folder, `pnpm@${PNPM_VERSION}`, "Then run this again.");
  }
  return script;
}

/** Installs one package with npm into a folder of its own, touching nothing else. */
function npmInstall(folder, spec, advice) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const args = [
    "install",
    "--prefix",
    folder,
    "--no-save",
    "--no-package-lock",
    "--no-audit",
    "--no-fund",
    "--loglevel=error",
    spec,
  ];
  const npm = npmCommand();
  const result = spawnSync(npm.command, [...npm.args, ...args], {
    cwd: folder,
    env: packageEnv(),
    encoding: "utf8",
    shell: npm.shell,
  });
  if (result.status === 0) return;
  rmSync(folder, { recursive: true, force: true });
  const output = `${result.stderr ?? ""}${result.stdout ?? ""}${result.error ? result.error.message : ""}`;
  throw new Trouble(`npm could not install ${spec}. ${reason(output)} ${advice}\n${lastLines(output)}`);
}

/** The npm that started us, else the one on the PATH. */
function npmCommand() {
  const { npm_execpath: script = "" } = process.env;
  if (/npm-cli\.js$/.test(script) && existsSync(script))
    return { command: process.execPath, args: [script], shell: false };
  return { command: windows ? "npm.cmd" : "npm", args: [], shell: windows };
}

/** Installs the dependencies, unless nothing that decides about them has changed since it last succeeded. */
function install(node, pnpm) {
  const stampFile = join(tools, "installed");
  const stamp = installStamp(node);
  if (existsSync(join(root, "node_modules", ".modules.yaml")) && readOrEmpty(stampFile) === stamp) return;
  say("Installing dependencies");
  rmSync(stampFile, { force: true });
  const args = [
    "install",
    "--frozen-lockfile",
    "--prefer-offline",
    "--reporter=append-only",
    "--config.confirm-modules-purge=false",
  ];
  const result = spawnSync(node, [pnpm, ...args], {
    cwd: root,
    env: withPath(packageEnv(), node, pnpm),
    encoding: "utf8",
  });
  if (result.status !== 0) {
    const output = `${result.stdout ?? ""}${result.stderr ?? ""}`;
    throw new Trouble(`pnpm could not install the dependencies. ${reason(output)}\n${lastLines(output)}`);
  }
  writeFileSync(stampFile, stamp);
}

function installStamp(node) {
  const hash = createHash("sha256").update(`${node} ${versionOf(node)} ${PNPM_VERSION}`);
  const files = ["package.json", "pnpm-lock.yaml", "pnpm-workspace.yaml"];
  for (const folder of ["apps", "packages"]) {
    for (const name of readdirSync(join(root, folder)).sort()) files.push(join(folder, name, "package.json"));
  }
  for (const file of files) hash.update(`\0${file}\0`).update(readOrEmpty(join(root, file)));
  return hash.digest("hex");
}

/** Turbo builds what has changed, in order, and remembers the rest. */
function build(node, env, tasks) {
  process.stderr.write("Building what has changed (under a minute the first time)\n");
  const turbo = join("node_modules", "turbo", "bin", "turbo");
  const args = [turbo, "run", ...tasks, "--output-logs=errors-only", "--log-order=grouped", "--ui=stream"];
  runOrStop("The build failed", node, args, { env, quiet: true });
}

/** What the tests start of the system's own: how to ask whether it is there, and the package that brings it. */
const SYSTEM_COMMANDS = [
  { command: ["bwrap", "--version"], name: "bubblewrap" }, // the sandbox
  { command: ["python3", "--version"], name: "python3" }, // steps in python
  { command: ["python3", "-m", "pip", "--version"], name: "python3-pip" }, // and their packages
  { command: ["openssl", "version"], name: "openssl" }, // certificates
  { command: ["strace", "-V"], name: "strace" }, // faults at a chosen system call
];

/** Brings what the tests need of the system, where we may add it. */
function bringSystemCommands() {
  if (process.platform !== "linux") return;
  const missing = SYSTEM_COMMANDS.filter(({ command: [file, ...args] }) => spawnSync(file, args).status !== 0);
  if (missing.length === 0) return;
  const packages = missing.map(({ name }) => name);
  const advice = `Add ${packages.length > 1 ? "the packages" : "the package"} ${packages.join(" and ")}, then run this again.`;
  const mayInstall = process.getuid() === 0 && spawnSync("apt-get", ["--version"]).status === 0;
  if (!mayInstall) throw new Trouble(`The tests need ${packages.join(" and ")}. ${advice}`);

  say(`Installing ${packages.join(" and ")}`);
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const apt = (...args) => spawnSync("apt-get", args, { env, encoding: "utf8" });
  const add = () => apt("install", "-y", "--no-install-recommends", ...packages);
  let result = add();
  if (result.status !== 0) {
    apt("update");
    result = add();
  }
  if (result.status !== 0)
    throw new Trouble(
      `apt-get could not install ${packages.join(" and ")}. ${advice}\n${lastLines(result.stderr ?? "")}`,
    );
}

/** Runs a program to its end. @throws {Trouble} when it fails; with `quiet` its output is shown only then. */
function runOrStop(trouble, command, args, { env, quiet = false }) {
  const result = spawnSync(command, args, {
    cwd: root,
    env,
    stdio: quiet ? "pipe" : ["ignore", "pipe", "pipe"],
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });
  if (result.status === 0) return;
  process.stderr.write(`${result.stdout ?? ""}${result.stderr ?? ""}`);
  throw new Trouble(`${trouble}${result.error ? `: ${result.error.message}` : "; the lines above say where."}`);
}

/** Runs a program in our place: it has the terminal, gets our signals, and its exit code is ours. */
function start(command, args, env) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, env, stdio: "inherit" });
    process.on("SIGINT", () => {}); // the terminal tells the child too; we wait for it
    process.on("SIGTERM", () => child.kill("SIGTERM"));
    process.on("SIGHUP", () => child.kill("SIGHUP"));
    child.once("error", reject);
    child.once("exit", (code, signal) => resolve(code ?? (signal === "SIGINT" ? 130 : 1)));
  });
}

/** The environment for npm and pnpm: without what npm tells its scripts about itself, with what tells it how to download. */
function packageEnv() {
  const kept = /^npm_config_(registry|cache|userconfig|cafile|ca|strict_ssl|proxy|https?_proxy|noproxy|@.*|\/\/.*)$/i;
  const entries = Object.entries(process.env).filter(([name]) => !isNoise(name) || kept.test(name));
  const env = Object.fromEntries(entries);
  delete env.NODE_ENV; // "production" would leave the compilers out
  return withHome(env);
}

/** The environment for what we start: no trace of npm, nor of certificates that only downloads need. */
function cleanEnv(node, pnpm) {
  const entries = Object.entries(process.env).filter(([name]) => !isNoise(name));
  const env = withHome(withPath(Object.fromEntries(entries), node, pnpm));
  delete env.NODE_ENV;
  delete env.NODE_EXTRA_CA_CERTS; // every process would read them at its start
  return { ...env, TURBO_TELEMETRY_DISABLED: "1", DO_NOT_TRACK: "1" };
}

function isNoise(name) {
  return /^npm_/i.test(name) || name === "INIT_CWD";
}

function withPath(env, node, pnpm) {
  const ours = [dirname(node), join(dirname(pnpm), "..", "..", ".bin")];
  return { ...env, PATH: [...ours, env.PATH ?? ""].join(delimiter) };
}

/** Package managers keep caches at home; without a home, in .tools. */
function withHome(env) {
  if (windows || env.HOME) return env;
  const home = join(tools, "home");
  mkdirSync(home, { recursive: true });
  return { ...env, HOME: home };
}

function versionOf(binary) {
  return existsSync(binary) ? spawnSync(binary, ["--version"], { encoding: "utf8" }).stdout?.trim() : undefined;
}

function packageVersion(folder) {
  const text = readOrEmpty(join(folder, "package.json"));
  return text ? JSON.parse(text).version : undefined;
}

function atLeast(version, [major, minor]) {
  const [ownMajor, ownMinor] = version.split(".").map(Number);
  return ownMajor > major || (ownMajor === major && ownMinor >= minor);
}

function readOrEmpty(file) {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

function reason(output) {
  if (/ENOTFOUND|EAI_AGAIN|ETIMEDOUT|ECONNREFUSED|ECONNRESET|ENETUNREACH|ERR_SOCKET_TIMEOUT/.test(output)) {
    return "The package registry cannot be reached: check the network, the proxy (HTTPS_PROXY) or npm's `registry` setting.";
  }
  if (/SELF_SIGNED|UNABLE_TO_(GET|VERIFY)|CERT_/.test(output)) {
    return "The registry's certificate is not trusted: name your company's certificates in NODE_EXTRA_CA_CERTS.";
  }
  if (/ENOSPC/.test(output)) return "The disk is full.";
  if (/EACCES|EPERM/.test(output)) return `This user may not write there: check who owns ${root}.`;
  if (/Unknown (cli )?option|unknown command|SyntaxError|EBADENGINE/i.test(output))
    return "This npm seems too old: npm 8 or newer is needed.";
  if (/command not found|ENOENT.*npm|spawn npm/.test(output)) return "There is no npm on the PATH.";
  return "";
}

function lastLines(output) {
  return output.trim().split("\n").slice(-15).join("\n");
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  say(error instanceof Trouble ? `\n${error.message}` : `${error.stack}`);
  process.exitCode = 1;
}
