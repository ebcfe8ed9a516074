/**
 * A small model of how a job is claimed, owned, dispatched and run: one job with one step, two engines, one runner that
 * keeps a ledger. Everything that the real parts keep in the database, in memory, on the runner's disk or on the wire is
 * a field here; everything else is left out.
 */
export interface State {
  // The database.
  readonly job: "queued" | "running" | "over";
  /** How many Runs were ever opened for the job. */
  readonly runs: number;
  /** The engine that owns the run, by the number it was registered under; 0 before there is a run. */
  readonly owner: number;
  readonly epoch: number;
  readonly attempts: readonly AttemptRow[];
  /** Engines whose lease somebody has ended, as bits. */
  readonly endedLeases: number;
  /** How many engines were ever registered. */
  readonly registered: number;

  // Memory: gone after a crash.
  readonly engines: readonly [EngineMemory, EngineMemory];
  readonly runner: RunnerMemory;

  // The runner's disk.
  readonly ledgerId: number;
  readonly ledger: readonly LedgerEntry[];
  /** The highest epoch that the runner has seen. */
  readonly seenEpoch: number;

  /** Every message ever sent, as bits. Any of them may arrive at any time, again and again, or never. */
  readonly wire: number;

  // What an observer outside has counted.
  /** How often the process of each attempt was started, anywhere. */
  readonly starts: readonly number[];
  /** The highest epoch under which a decision was committed. */
  readonly decidedEpoch: number;
  /** How many faults may still happen. */
  readonly faults: number;
}

export interface AttemptRow {
  readonly status: "live" | "succeeded" | "failed" | "lost";
  readonly epoch: number;
  /** The ledger that the attempt is bound to. */
  readonly ledgerId: number;
}

export interface EngineMemory {
  /** The number it is registered under; 0: the process is down. */
  readonly id: number;
  /** It has read that the job is queued. */
  readonly sawJob: boolean;
  /** The epoch under which it believes to own the run; 0: it does not. */
  readonly epoch: number;
  /** What it does for the last attempt of the run: nothing, send the task, or ask what became of it. */
  readonly flight: "none" | "send" | "ask";
}

export interface RunnerMemory {
  readonly isUp: boolean;
  /** The attempt that is being started: its ledger entry and its process are not both there yet. 0: none. */
  readonly starting: number;
  /** Attempts whose process runs, as bits. */
  readonly processes: number;
}

export type LedgerEntry = "unknown" | "started" | "exit 0" | "exit 1";

/** Most attempts of the step. */
export const ATTEMPTS = 2;

export function initialState(faults: number): State {
  const engine = (id: number): EngineMemory => ({ id, sawJob: false, epoch: 0, flight: "none" });
  return {
    job: "queued",
    runs: 0,
    owner: 0,
    epoch: 0,
    attempts: [],
    endedLeases: 0,
    registered: 2,
    engines: [engine(1), engine(2)],
    runner: { isUp: true, starting: 0, processes: 0 },
    ledgerId: 1,
    ledger: ["unknown", "unknown"],
    seenEpoch: 0,
    wire: 0,
    starts: [0, 0],
    decidedEpoch: 0,
    faults,
  };
}

/** What a message says. `no` counts attempts from 1. */
export type Message =
  | { readonly is: "task"; readonly no: number; readonly epoch: number; readonly ledgerId: number }
  | { readonly is: "question"; readonly no: number }
  | { readonly is: "unknown"; readonly no: number; readonly ledgerId: number }
  | { readonly is: "lost"; readonly no: number }
  | { readonly is: "exit"; readonly no: number; readonly code: 0 | 1 };

const EPOCHS = 4;
const LEDGERS = 2;

/** All messages that can be, in the order of their bits. */
export const messages: readonly Message[] = [1, 2].flatMap((no): Message[] => [
  ...Array.from(
    { length: EPOCHS * LEDGERS },
    (_, i): Message => ({ is: "task", no, epoch: (i >> 1) + 1, ledgerId: (i & 1) + 1 }),
  ),
  { is: "question", no },
  { is: "unknown", no, ledgerId: 1 },
  { is: "unknown", no, ledgerId: 2 },
  { is: "lost", no },
  { is: "exit", no, code: 0 },
  { is: "exit", no, code: 1 },
]);

const bitOf = new Map(messages.map((message, bit) => [nameOf(message), 1 << bit]));

function nameOf(message: Message): string {
  return Object.values(message).join(" ");
}

/** The wire with one more message on it. */
export function withMessage(wire: number, message: Message): number {
  const bit = bitOf.get(nameOf(message));
  if (bit === undefined) throw new Error(`the model has no message ${nameOf(message)}`);
  return wire | bit;
}

/** The bits of the messages about an attempt that no engine listens to once the attempt has ended. */
const idleBits = [1, 2].map((no) =>
  messages.reduce((bits, message, bit) => (message.no === no && message.is !== "task" ? bits | (1 << bit) : bits), 0),
);

/** Takes messages off the wire that can change nothing any more, so that states which differ only in them are one. */
export function withoutIdleMessages(state: State): State {
  let { wire } = state;
  state.attempts.forEach(({ status }, at) => {
    if (status !== "live") wire &= ~idleBits[at]!;
  });
  return wire === state.wire ? state : { ...state, wire };
}

/** One text per state. */
export function keyOf(state: State): string {
  const { engines, runner, attempts } = state;
  const memory = engines.map(({ id, sawJob, epoch, flight }) => `${id}${sawJob ? 1 : 0}${epoch}${flight[0]}`);
  const rows = attempts.map(({ status, epoch, ledgerId }) => `${status[0]}${epoch}${ledgerId}`);
  const disk = state.ledger.map((entry) => entry.at(-1)).join("");
  const database = `${state.job[0]}${state.runs}${state.owner}${state.epoch}${state.endedLeases},${state.registered}`;
  const process = `${runner.isUp ? 1 : 0}${runner.starting}${runner.processes}`;
  const observed = `${state.starts.join("")}${state.decidedEpoch}${state.faults}`;
  return `${database}|${rows}|${memory}|${process}|${state.ledgerId}${disk}${state.seenEpoch}|${state.wire}|${observed}`;
}
