import {
  type BoundAttempt,
  boundAttempts,
  handOver,
  type InstanceState,
  newestPause,
  noteUndelivered,
  openTransactionsOn,
  type Sql,
  type Tx,
  untakenCommands,
} from "@maia/db";
import { type AllowList, type AttemptEnd, type HandOver, isAllowed, isPaused, planHandOver } from "@maia/domain";
import { endUnheard } from "@maia/record";
import type { Snapshots } from "@maia/tasks";

/** A poll, as far as it says what it may get. */
export interface Asking {
  readonly instance: InstanceState;
  /** So many tasks may go with one answer. */
  readonly room: number;
  /** Attempts that the instance has. */
  readonly known: ReadonlySet<string>;
  /** Commands that it has. */
  readonly got: ReadonlySet<string>;
}

/** Something that an instance is to do. */
export interface Command {
  readonly id: string;
  readonly type: string;
  readonly [field: string]: unknown;
}

/** What there is for a poll. */
export interface Found {
  /** Handed over: their tasks are to be built now. */
  readonly attempts: readonly BoundAttempt[];
  readonly commands: readonly Command[];
  /** True where a command is new to the instance, so that the answer should not wait. */
  readonly isNews: boolean;
}

export const nothing: Found = { attempts: [], commands: [], isNews: false };

/** What decides about a hand-over besides the rows. */
export interface HandOverRules {
  readonly snapshots: Snapshots;
  readonly autoResumeMs: number;
}

/** One answer holds so many tasks; the next poll comes at once. */
export const TASKS_PER_ANSWER = 32;

interface Planned {
  readonly attempt: BoundAttempt;
  readonly action: HandOver;
}

/** True if there is anything to be done about a poll that arrives. */
export async function hasOrders(sql: Sql, asking: Asking, rules: HandOverRules, now: Date): Promise<boolean> {
  if ((await planAll(sql, asking, rules, now)).length > 0) return true;
  return (await untakenCommands(sql, asking.instance.id)).length > 0;
}

/** True if there is something for a poll that waits: asked without a write, since most rings are for somebody else. */
export async function isWorthAWrite(sql: Sql, asking: Asking, rules: HandOverRules, now: Date): Promise<boolean> {
  const planned = await planAll(sql, asking, rules, now);
  if (planned.some(({ action, attempt }) => action !== "cancel" || isNewCancel(asking, attempt))) return true;
  return (await untakenCommands(sql, asking.instance.id)).length > 0;
}

/** Hands over what may be handed over, in the caller's write, and gathers what else the instance is to do. */
export async function collect(tx: Tx, asking: Asking, rules: HandOverRules, now: Date): Promise<Found> {
  const attempts: BoundAttempt[] = [];
  const commands: Command[] = [];
  let isNews = false;
  for (const { attempt, action } of await planAll(tx.sql, asking, rules, now)) {
    switch (action) {
      case "hand":
        if (await handOver(tx, attempt.ref.id, asking.instance.id, now)) attempts.push(attempt);
        break;
      case "takeBack":
        await noteUndelivered(tx, attempt.ref.id);
        break;
      case "cancel":
        commands.push(cancelOf(attempt));
        isNews ||= isNewCancel(asking, attempt);
        break;
      case "endCanceled":
        await endHere(tx, attempt, CANCELED, now);
        break;
      case "refuse":
        await endHere(tx, attempt, NOT_ALLOWED, now);
        break;
      case "leave":
        break;
    }
  }
  for (const { id, type, data } of await untakenCommands(tx.sql, asking.instance.id)) {
    commands.push({ ...JSON.parse(data), id, type });
    isNews = true;
  }
  return { attempts, commands, isNews };
}

const CANCELED: AttemptEnd = {
  move: "cancel",
  failure: { code: "CANCELED", message: "The step was stopped before it started" },
};
const NOT_ALLOWED: AttemptEnd = {
  move: "fail",
  failure: { code: "RUNNER_NOT_ALLOWED", message: "The runner may not work for the run's environment any more" },
};

/** Ends an attempt that runs nowhere; the engine goes on from there. */
export async function endHere(tx: Tx, attempt: BoundAttempt, end: AttemptEnd, now: Date): Promise<void> {
  if (await endUnheard(tx, attempt.ref, end, now)) tx.ring("engine");
}

/** What to do about each attempt of the instance, as far as there is anything to do and room for it. */
async function planAll(sql: Sql, asking: Asking, rules: HandOverRules, now: Date): Promise<Planned[]> {
  const { instance, room, known } = asking;
  const attempts = await boundAttempts(sql, instance.runnerId, instance.id);
  if (attempts.length === 0) return [];
  const pause = await newestPause(sql, instance.runnerId);
  const holdsNew = instance.stoppingAt !== null || isPaused(pause, rules.autoResumeMs, now);
  const members = holdsNew ? await membersOf(sql, instance, attempts, rules.snapshots) : new Set<string>();
  const list: AllowList = JSON.parse(instance.allowlist);
  const planned = attempts.map((attempt): Planned => {
    const { ref, run, environment, isOffered, isHanded, isStopped, status } = attempt;
    const facts = {
      ...{ isOffered, isHanded, isStopped },
      isStarted: status === "RUNNING",
      isKnown: known.has(ref.id),
      isMember: members.has(ref.id),
      isAllowed: isAllowed(instance.restricted === 1, list, { projectId: run.projectId, environment }),
    };
    return { attempt, action: planHandOver(facts, holdsNew) };
  });
  const handed = planned.filter(({ action }) => action === "hand").sort(handedFirst);
  const others = planned.filter(({ action }) => action !== "hand" && action !== "leave");
  return [...others, ...handed.slice(0, Math.min(room, TASKS_PER_ANSWER))];
}

/** What an answer was lost of comes before what is new. */
function handedFirst(a: Planned, b: Planned): number {
  return Number(b.attempt.isHanded) - Number(a.attempt.isHanded);
}

/** The attempts whose steps belong to a transaction that is open on the instance, or undo one on whichever instance. */
async function membersOf(
  sql: Sql,
  { id, runnerId }: InstanceState,
  attempts: readonly BoundAttempt[],
  snapshots: Snapshots,
): Promise<ReadonlySet<string>> {
  const open = await openTransactionsOn(sql, runnerId);
  const members = new Set<string>();
  for (const { ref, run } of open.size > 0 ? attempts : []) {
    const { steps } = (await snapshots.load(run.versionId, sql)).snapshot;
    const step = steps.find(({ key }) => key === ref.stepKey);
    const transaction = `${run.id}/${step?.transaction}`;
    if (open.has(transaction) && (step?.rollback || open.get(transaction) === id)) members.add(ref.id);
  }
  return members;
}

function cancelOf({ ref, token }: BoundAttempt): Command {
  return { id: cancelId(ref.id), type: "CANCEL", attemptId: ref.id, token, mode: "stop" };
}

function isNewCancel({ got }: Asking, { ref }: BoundAttempt): boolean {
  return !got.has(cancelId(ref.id));
}

/** The same each time, so that an instance can say that it has it. */
function cancelId(attemptId: string): string {
  return `cmd_cancel_${attemptId}`;
}
