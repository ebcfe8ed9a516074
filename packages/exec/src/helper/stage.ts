import { chmodSync, mkdirSync, readlinkSync, statSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { OpenMessage } from "../messages.js";
import type { Machine } from "./machine.js";
import { runBriefly } from "./run-briefly.js";
import type { Owner, Places } from "./wrappers.js";

/** Who owns nothing: the user under which a Maia that runs as root runs its steps. */
const NOBODY: Owner = { uid: 65_534, gid: 65_534 };

export interface Staged {
  readonly places: Places;
  readonly owner: Owner | null;
  readonly warnings: readonly string[];
}

/**
 * Decides under whose name steps run, and makes what they need reachable for that user. Root's own folders are closed
 * to others, so that the helper, which then has mounts of its own, shows the few that are needed at an open place.
 */
export async function stage(
  machine: Machine,
  { home, bootstrap, deps }: Pick<OpenMessage, "home" | "bootstrap" | "deps">,
  stagePath: string | null,
): Promise<Staged> {
  const plain: Places = {
    home,
    bootstrap,
    node: machine.node,
    npm: machine.npm,
    deps,
    python: (machine.python?.needs ?? []).map((path) => ({ from: path, to: path })),
  };
  if (process.getuid?.() !== 0) return { places: plain, owner: null, warnings: [] };
  if (stagePath && hasOwnMounts()) {
    const places = await mountAll(machine, plain, stagePath);
    if (places) return { places, owner: NOBODY, warnings: [] };
  }
  const needed = [plain.home, dirname(plain.bootstrap), dirname(plain.node), ...(plain.deps ? [plain.deps] : [])];
  if (needed.every(isOpenToOthers)) return { places: plain, owner: NOBODY, warnings: [] };
  return { places: plain, owner: null, warnings: [] };
}

function hasOwnMounts(): boolean {
  try {
    return readlinkSync("/proc/self/ns/mnt") !== readlinkSync(`/proc/${process.ppid}/ns/mnt`);
  } catch {
    return false;
  }
}

async function mountAll(machine: Machine, plain: Places, at: string): Promise<Places | null> {
  if (!machine.mount) return null;
  const mount = async (...args: string[]): Promise<boolean> => (await runBriefly(machine.mount!, args)).code === 0;
  if (!(await mount("-t", "tmpfs", "-o", "mode=0711,size=1m", "maia", at))) return null;
  mkdirSync(`${at}/bin`);
  mkdirSync(`${at}/python`);
  const show = async (from: string, name: string): Promise<string | null> => {
    const to = `${at}/${name}`;
    if (statSync(from).isDirectory()) mkdirSync(to);
    else writeFileSync(to, "");
    return (await mount("--bind", from, to)) ? to : null;
  };
  chmodSync(plain.home, 0o711);
  const home = await show(plain.home, "home");
  const bootstrap = await show(plain.bootstrap, "bootstrap");
  const node = machine.node.startsWith("/usr/") ? plain.node : await show(plain.node, "bin/node");
  if (!home || !bootstrap || !node) return null;
  const npm = plain.npm && !plain.npm.startsWith("/usr/") ? await show(plain.npm, "npm") : plain.npm;
  const deps = plain.deps && (await show(plain.deps, "deps"));
  if (plain.deps && !deps) return null;
  const python = [];
  for (const [at, { to }] of plain.python.entries()) {
    const from = await show(to, `python/${at}`);
    if (from) python.push({ from, to });
  }
  return { home, bootstrap, node, npm, deps, python };
}

/** True when any user may pass through the folder and all above it. */
function isOpenToOthers(folder: string): boolean {
  if ((statSync(folder).mode & 0o001) === 0) return false;
  return folder === "/" || isOpenToOthers(dirname(folder));
}
