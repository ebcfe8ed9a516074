import type { IsolationLevel } from "@maia/runner-protocol";
import type { Runtime } from "../messages.js";
import { WAIT } from "./keeper.js";
import type { Machine } from "./machine.js";
import { nodeProgram, type Places, type Wrapper } from "./wrappers.js";

/** What the process of a slot may use. */
export interface SlotLimits {
  readonly memoryBytes: number | null;
  readonly processes: number | null;
  readonly cpuMs: number | null;
}

/**
 * Reads everything that comes on descriptor 3, closes it, and carries it out. It says that it is ready first. Reading by
 * lines needs no second process.
 */
const SHELL_BEGIN =
  'printf \'\\006\\n\' >&3; c=; while IFS= read -r l <&3 || [ -n "$l" ]; do c="$c$l\n"; done; printf \'\\007\\n\' >&3; exec 3>&-; eval "$c"';

/**
 * Sets limits, which the shell knows under one letter or another; 0 stands for none. Who uses up his CPU time is told so by a
 * signal first.
 */
const SET_LIMITS =
  'd=$1 p=$2 t=$3; shift 3; [ "$d" = 0 ] || ulimit -d "$d"; [ "$p" = 0 ] || ulimit -p "$p" 2>/dev/null || ulimit -u "$p"; ' +
  '[ "$t" = 0 ] || { ulimit -H -t $((t + 5)); ulimit -S -t "$t"; }; ';
const BECOME = 'exec "$@"';

const MiB = 1024 * 1024;
/** What node reserves at its start without using it, which the kernel counts as data. Measured with node 24. */
const NODE_RESERVES_BYTES = 640 * MiB;

/** The command that waits in a slot for its attempt. */
export function waitingCommand(
  runtime: Runtime,
  slot: string,
  machine: Machine,
  places: Places,
  wrapper: Wrapper,
  limits: SlotLimits,
): string[] {
  const reserved = runtime === "node" ? NODE_RESERVES_BYTES : 0;
  const dataBytes = limits.memoryBytes === null ? null : limits.memoryBytes + reserved;
  const command = interpreter(runtime, `/${slot}/`, machine, places, wrapper.level, limits);
  return begun(command, wrapper, { ...limits, memoryBytes: dataBytes });
}

function interpreter(
  runtime: Runtime,
  mark: string,
  machine: Machine,
  places: Places,
  level: IsolationLevel,
  { memoryBytes }: SlotLimits,
): string[] {
  const bootstrap = level === "sandbox" ? "/maia/bootstrap" : places.bootstrap;
  switch (runtime) {
    case "node": {
      // Node's own heap must meet its limit before the kernel's, so that it can say so.
      const heap = memoryBytes ? [`--max-old-space-size=${Math.max(16, Math.floor((memoryBytes * 0.75) / MiB))}`] : [];
      const flags = ["--disable-warning=ExperimentalWarning", ...heap];
      return [nodeProgram(machine, places, level), ...flags, `${bootstrap}/node.mjs`, mark];
    }
    case "python":
      return [machine.python?.executable ?? "python3", "-I", "-B", `${bootstrap}/python.py`, mark];
    case "shell":
      return [machine.shell, "-c", SHELL_BEGIN, mark];
  }
}

/** Puts the limits, and in a namespace its first process, before the command. */
function begun(command: string[], { tree }: Wrapper, { memoryBytes, processes, cpuMs }: SlotLimits): string[] {
  if (tree === "group" && memoryBytes === null && processes === null && cpuMs === null) return command;
  const dataKiB = memoryBytes === null ? 0 : Math.ceil(memoryBytes / 1024);
  const begin = SET_LIMITS + (tree === "namespace" ? WAIT : BECOME);
  const cpuSeconds = cpuMs === null ? 0 : Math.ceil(cpuMs / 1_000);
  return ["/bin/sh", "-c", begin, "sh", String(dataKiB), String(processes ?? 0), String(cpuSeconds), ...command];
}
