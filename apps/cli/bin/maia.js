#!/usr/bin/env node
// Starts the `maia` command, with the Node that `npm run demo` brought along where the running one is too old.
import { spawn } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const FLOOR = [22, 18];
const MARK = "MAIA_STANDS_FOR_PARENT";
const entry = fileURLToPath(import.meta.url);

function isNewEnough() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  return major > FLOOR[0] || (major === FLOOR[0] && minor >= FLOOR[1]);
}

/** The Node in .tools at the root of the repository, or undefined. */
function broughtNode() {
  const packages = join(dirname(entry), "..", "..", "..", ".tools", "node", "node_modules");
  const names = existsSync(packages) ? readdirSync(packages).filter((name) => name.startsWith("node-")) : [];
  return names.map((name) => join(packages, name, "bin", "node")).find(existsSync);
}

/** Takes our place as far as one process can for another: terminal, signals, exit code, and death. */
function becomeWith(node) {
  const env = { ...process.env, [MARK]: "1" };
  const child = spawn(node, [entry, ...process.argv.slice(2)], {
    env,
    stdio: ["inherit", "inherit", "inherit", "ipc"],
  });
  for (const signal of ["SIGTERM", "SIGHUP", "SIGUSR2"]) process.on(signal, () => child.kill(signal));
  process.on("SIGINT", () => {}); // a terminal sends it to both of us; the child decides
  child.on("exit", (code, signal) => {
    if (signal === null) process.exit(code);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

/** Killed with SIGKILL, the process that stands for us cannot say so; its end of the channel does. */
function dieWithParent() {
  delete process.env[MARK];
  process.on("disconnect", () => process.kill(process.pid, "SIGKILL"));
  process.channel?.unref();
}

if (isNewEnough()) {
  if (process.env[MARK]) dieWithParent();
  const built = new URL("../dist/main.js", import.meta.url);
  if (existsSync(built)) {
    await import(built.href);
  } else {
    process.stderr.write("maia is not built yet. Run `npm run demo` or `pnpm build` first.\n");
    process.exitCode = 1;
  }
} else {
  const node = broughtNode();
  if (node) {
    becomeWith(node);
  } else {
    process.stderr.write(
      `maia needs Node ${FLOOR.join(".")} or newer, this is ${process.versions.node}. \`npm run demo\` brings one along.\n`,
    );
    process.exitCode = 1;
  }
}
