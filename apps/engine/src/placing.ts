import {
  environmentNameOf,
  findTransaction,
  newestPause,
  type OpenTransaction,
  type OwnedRun,
  readGate,
  readLastSeen,
  readRooms,
  type Sql,
  storeOfRun,
} from "@maia/db";
import {
  type AttemptEnd,
  chooseBound,
  chooseInstance,
  hasStore,
  type InstanceRoom,
  isAllowed,
  isPaused,
  type QueueRules,
  resumeDeadline,
  type StepFacts,
  type StoreNeed,
} from "@maia/domain";
import { lost } from "@maia/record";
import type { Hold } from "./slots.js";

/** Where a step's next attempt is opened. */
export type Place =
  /** By the engine's own executor, or the runner that it dials. */
  | { readonly kind: "here"; readonly ledgerId: string }
  /** By an instance that dials the gateway; `storeId`: where the run's data stays from now on, if at the runner. */
  | {
      readonly kind: "afar";
      readonly instanceId: string;
      readonly ledgerId: string;
      readonly storeId: string | null;
    }
  /** Nowhere yet. `forRunner`: the runner holds it up, and not a slot of this engine. */
  | {
      readonly kind: "wait";
      readonly forRunner: boolean;
      readonly until: Date | null;
      readonly need?: StoreNeed | null;
    }
  /** Nowhere: it ends as it begins. */
  | { readonly kind: "refuse"; readonly end: AttemptEnd };

/** What this engine can offer, and the rules of waiting. */
export interface PlacingRules extends QueueRules {
  /** The runner that stands for the engine's own executor; null: none does. */
  readonly runnerId: string | null;
  /** The ledger of that executor; null while it cannot be reached. */
  readonly ledgerId: string | null;
  /** How long an instance may be silent until what it held is lost. In milliseconds. */
  readonly gatewayWindowMs: number;
}

/** Finds the place for a step of a run. Inside the write that starts it, so that nobody else takes the same room. */
export async function placeStep(
  sql: Sql,
  run: OwnedRun,
  step: StepFacts,
  rules: PlacingRules,
  hold: Hold,
  now: Date,
): Promise<Place> {
  const open = step.transaction ? await findTransaction(sql, run.id, step.transaction) : undefined;
  const isHeld = !open && isPaused(await newestPause(sql, run.runnerId), rules.autoResumeMs, now);
  if (run.runnerId !== rules.runnerId) return placeAfar({ sql, run, step, rules, now }, open, isHeld);
  if (run.dataResidency === "runner") return { kind: "refuse", end: KEEPS_NOTHING };
  if (isHeld) return { kind: "wait", forRunner: true, until: null };
  if (rules.ledgerId === null) return WAIT_HERE;
  if (open && !step.rollback && open.ledgerId !== rules.ledgerId) return GONE;
  return hold.take() ? { kind: "here", ledgerId: rules.ledgerId } : WAIT_HERE;
}

interface Question {
  readonly sql: Sql;
  readonly run: OwnedRun;
  readonly step: StepFacts;
  readonly rules: PlacingRules;
  readonly now: Date;
}

async function placeAfar(question: Question, open: OpenTransaction | undefined, isHeld: boolean): Promise<Place> {
  const refused = await refusalOf(question.sql, question.run);
  if (refused) return { kind: "refuse", end: refused };
  const need = await storeNeedOf(question.sql, question.run);
  if (isHeld) return waitForRunner(question, need);
  const rooms = await readRooms(question.sql, question.run.runnerId);
  const home = open && rooms.find(({ id, ledgerId }) => id === open.instanceId && ledgerId === open.ledgerId);
  const isBound = open !== undefined && !question.step.rollback;
  if (isBound && (!home || isLongGone(home, question))) return GONE;
  // What undoes a transaction may do so on any instance, and on its own one also while that is about to stop.
  const free = isBound ? undefined : chooseInstance(rooms, need).instance;
  const instance = free ?? (home && hasStore(home, need) ? chooseBound(home).instance : undefined);
  if (!instance) return waitForRunner(question, need);
  const storeId = need === null ? null : instance.storeId;
  return { kind: "afar", instanceId: instance.id, ledgerId: instance.ledgerId, storeId };
}

/** Which store a run's steps need; null: Maia has the run's data. */
export async function storeNeedOf(sql: Sql, run: Pick<OwnedRun, "id" | "dataResidency">): Promise<StoreNeed | null> {
  return run.dataResidency === "maia" ? null : { storeId: await storeOfRun(sql, run.id) };
}

/** Why a run's runner must not carry it out (any more), or null. */
export async function refusalOf(sql: Sql, run: OwnedRun): Promise<AttemptEnd | null> {
  const gate = await readGate(sql, run.runnerId);
  if (!gate) return notAllowed("The runner was removed");
  if (gate.isHosted && run.dataResidency === "runner") return KEEPS_NOTHING;
  if (!gate.restricted) return null;
  const environment = await environmentNameOf(sql, run.jobId);
  if (isAllowed(true, gate.allowlist, { projectId: run.projectId, environment })) return null;
  return notAllowed(`The runner may not be used by environment ${environment} of this project any more`);
}

async function waitForRunner({ sql, run, step, rules, now }: Question, need: StoreNeed | null): Promise<Place> {
  const queuedAt = step.queuedAt ?? now;
  const [pause, lastSeenAt] = [await newestPause(sql, run.runnerId), await readLastSeen(sql, run.runnerId)];
  const until = resumeDeadline({ queuedAt, pause, lastSeenAt }, rules, now);
  return until && until <= now ? TOO_LATE : { kind: "wait", forRunner: true, until, need };
}

function isLongGone({ silentAt }: InstanceRoom, { rules, now }: Question): boolean {
  return silentAt !== null && silentAt.getTime() + rules.gatewayWindowMs <= now.getTime();
}

function notAllowed(message: string): AttemptEnd {
  return { move: "fail", failure: { code: "RUNNER_NOT_ALLOWED", message } };
}

const WAIT_HERE: Place = { kind: "wait", forRunner: false, until: null };

const KEEPS_NOTHING = notAllowed("The run's data is to stay at its runner, and the hosted runner keeps none");

const GONE: Place = { kind: "refuse", end: lost("The instance on which the transaction was open is gone") };

const TOO_LATE: Place = {
  kind: "refuse",
  end: {
    move: "fail",
    failure: { code: "RUNNER_QUEUE_TIMEOUT", message: "The runner did not come back in time after it was resumed" },
  },
};
