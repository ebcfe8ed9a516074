import {
  finishCommand,
  type InstanceState,
  isWorthANote,
  notePoll,
  openTransactionsOn,
  type PollNote,
  type Sql,
  type Tx,
  takeCommand,
} from "@maia/db";
import { type JsonObject, MaiaError } from "@maia/domain";
import type { Constants } from "@maia/service";
import type { Call } from "../http/route.js";
import type { Of } from "../http/shapes.js";
import { admitInstance, refusedNow, type Speaker, speakerOf, superseded } from "./admission.js";
import {
  type Asking,
  collect,
  type Found,
  type HandOverRules,
  hasOrders,
  isWorthAWrite,
  nothing,
  TASKS_PER_ANSWER,
} from "./hand-over.js";
import { readyTasks } from "./ready-tasks.js";
import type { Seat } from "./seat.js";
import type { poll } from "./shapes.js";

interface Orders {
  readonly tasks: readonly object[];
  readonly commands: readonly object[];
  readonly openTransactions: number;
}

type PollCall = Call<{ readonly id: string }, unknown, Of<typeof poll>>;

/** Answers a poll as soon as there is something for its instance, and otherwise when its time is over. */
export async function answerPoll(call: PollCall): Promise<Orders> {
  const { context, caller, req, params } = call;
  const { switchboard } = context.gateway;
  const speaker = speakerOf(caller, req);
  await admitInstance(context.db.sql, speaker, params.id); // before it takes anybody's seat
  const seat = switchboard.sit({ id: params.id, generation: speaker.generation });
  const timer = setTimeout(() => seat.finish("time"), context.config.constants.runnerHeartbeatMs);
  call.res.once("close", () => seat.finish("gone"));
  try {
    const found = await wait(call, seat, speaker);
    const tasks = await readyTasks(context, found.attempts);
    const open = await openTransactionsOn(context.db.sql, speaker.runnerId);
    const openTransactions = [...open.values()].filter((instanceId) => instanceId === params.id).length;
    return { tasks, commands: found.commands, openTransactions };
  } finally {
    clearTimeout(timer);
    switchboard.leave(seat);
  }
}

async function wait(call: PollCall, seat: Seat, speaker: Speaker): Promise<Found> {
  const { db, clock, config, gateway } = call.context;
  const rules: HandOverRules = {
    snapshots: gateway.snapshots,
    autoResumeMs: config.constants.pauseAutoResumeMs,
  };
  const { found: first, instance } = await arrive(call, speaker, rules);
  seat.secretVersion = instance.secretVersion;
  seat.hasRoom = roomOf(call.body) > 0;
  let found = first;
  while (!isWorthAnAnswer(found)) {
    await seat.next();
    if (seat.end !== null) return endOf(seat, found);
    const asking = askingOf(call.body, await admitInstance(db.sql, speaker, instance.id));
    if (!(await isWorthAWrite(db.sql, asking, rules, clock()))) continue;
    found = await db.write(async (tx) => {
      const current = await admitInstance(tx.sql, speaker, instance.id);
      return collect(tx, askingOf(call.body, current), rules, clock());
    });
  }
  return found;
}

interface Arrival {
  readonly found: Found;
  readonly instance: InstanceState;
}

/** So often a poll is noted that brings no news, in milliseconds: an instance that waits in the next one must not look silent. */
function notedEveryMs({ runnerHeartbeatMs, runnerUnknownMs }: Constants): number {
  return Math.min(runnerHeartbeatMs / 3, (runnerUnknownMs - runnerHeartbeatMs) / 2);
}

/** Takes in what the poll says, and what there is for it: in one write, and in none where neither is anything new. */
async function arrive(call: PollCall, speaker: Speaker, rules: HandOverRules): Promise<Arrival> {
  const { db, clock, config } = call.context;
  const { body } = call;
  const instance = await admitLive(db.sql, call, speaker);
  const everyMs = notedEveryMs(config.constants);
  const isNews = (body.gotCommands?.length ?? 0) + (body.results?.length ?? 0) > 0;
  if (
    isNews ||
    isWorthANote(instance, noteOf(body), everyMs, clock()) ||
    (await hasOrders(db.sql, askingOf(body, instance), rules, clock()))
  )
    return db.write((tx) => take(tx, call, speaker, rules));
  return { found: nothing, instance };
}

async function take(tx: Tx, call: PollCall, speaker: Speaker, rules: HandOverRules): Promise<Arrival> {
  const { body, params } = call;
  const now = call.context.clock();
  const before = await admitLive(tx.sql, call, speaker);
  await notePoll(tx, before, noteOf(body), now);
  for (const id of body.gotCommands ?? []) await takeCommand(tx, before.id, id, now);
  for (const { id, result } of body.results ?? []) await finishCommand(tx, before.id, id, result as JsonObject, now);
  const instance = body.stopping ? await admitInstance(tx.sql, speaker, params.id) : before;
  return { found: await collect(tx, askingOf(body, instance), rules, now), instance };
}

async function admitLive(sql: Sql, { params }: PollCall, speaker: Speaker): Promise<InstanceState> {
  const instance = await admitInstance(sql, speaker, params.id);
  if (instance.stoppedAt === null) return instance;
  throw new MaiaError("NOT_FOUND", "The instance has said goodbye; say hello");
}

function noteOf({ free, running, load = {}, stopping = false }: PollCall["body"]): PollNote {
  return { free, running: running.length, load, isStopping: stopping };
}

/** How many tasks the instance may be given. The engine binds no more to it than it has slots. */
function roomOf({ free, accepting }: PollCall["body"]): number {
  if (accepting === undefined) return free;
  return accepting ? TASKS_PER_ANSWER : 0;
}

function askingOf(body: PollCall["body"], instance: InstanceState): Asking {
  const known = new Set([...body.running, ...(body.gotTasks ?? [])]);
  return { instance, room: roomOf(body), known, got: new Set(body.gotCommands) };
}

function isWorthAnAnswer({ attempts, isNews }: Found): boolean {
  return attempts.length > 0 || isNews;
}

/** What a poll is answered that waits no longer. @throws {HttpProblem} UNAUTHENTICATED, SUPERSEDED */
function endOf({ end }: Seat, found: Found): Found {
  switch (end) {
    case "refused":
      throw refusedNow();
    case "superseded":
      throw superseded();
    case "time":
      return found; // the cancels that are repeated
    default:
      return nothing;
  }
}
