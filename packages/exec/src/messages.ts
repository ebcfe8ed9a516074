import type { IsolationLevel, Task } from "@maia/runner-protocol";
import type { IsolationReport } from "./options.js";

export type Runtime = Task["runtime"];

/** What the helper must know before it starts anything. */
export interface OpenMessage {
  readonly t: "open";
  /** This executor's own folder; its slots lie in `slots/`. */
  readonly home: string;
  /** What the names of this helper's slots begin with: no other process on the machine carries it. */
  readonly slotPrefix: string;
  /** Folder with the files that steps' processes begin with. */
  readonly bootstrap: string;
  /** Folder whose subfolders are sets of installed packages; null: there are none. */
  readonly deps: string | null;
  readonly isolation: "auto" | IsolationLevel;
  readonly leaseTtlMs: number;
  readonly timeZone: string;
}

/** Starts a process in an existing slot; it waits for its attempt. */
export interface SpawnMessage {
  readonly t: "spawn";
  readonly slot: string;
  readonly runtime: Runtime;
  /** Memory limit of each process of the slot, in bytes. */
  readonly memoryBytes: number | null;
  readonly processes: number | null;
  /** CPU time of each process, in milliseconds. */
  readonly cpuMs?: number | null;
  /** Folders of the machine that the process may read besides those that every step may. */
  readonly alsoReads?: readonly string[];
}

/** Hands an attempt to the process that waits in a slot. */
export interface GoMessage {
  readonly t: "go";
  readonly slot: string;
  /** Text for the waiting process, which reads up to the end of its input or, when reused, one line. */
  readonly body: string;
  readonly reuse: boolean;
  readonly attemptId: string;
  readonly timeoutMs: number;
  readonly graceMs: number;
  readonly logLineMax: number;
  readonly logAttemptMax: number;
  /** Longest line that a reused process may answer with, in bytes. */
  readonly answerMax: number;
  /** Values that must not be seen in what the step prints. */
  readonly secrets?: readonly string[];
}

export type EndReason = "exited" | "timeout" | "canceled" | "oom" | "spawn_failed" | "lost";

/** Asks for the end of what runs in a slot. */
export interface KillMessage {
  readonly t: "kill";
  readonly slot: string;
  readonly mode: "stop" | "kill";
}

/** Everything that the executor tells its helper. */
export type ToHelper =
  | OpenMessage
  | SpawnMessage
  | GoMessage
  | KillMessage
  | { readonly t: "credit"; readonly slot: string; readonly bytes: number }
  | { readonly t: "remove"; readonly slot: string }
  | { readonly t: "ping" };

/** What the helper found at its start. */
export interface ReadyMessage {
  readonly t: "ready";
  readonly report: IsolationReport;
  /** Where a step finds its slot, with `{slot}` for the slot's name. */
  readonly viewRun: string;
  readonly viewWork: string;
  /** Who must own what a step may write; null: the owner of this process. */
  readonly owner: { readonly uid: number; readonly gid: number } | null;
  /** True when `run` cannot be written by a step although it lies on the same file system. */
  readonly runIsReadOnly: boolean;
  readonly path: string;
  readonly lang: string;
  readonly interpreters: { readonly [runtime in Runtime]: boolean };
  /** Where a step finds the sets of installed packages. */
  readonly viewDeps: string;
  readonly tools: InstallTools;
}

/** What packages are installed with, by the paths under which a step's process finds it. */
export interface InstallTools {
  readonly node: string;
  /** npm's own first file, which node runs. */
  readonly npm: string | null;
  readonly python: string | null;
  /** What compiled packages must fit: the platform, the node and the Python. */
  readonly abi: { readonly platform: string; readonly node: string; readonly python: string | null };
}

export interface LogMessage {
  readonly t: "log";
  readonly slot: string;
  readonly stream: "stdout" | "stderr" | "system";
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly lines: readonly string[];
  /** What the lines cost of the slot's credit. */
  readonly bytes: number;
}

/** The end of an attempt; with `alive` the process stays for the next one. */
export interface EndMessage {
  readonly t: "end";
  readonly slot: string;
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly reason: EndReason;
  readonly message: string | null;
  readonly droppedLines: number;
  readonly droppedBytes: number;
  /** What a reused process answered. */
  readonly answer: string | null;
  readonly alive: boolean;
}

/** Everything that the helper tells its executor. */
export type FromHelper =
  | ReadyMessage
  | LogMessage
  | EndMessage
  | { readonly t: "refused"; readonly message: string }
  | { readonly t: "born"; readonly slot: string; readonly pid: number }
  | { readonly t: "started"; readonly slot: string; readonly pid: number }
  | { readonly t: "gone"; readonly slot: string; readonly message: string | null }
  | {
      readonly t: "note";
      readonly level: "info" | "warn" | "error";
      readonly message: string;
      readonly fields?: object;
    };
