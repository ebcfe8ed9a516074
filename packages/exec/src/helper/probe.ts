import { mkdirSync, rmSync } from "node:fs";
import type { IsolationLevel } from "@maia/runner-protocol";
import type { IsolationReport } from "../options.js";
import type { Machine } from "./machine.js";
import { runBriefly } from "./run-briefly.js";
import {
  nodeProgram,
  type Owner,
  type Places,
  pidNamespace,
  pidNamespaceByUnshare,
  processGroup,
  sandbox,
  type Wrapper,
} from "./wrappers.js";

const LEVELS: readonly IsolationLevel[] = ["sandbox", "pid-namespace", "process-group"];

export interface Probed {
  readonly wrapper: Wrapper;
  readonly missing: IsolationReport["missing"];
}

/**
 * Finds the best isolation at or below the wish by running a process in each. With a named level there is no second
 * choice. Null: the named level cannot be had, and `missing` says why.
 */
export async function probeIsolation(
  wish: "auto" | IsolationLevel,
  machine: Machine,
  places: Places,
  owner: Owner | null,
): Promise<Probed | { readonly wrapper: null; readonly missing: IsolationReport["missing"] }> {
  const missing: { level: IsolationLevel; reason: string }[] = [];
  for (const level of wish === "auto" ? LEVELS : [wish]) {
    let reason = level === "process-group" ? "" : "neither bubblewrap (bwrap) nor unshare is installed";
    for (const wrapper of candidates(level, machine, places, owner)) {
      const trouble = await tryOut(wrapper, machine, places);
      if (trouble === null) return { wrapper, missing };
      reason = `${wrapper.name}: ${trouble}`;
    }
    missing.push({ level, reason });
  }
  return { wrapper: null, missing };
}

function candidates(level: IsolationLevel, machine: Machine, places: Places, owner: Owner | null): Wrapper[] {
  const found: Record<IsolationLevel, (Wrapper | null)[]> = {
    sandbox: [sandbox(machine, places, owner, "--disable-userns"), sandbox(machine, places, owner, null)],
    "pid-namespace": [pidNamespace(machine, places, owner), pidNamespaceByUnshare(machine, places, owner)],
    "process-group": [processGroup(machine, places, owner)],
  };
  return found[level].filter((wrapper) => wrapper !== null);
}

/** Runs node inside the isolation and has the isolation checked from within. Null: all is well. */
async function tryOut(wrapper: Wrapper, machine: Machine, places: Places): Promise<string | null> {
  const slot = `probe-${wrapper.level}-${wrapper.name}`;
  const folder = `${places.home}/slots/${slot}`;
  for (const part of ["run", "work", "tmp"]) mkdirSync(`${folder}/${part}`, { recursive: true, mode: 0o755 });
  try {
    const node = nodeProgram(machine, places, wrapper.level);
    const inside = [machine.shell, "-c", checks(wrapper, places), "sh", node];
    const { file, args, ...options } = wrapper.wrap(slot, inside);
    const answer = await runBriefly(file, args, options);
    if (answer.code === 0 && answer.stdout.startsWith("v")) return null;
    return (answer.stderr || answer.stdout || `exit code ${answer.code}`).slice(0, 500);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function checks({ level }: Wrapper, places: Places): string {
  const ownProcesses = '[ "$$" -le 8 ] || { echo "the processes of the host are in view" >&2; exit 1; }; ';
  const ownFiles = `[ ! -e '${places.home}' ] || { echo "the files of the host are in view" >&2; exit 1; }; `;
  const wanted = { sandbox: ownProcesses + ownFiles, "pid-namespace": ownProcesses, "process-group": "" };
  return `${wanted[level]}exec "$1" --version`;
}
