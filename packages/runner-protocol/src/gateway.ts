import type { CancelMode } from "./executor.js";
import type { IsolationLevel } from "./frames.js";

/** What a runner that dials out says of itself at first. */
export interface Hello {
  readonly protocol: string;
  readonly version: string;
  /** How many attempts it runs at once. */
  readonly slots: number;
  readonly labels: { readonly [name: string]: string };
  readonly isolation: IsolationLevel;
  readonly capabilities: readonly string[];
  readonly ledgerId: string;
  /** Made up at the start of the process: a hello that it repeats is not one of another process. */
  readonly processId?: string;
  /** The store in which it can keep data that is not to travel. Processes that share one name the same. */
  readonly storeId?: string;
}

/** What the gateway answers to a hello. */
export interface Welcome {
  readonly instanceId: string;
  /** Grows with every process of the same ledger that says hello; the highest one counts. */
  readonly generation: number;
  /** A poll is answered at the latest after so long. */
  readonly heartbeatMs: number;
}

/** How busy an instance is, within the limits that hold for it. What is left out is not told. */
export interface Load {
  /** Share of the processors, 0 to 1. */
  readonly cpu?: number;
  readonly memoryBytes?: number;
  readonly memoryTotalBytes?: number;
}

export interface Poll {
  /** Room for so many tasks. */
  readonly free: number;
  /** True: it takes a task as soon as one of its slots is free. Left out: it takes as many as it has room for now. */
  readonly accepting?: boolean;
  /** Every attempt in hand whose end the gateway has not confirmed. */
  readonly running: readonly string[];
  readonly gotTasks: readonly string[];
  readonly gotCommands: readonly string[];
  readonly load: Load;
  /** True once the runner finishes what it has and takes nothing new. */
  readonly stopping?: boolean;
  /** What became of commands that ask for something. */
  readonly results?: readonly CommandResult[];
}

export interface CommandResult {
  readonly id: string;
  readonly result: object;
}

export interface PollAnswer {
  /** Tasks as they came; `parseTask` checks them. */
  readonly tasks: readonly unknown[];
  readonly commands: readonly Command[];
  /** Transactions that are open on the instance: one that stops waits for them, and takes their steps meanwhile. */
  readonly openTransactions: number;
}

/** What a runner is told to do. Types that it does not know are confirmed and passed over. */
export type Command =
  | CancelCommand
  | StopCommand
  | ConnectivityCommand
  | SendCommand
  | ReceiveCommand
  | FetchCommand
  | UnknownCommand;

export interface CancelCommand {
  readonly id: string;
  readonly type: "CANCEL";
  readonly attemptId: string;
  readonly mode: CancelMode;
  /** The attempt's, for a runner that has not got the task: it answers with an exit all the same. */
  readonly token: string | null;
}

export interface StopCommand {
  readonly id: string;
  readonly type: "STOP" | "RESTART";
}

export interface ConnectivityCommand {
  readonly id: string;
  readonly type: "CONNECTIVITY";
  readonly host: string;
  readonly port: number;
  readonly timeoutMs: number | null;
}

/** Send bytes of the runner's own store: those from `start` up to and including `end`. */
export interface SendCommand {
  readonly id: string;
  readonly type: "SEND";
  /** Where they are waited for. */
  readonly transferId: string;
  readonly storeId: string;
  readonly sha256: string;
  /** Of the whole content. */
  readonly sizeBytes: number;
  readonly start: number;
  readonly end: number;
}

/** Bring what is behind a URL into the runner's own store. Its result is `{sha256, sizeBytes, mime}` or `{error}`. */
export interface FetchCommand {
  readonly id: string;
  readonly type: "FETCH";
  readonly storeId: string;
  readonly url: string;
  readonly wireMax: number;
  readonly totalMs: number;
  readonly redirectsMax: number;
  /** The waits before it is tried again. In milliseconds. */
  readonly retryMs: readonly number[];
}

/** Take bytes that somebody sends into the runner's own store. Its result is `{sha256, sizeBytes, mime}` or `{error}`. */
export interface ReceiveCommand {
  readonly id: string;
  readonly type: "RECEIVE";
  /** Where they are to be had. */
  readonly transferId: string;
  readonly storeId: string;
  /** What their sender says of them; their bytes tell better what they are. */
  readonly name: string | null;
  readonly mime: string | null;
}

export interface UnknownCommand {
  readonly id: string;
  readonly type: "UNKNOWN";
}

/** What the gateway has recorded of an attempt. */
export interface FramesAnswer {
  readonly ackedSeq: number;
  /** True: the attempt is over, and its spool can go. */
  readonly ended: boolean;
}
