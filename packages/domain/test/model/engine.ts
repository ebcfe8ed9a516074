import type { Add, Mutation } from "./moves.js";
import { ATTEMPTS, type AttemptRow, type EngineMemory, type Message, type State, withMessage } from "./state.js";

/** What an engine may do by itself. */
export function engineSteps(state: State, at: 0 | 1, mutation: Mutation | null, add: Add): void {
  const engine = state.engines[at];
  if (engine.id === 0) return;
  const remember = (memory: Partial<EngineMemory>) => ({
    engines: replaced(state.engines, at, { ...engine, ...memory }),
  });
  const name = `engine ${engine.id}`;

  if (!engine.sawJob && engine.epoch === 0 && state.job === "queued") {
    add(`${name} reads that the job is queued`, remember({ sawJob: true }));
  }
  if (engine.sawJob) claim(state, engine, mutation, remember, add);
  adopt(state, engine, remember, add);

  const no = state.attempts.length;
  const last = state.attempts.at(-1);
  if (!last || engine.epoch === 0) return;
  if (engine.flight === "send") {
    const task: Message = { is: "task", no, epoch: engine.epoch, ledgerId: last.ledgerId };
    add(`${name} sends attempt ${no}`, { wire: withMessage(state.wire, task) });
  }
  if (engine.flight === "ask") {
    add(`${name} asks for attempt ${no}`, { wire: withMessage(state.wire, { is: "question", no }) });
  }
  if (engine.flight !== "none") {
    end(state, engine, no, "lost", mutation, remember, (what, next) => add(`${what}: it has waited too long`, next));
  }
}

type Remember = (memory: Partial<EngineMemory>) => Pick<State, "engines">;

/** JobRun, Run and first attempt in one write, only if the job is still queued (G3). */
function claim(state: State, engine: EngineMemory, mutation: Mutation | null, remember: Remember, add: Add): void {
  const what = `engine ${engine.id} claims the job`;
  if (state.job !== "queued" && mutation !== "claim without compare-and-set") {
    add(`${what} too late`, remember({ sawJob: false }));
    return;
  }
  for (const ledgerId of knownLedgers(state)) {
    add(what, {
      ...remember({ sawJob: false, epoch: 1, flight: "send" }),
      job: "running",
      runs: state.runs + 1,
      owner: engine.id,
      epoch: 1,
      attempts: [{ status: "live", epoch: 1, ledgerId }],
      decidedEpoch: Math.max(state.decidedEpoch, 1),
    });
  }
}

/** A run whose owner's lease has ended gets a new owner under a higher epoch, its live attempt with it (G7). */
function adopt(state: State, engine: EngineMemory, remember: Remember, add: Add): void {
  if (state.job !== "running" || !isEnded(state, state.owner)) return;
  const cost = isEnded(state, engine.id) ? 1 : 0; // it was stopped between its last beat and this write
  if (state.faults < cost) return;
  const epoch = state.epoch + 1;
  const attempts = state.attempts.map((row) => (row.status === "live" ? { ...row, epoch } : row));
  add(`engine ${engine.id} adopts the run under epoch ${epoch}`, {
    ...remember({ epoch, sawJob: false, flight: attempts.at(-1)?.status === "live" ? "ask" : "none" }),
    owner: engine.id,
    epoch,
    attempts,
    decidedEpoch: Math.max(state.decidedEpoch, epoch),
    faults: state.faults - cost,
  });
}

/** Ends an attempt and decides what follows, in one write that its epoch fences. */
function end(
  state: State,
  engine: EngineMemory,
  no: number,
  status: Exclude<AttemptRow["status"], "live">,
  mutation: Mutation | null,
  remember: Remember,
  add: Add,
): void {
  const what = `engine ${engine.id} ends attempt ${no}: ${status}`;
  const row = state.attempts[no - 1];
  if (row?.status !== "live") return; // an answer from before
  const isFenced = row.epoch !== engine.epoch || state.epoch !== engine.epoch;
  if (isFenced && mutation !== "write without epoch") {
    add(`${what}, and is refused`, remember({ epoch: 0, flight: "none" }));
    return;
  }
  const ended = state.attempts.with(no - 1, { ...row, status });
  const decided = { decidedEpoch: engine.epoch };
  if (status === "succeeded" || ended.length === ATTEMPTS) {
    add(what, { ...remember({ epoch: 0, flight: "none" }), ...decided, attempts: ended, job: "over" });
    return;
  }
  for (const ledgerId of knownLedgers(state)) {
    const attempts = [...ended, { status: "live" as const, epoch: engine.epoch, ledgerId }];
    add(`${what}, and opens the next`, { ...remember({ flight: "send" }), ...decided, attempts });
  }
}

/** An engine may believe in any ledger that the runner ever had. */
function knownLedgers(state: State): number[] {
  return state.ledgerId === 1 ? [1] : [1, 2];
}

/** What an engine may do when an answer arrives. */
export function engineReceives(
  state: State,
  at: 0 | 1,
  message: Exclude<Message, { is: "task" | "question" }>,
  mutation: Mutation | null,
  add: Add,
): void {
  const engine = state.engines[at];
  const { no } = message;
  if (engine.id === 0 || engine.epoch === 0 || engine.flight === "none" || state.attempts.length < no) return;
  const remember: Remember = (memory) => ({ engines: replaced(state.engines, at, { ...engine, ...memory }) });
  if (message.is !== "unknown") {
    const status = message.is === "lost" ? "lost" : message.code === 0 ? "succeeded" : "failed";
    end(state, engine, no, status, mutation, remember, add);
    return;
  }
  const row = state.attempts[no - 1]!;
  if (row.ledgerId === message.ledgerId) {
    if (no === state.attempts.length && engine.flight === "ask") {
      add(`engine ${engine.id} hears that attempt ${no} is unknown, and sends it again`, remember({ flight: "send" }));
    }
    return;
  }
  if (mutation === "send again to another ledger") {
    const task: Message = { is: "task", no, epoch: engine.epoch, ledgerId: message.ledgerId };
    add(`engine ${engine.id} sends attempt ${no} to another ledger`, { wire: withMessage(state.wire, task) });
  } else end(state, engine, no, "lost", mutation, remember, add);
}

/** Crashes and restarts, leases that run out, rightly or while their holder is merely slow. */
export function engineFaults(state: State, at: 0 | 1, add: Add): void {
  const engine = state.engines[at];
  const other = state.engines[1 - at]!;
  const register = () => {
    const id = state.registered + 1;
    return { engines: replaced(state.engines, at, { id, sawJob: false, epoch: 0, flight: "none" }), registered: id };
  };
  if (engine.id === 0) {
    add("an engine restarts", register());
    return;
  }
  if (state.faults > 0) {
    const down = replaced(state.engines, at, { id: 0, sawJob: false, epoch: 0, flight: "none" });
    add(`engine ${engine.id} crashes`, { engines: down, faults: state.faults - 1 });
  }
  if (isEnded(state, engine.id)) add(`engine ${engine.id} sees that its lease has ended`, register());
  for (let id = 1; id <= state.registered; id++) {
    if (id === engine.id || isEnded(state, id)) continue;
    const cost = id === other.id ? 1 : 0; // its process is up, so it must have been stopped for long
    if (state.faults < cost) continue;
    add(`engine ${engine.id} ends the lease of ${id}`, {
      endedLeases: state.endedLeases | (1 << id),
      faults: state.faults - cost,
    });
  }
}

function isEnded(state: State, id: number): boolean {
  return ((state.endedLeases >> id) & 1) === 1;
}

function replaced(engines: State["engines"], at: 0 | 1, engine: EngineMemory): State["engines"] {
  return at === 0 ? [engine, engines[1]] : [engines[0], engine];
}
