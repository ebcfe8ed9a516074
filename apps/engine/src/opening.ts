import { randomBytes } from "node:crypto";
import {
  type AttemptRef,
  bindStore,
  INPUT_ARTIFACT,
  insertArtifact,
  insertAttempt,
  measure,
  moveStep,
  type OwnedRun,
  offerAttempt,
  openTransaction,
  queueStep,
  readDepsLock,
  setNextAttempt,
  type Tx,
  unqueueSteps,
} from "@maia/db";
import { hasDependencies, newId, type RunFacts, type StepFacts, type StoreNeed } from "@maia/domain";
import { endUnheard } from "@maia/record";
import { inputText, type LoadedVersion } from "@maia/tasks";
import { type Place, type PlacingRules, placeStep } from "./placing.js";
import type { Hold } from "./slots.js";

/** An attempt that was opened and is to be sent once its write has committed. */
export interface OpenedAttempt {
  readonly ref: AttemptRef;
  readonly token: string;
  /** The text of its `input.json`. */
  readonly input: string;
  /** The ledger that it is bound to. */
  readonly ledgerId: string;
  /** The instance that the gateway hands it to, and whether it may do so already; null: this engine sends it. */
  readonly afar: { readonly instanceId: string; readonly isOffered: boolean } | null;
}

/** Steps that are ready, and wait. */
export interface Waiting {
  /** For a slot of this engine. */
  readonly here: boolean;
  /** For the run's runner. */
  readonly forRunner: boolean;
  /** When they are given up, if ever. */
  readonly until: Date | null;
  /** What they need of the runner's instance; null: nothing in particular. */
  readonly need: StoreNeed | null;
}

/** The write in which a run is carried on: whose run it is, who does it, and within what. */
export interface Scene {
  readonly tx: Tx;
  readonly run: OwnedRun;
  readonly version: LoadedVersion;
  readonly who: { readonly engineId: string; readonly placing: PlacingRules };
  readonly hold: Hold;
  readonly now: Date;
}

export const NOTHING_WAITS: Waiting = { here: false, forRunner: false, until: null, need: null };

/** Opens an attempt where there is room for it. @returns true when it is over already. */
export async function startAttempt(
  scene: Scene,
  facts: RunFacts,
  { stepKey, no }: { readonly stepKey: string; readonly no: number },
  work: { readonly opened: OpenedAttempt[]; waiting: Waiting },
): Promise<boolean> {
  const { tx, run, who, hold, now } = scene;
  const step = facts.steps.find((candidate) => candidate.key === stepKey)!;
  const place = await placeStep(tx.sql, run, step, who.placing, hold, now);
  if (place.kind === "wait") {
    work.waiting = bothWait(work.waiting, place);
    if (place.forRunner) await queueStep(tx, run, stepKey, run.runnerId, now);
    return false;
  }
  if (step.status === "PENDING") await moveStep(tx, run, stepKey, "start", now);
  else await setNextAttempt(tx, run, stepKey, null, now);
  if (step.queuedAt) await unqueueSteps(tx, run, stepKey);
  if (place.kind === "afar" && place.storeId !== null) await bindStore(tx, run, place.storeId);
  const opened = await openAttempt(scene, step, no, place);
  if (place.kind === "refuse") return endUnheard(tx, opened.ref, place.end, now);
  if (step.transaction && !step.rollback) {
    const instanceId = place.kind === "afar" ? place.instanceId : null;
    const at = { runnerId: run.runnerId, instanceId, ledgerId: place.ledgerId };
    await openTransaction(tx, run, step.transaction, at, now);
  }
  work.opened.push(opened);
  return false;
}

async function openAttempt(
  { tx, run, version, who, now }: Scene,
  { key: stepKey, deps }: StepFacts,
  no: number,
  place: Exclude<Place, { kind: "wait" }>,
): Promise<OpenedAttempt> {
  const token = randomBytes(24).toString("base64url");
  const ledgerId = place.kind === "refuse" ? null : place.ledgerId;
  const instanceId = place.kind === "afar" ? place.instanceId : null;
  const { engineId } = who;
  const { runnerId } = run;
  const attempt = { id: newId("attempt", now), stepKey, no, token, engineId, runnerId, instanceId, ledgerId };
  const ref = await insertAttempt(tx, run, attempt, now);
  const input = await inputText(tx, run.id, stepKey, no, deps);
  const file = { name: INPUT_ARTIFACT, mime: "application/json", ...measure(input), system: true };
  await insertArtifact(tx, ref, file, now);
  // Packages that nobody has pinned yet have to be, before the task may leave.
  const isPinned =
    !hasDependencies(version.snapshot.dependencies) || (await readDepsLock(tx.sql, run.versionId)) !== null;
  const isOffered = instanceId !== null && isPinned && (await offerAttempt(tx, ref, now));
  return { ref, token, input, ledgerId: ledgerId ?? "", afar: instanceId === null ? null : { instanceId, isOffered } };
}

function bothWait(one: Waiting, { forRunner, until, need = null }: Extract<Place, { kind: "wait" }>): Waiting {
  const first = one.until && until ? (one.until < until ? one.until : until) : (one.until ?? until);
  return { here: one.here || !forRunner, forRunner: one.forRunner || forRunner, until: first, need: one.need ?? need };
}
