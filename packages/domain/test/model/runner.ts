import type { Add, Mutation } from "./moves.js";
import { type Message, type State, withMessage } from "./state.js";

/** What the runner may do by itself, its faults among it. */
export function runnerSteps(state: State, mutation: Mutation | null, add: Add): void {
  const { runner } = state;
  if (!runner.isUp) {
    add("the runner restarts", { runner: { isUp: true, starting: 0, processes: 0 } });
    return;
  }
  const no = runner.starting;
  if (no > 0) {
    const starts = state.starts.with(no - 1, state.starts[no - 1]! + 1);
    const started = { ...runner, starting: 0, processes: runner.processes | no };
    if (mutation !== "ledger after spawn") add(`the runner spawns attempt ${no}`, { runner: started, starts });
    else if ((runner.processes & no) === 0) {
      add(`the runner spawns attempt ${no}`, { runner: { ...started, starting: no }, starts });
    } else {
      add(`the runner notes attempt ${no}`, { runner: started, ledger: state.ledger.with(no - 1, "started") });
    }
  }
  for (const no of [1, 2]) {
    if ((runner.processes & no) === 0 || runner.starting === no) continue;
    for (const code of [0, 1] as const) {
      add(`attempt ${no} exits with ${code}`, {
        runner: { ...runner, processes: runner.processes & ~no },
        ledger: state.ledger.with(no - 1, `exit ${code}`),
        wire: withMessage(state.wire, { is: "exit", no, code }),
      });
    }
  }
  if (state.faults === 0) return;
  const down = { runner: { isUp: false, starting: 0, processes: 0 }, faults: state.faults - 1 };
  add("the runner crashes, and its processes with it", down);
  if (state.ledgerId > 1) return;
  add("the runner loses its disk", { ...down, ledgerId: 2, ledger: ["unknown", "unknown"], seenEpoch: 0 });
}

/** What the runner may do when a task or a question arrives. */
export function runnerReceives(
  state: State,
  message: Extract<Message, { is: "task" | "question" }>,
  mutation: Mutation | null,
  add: Add,
): void {
  const { runner } = state;
  const { no } = message;
  if (!runner.isUp || runner.starting > 0) return;
  const reply = replyTo(state, message, mutation);
  if (reply) add(`the runner answers: ${reply.is} ${no}`, { wire: withMessage(state.wire, reply) });
  const isRunning = (runner.processes & no) !== 0;
  if (reply || isRunning || message.is === "question" || message.epoch < state.seenEpoch) return;
  add(`the runner takes attempt ${no} under epoch ${message.epoch}`, {
    runner: { ...runner, starting: no },
    ledger: mutation === "ledger after spawn" ? state.ledger : state.ledger.with(no - 1, "started"),
    seenEpoch: Math.max(state.seenEpoch, message.epoch),
  });
}

/** What the runner's disk says about an attempt; null where it says nothing against starting it. */
function replyTo(
  state: State,
  message: Extract<Message, { is: "task" | "question" }>,
  mutation: Mutation | null,
): Message | null {
  const { is, no } = message;
  const isElsewhere = is === "task" && message.ledgerId !== state.ledgerId;
  if (isElsewhere && mutation !== "no ledger in the task") return { is: "lost", no };
  const entry = state.ledger[no - 1]!;
  if (entry === "exit 0" || entry === "exit 1") return { is: "exit", no, code: entry === "exit 0" ? 0 : 1 };
  const isForgotten = entry === "started" && (state.runner.processes & no) === 0;
  if (isForgotten && mutation !== "start again what was lost in a crash") return { is: "lost", no };
  return is === "question" && entry === "unknown" ? { is: "unknown", no, ledgerId: state.ledgerId } : null;
}
