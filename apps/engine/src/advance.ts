import {
  abandonInputFiles,
  moveRun,
  moveStep,
  type OwnedRun,
  readRunFacts,
  requestStop,
  setNextAttempt,
  stepOutputs,
  type Tx,
  takeBack,
  unqueueSteps,
} from "@maia/db";
import { type Action, type Json, madeAt, type PlanLimits, planRun, type RunFacts, resolveOutputs } from "@maia/domain";
import { endUnheard } from "@maia/record";
import type { LoadedVersion } from "@maia/tasks";
import { NOTHING_WAITS, type OpenedAttempt, type Scene, startAttempt, type Waiting } from "./opening.js";
import type { PlacingRules } from "./placing.js";
import type { Hold } from "./slots.js";
import type { SteadyTimes } from "./steady-times.js";
import { closeTransactions } from "./step-transactions.js";

/** What a write that advanced a run leaves to be done outside of the database. */
export interface Advanced {
  readonly opened: readonly OpenedAttempt[];
  readonly stop: readonly string[];
  readonly fetch: readonly string[];
  readonly waiting: Waiting;
  /** When the next retry is due, if this write planned one. */
  readonly retryAt: Date | null;
  /** True: the run has ended, or is no longer ours. */
  readonly over: boolean;
}

/** Who advances runs, and within what. */
export interface Advancer {
  readonly engineId: string;
  readonly placing: PlacingRules;
  readonly limits: PlanLimits;
  readonly times: SteadyTimes;
}

/** Plans never need more rounds than this; more would mean that an action does not change the facts it follows from. */
const MAX_ROUNDS = 8;

/**
 * Carries out what `planRun` says about a run, inside the write that changed its facts, so that the end of a step and
 * the start of the next are one commit.
 */
export async function advanceRun(
  tx: Tx,
  run: OwnedRun,
  version: LoadedVersion,
  who: Advancer,
  hold: Hold,
  now: Date,
): Promise<Advanced> {
  const scene: AdvanceScene = { tx, run, version, who, hold, now };
  const work: Work = { opened: [], stop: [], fetch: [], waiting: NOTHING_WAITS, retryAt: null, over: false };
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const timedOut = (runWaitMs(who.times, run, version, now) ?? 1) <= 0;
    const facts = await readRunFacts(tx, run, version.snapshot, timedOut);
    if (!facts) return { ...work, over: true };
    const actions = planRun(onSteadyTime(facts, who.times, now), now, who.limits);
    if (actions.length === 0) return { ...work, over: isOver(facts) };
    let again = false;
    for (const action of actions) again = (await carryOut(scene, facts, action, work)) || again;
    await closeTransactions(tx, run, version.snapshot.steps, now);
    if (!again) return work;
  }
  throw new Error(`run ${run.id} is still not settled after ${MAX_ROUNDS} rounds`);
}

/** How long a run may still take, in milliseconds, counted from when it was claimed; null: as long as it likes. */
export function runWaitMs(times: SteadyTimes, run: OwnedRun, { snapshot }: LoadedVersion, now: Date): number | null {
  if (snapshot.timeoutMs === null || snapshot.timeoutMs === undefined) return null;
  return times.waitMs(run.id, "/run", new Date(madeAt(run.id).getTime() + snapshot.timeoutMs), now);
}

/** The facts with their retries due when they are by a clock that only moves forward. */
function onSteadyTime(facts: RunFacts, times: SteadyTimes, now: Date): RunFacts {
  if (facts.steps.every((step) => step.nextAttemptAt === null)) return facts;
  const steps = facts.steps.map((step) => {
    if (step.nextAttemptAt === null) return step;
    const waitMs = times.waitMs(facts.id, step.key, step.nextAttemptAt, now);
    return { ...step, nextAttemptAt: new Date(now.getTime() + Math.ceil(waitMs)) };
  });
  return { ...facts, steps };
}

function isOver(facts: RunFacts): boolean {
  return facts.status !== "PENDING_INPUTS" && facts.status !== "RUNNING";
}

interface Work {
  opened: OpenedAttempt[];
  stop: string[];
  fetch: string[];
  waiting: Waiting;
  retryAt: Date | null;
  over: boolean;
}

interface AdvanceScene extends Scene {
  readonly who: Advancer;
}

/** @returns true when the plan must be made again, because the action makes new ones possible at once. */
async function carryOut(scene: AdvanceScene, facts: RunFacts, action: Action, work: Work): Promise<boolean> {
  const { tx, run, version, who, now } = scene;
  switch (action.do) {
    case "moveRun": {
      if (facts.status === "PENDING_INPUTS" && action.move !== "inputsReady")
        await abandonInputFiles(tx, run, "the run ended before the file was here", now);
      const outputs = action.move === "stepsSucceeded" ? await outputsOf(tx, run, version) : null;
      await moveRun(tx, run, action.move, now, { failure: action.failure, outputs });
      work.over = action.move !== "inputsReady";
      return action.move === "inputsReady";
    }
    case "moveStep":
      await moveStep(tx, run, action.stepKey, action.move, now);
      if (facts.steps.find(({ key }) => key === action.stepKey)?.queuedAt) await unqueueSteps(tx, run, action.stepKey);
      return false;
    case "waitForRetry":
      await setNextAttempt(tx, run, action.stepKey, action.until, now);
      who.times.waitMs(run.id, action.stepKey, action.until, now);
      if (work.retryAt === null || action.until < work.retryAt) work.retryAt = action.until;
      return action.until <= now;
    case "stopAttempt":
      await requestStop(tx, run, action.attemptId, now);
      work.stop.push(action.attemptId);
      return run.runnerId === who.placing.runnerId ? false : stopAfar(scene, facts, action);
    case "fetchInput":
      work.fetch.push(action.fileId);
      return false;
    case "startAttempt":
      return startAttempt(scene, facts, action, work);
  }
}

/** A task that has not left Maia is taken back; for one that has, the gateway asks. @returns true when it is over. */
async function stopAfar(
  { tx, run, now }: Scene,
  facts: RunFacts,
  { stepKey, attemptId }: { readonly stepKey: string; readonly attemptId: string },
): Promise<boolean> {
  tx.ring("engine"); // the gateway listens to the same bell
  const no = facts.steps.find(({ key }) => key === stepKey)?.attempts.find(({ id }) => id === attemptId)?.no ?? 0;
  const ref = { id: attemptId, runId: run.id, projectId: run.projectId, stepKey, no, epoch: run.epoch };
  if (!(await takeBack(tx, ref))) return false;
  const failure = { code: "CANCELED" as const, message: "The step was stopped before it started" };
  return endUnheard(tx, ref, { move: "cancel", failure }, now);
}

async function outputsOf(tx: Tx, run: OwnedRun, version: LoadedVersion): Promise<{ [name: string]: Json } | null> {
  const spec = version.snapshot.outputsSpec;
  if (!spec) return null;
  const texts = await stepOutputs(tx.sql, run.id);
  const wanted = new Set(Object.values(spec.outputs).map((output) => output.stepKey));
  const data = new Map([...texts].filter(([key]) => wanted.has(key)).map(([key, text]) => [key, JSON.parse(text)]));
  return resolveOutputs(spec, data);
}
