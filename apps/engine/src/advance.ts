import { randomBytes } from "node:crypto";
import {
  type AttemptRef,
  abandonInputFiles,
  INPUT_ARTIFACT,
  insertArtifact,
  insertAttempt,
  measure,
  moveRun,
  moveStep,
  type OwnedRun,
  readRunFacts,
  requestStop,
  setNextAttempt,
  stepOutputs,
  type Tx,
} from "@maia/db";
import {
  type Action,
  type Json,
  madeAt,
  newId,
  type PlanLimits,
  planRun,
  type RunFacts,
  resolveOutputs,
} from "@maia/domain";
import { inputText, type LoadedVersion } from "@maia/tasks";
import type { Hold } from "./slots.js";
import type { SteadyTimes } from "./steady-times.js";

/** An attempt that was opened and is to be sent once its write has committed. */
export interface OpenedAttempt {
  readonly ref: AttemptRef;
  readonly token: string;
  /** The text of its `input.json`. */
  readonly input: string;
  /** The ledger that it is bound to. */
  readonly ledgerId: string;
}

/** What a write that advanced a run leaves to be done outside of the database. */
export interface Advanced {
  readonly opened: readonly OpenedAttempt[];
  readonly stop: readonly string[];
  readonly fetch: readonly string[];
  /** True: steps are ready, but there was no slot for them. */
  readonly hungry: boolean;
  /** When the next retry is due, if this write planned one. */
  readonly retryAt: Date | null;
  /** True: the run has ended, or is no longer ours. */
  readonly over: boolean;
}

/** Who advances runs, and within what. */
export interface Advancer {
  readonly engineId: string;
  /** The ledger that new attempts are bound to; null while the executor cannot be reached, then none is opened. */
  readonly ledgerId: string | null;
  readonly runnerId: string;
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
  const scene: Scene = { tx, run, version, who, hold, now };
  const work: Work = { opened: [], stop: [], fetch: [], hungry: false, retryAt: null, over: false };
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const timedOut = (runWaitMs(who.times, run, version, now) ?? 1) <= 0;
    const facts = await readRunFacts(tx, run, version.snapshot, timedOut);
    if (!facts) return { ...work, over: true };
    const actions = planRun(onSteadyTime(facts, who.times, now), now, who.limits);
    if (actions.length === 0) return { ...work, over: isOver(facts) };
    let again = false;
    for (const action of actions) again = (await carryOut(scene, facts, action, work)) || again;
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
  hungry: boolean;
  retryAt: Date | null;
  over: boolean;
}

/** The write in which a run is carried on: whose run it is, who does it, and within what. */
interface Scene {
  readonly tx: Tx;
  readonly run: OwnedRun;
  readonly version: LoadedVersion;
  readonly who: Advancer;
  readonly hold: Hold;
  readonly now: Date;
}

/** @returns true when the plan must be made again, because the action makes new ones possible at once. */
async function carryOut(scene: Scene, facts: RunFacts, action: Action, work: Work): Promise<boolean> {
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
      return false;
    case "waitForRetry":
      await setNextAttempt(tx, run, action.stepKey, action.until, now);
      who.times.waitMs(run.id, action.stepKey, action.until, now);
      if (work.retryAt === null || action.until < work.retryAt) work.retryAt = action.until;
      return action.until <= now;
    case "stopAttempt":
      await requestStop(tx, run, action.attemptId, now);
      work.stop.push(action.attemptId);
      return false;
    case "fetchInput":
      work.fetch.push(action.fileId);
      return false;
    case "startAttempt": {
      const opened = await startAttempt(scene, facts, action.stepKey, action.no);
      if (opened) work.opened.push(opened);
      else work.hungry = true;
      return false;
    }
  }
}

/** Opens an attempt where there is room for it. */
async function startAttempt(scene: Scene, facts: RunFacts, stepKey: string, no: number): Promise<OpenedAttempt | null> {
  const { tx, run, who, hold, now } = scene;
  const { engineId, runnerId, ledgerId } = who;
  if (ledgerId === null || !hold.take()) return null;
  const step = facts.steps.find((candidate) => candidate.key === stepKey);
  if (step?.status === "PENDING") await moveStep(tx, run, stepKey, "start", now);
  else await setNextAttempt(tx, run, stepKey, null, now);
  const token = randomBytes(24).toString("base64url");
  const attempt = { id: newId("attempt", now), stepKey, no, token, engineId, runnerId, ledgerId };
  const ref = await insertAttempt(tx, run, attempt, now);
  const input = await inputText(tx, run.id, stepKey, no, step?.deps ?? []);
  const file = { name: INPUT_ARTIFACT, mime: "application/json", ...measure(input), system: true };
  await insertArtifact(tx, ref, file, now);
  return { ref, token, input, ledgerId };
}

async function outputsOf(tx: Tx, run: OwnedRun, version: LoadedVersion): Promise<{ [name: string]: Json } | null> {
  const spec = version.snapshot.outputsSpec;
  if (!spec) return null;
  const texts = await stepOutputs(tx.sql, run.id);
  const wanted = new Set(Object.values(spec.outputs).map((output) => output.stepKey));
  const data = new Map([...texts].filter(([key]) => wanted.has(key)).map(([key, text]) => [key, JSON.parse(text)]));
  return resolveOutputs(spec, data);
}
