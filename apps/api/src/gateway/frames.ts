import type { Readable } from "node:stream";
import { isBlobKnown, type KeptBy, noteHeard, type Tx } from "@maia/db";
import { afterOwnLines, type Landing, landFrames, type RecordLimits, recordLimits } from "@maia/record";
import {
  type ArtifactFrame,
  decodeFrameBatches,
  type ExitFrame,
  type Frame,
  ProtocolError,
} from "@maia/runner-protocol";
import type { ApiContext } from "../context.js";
import { refuseEncoding } from "../http/body.js";
import { HttpProblem } from "../http/problems.js";
import type { Call } from "../http/route.js";
import { steadily } from "../http/steadily.js";
import { type Admitted, admitAttempt, attemptEnded, type Claim, claimOf, refusedNow } from "./admission.js";
import { requireRoom } from "./bounds.js";

/** How far the record of an attempt has come, in the runner's own numbers. */
export interface Ack {
  readonly ackedSeq: number;
  readonly ended: boolean;
}

/** Records frames as they come, each batch before the next is read, so that a flood waits in the network and not here. */
export async function takeFrames(call: Call<{ readonly id: string }>): Promise<Ack> {
  const { context, caller, req, params } = call;
  const claim = claimOf(caller, req, params.id);
  const admitted = await admitAttempt(context.db.sql, claim);
  refuseEncoding(req);
  const bytes = steadily(req, context.config.constants.streamIdleMs);
  const stop = () => bytes.destroy(new HttpProblem("STOPPING", "This server stops; send the rest again"));
  context.stopping.addEventListener("abort", stop, { once: true });
  try {
    return await recordAll(context, claim, admitted, bytes);
  } catch (error) {
    throw error instanceof ProtocolError ? new HttpProblem("BAD_REQUEST", `${error.code}: ${error.message}`) : error;
  } finally {
    context.stopping.removeEventListener("abort", stop);
    bytes.destroy();
  }
}

async function recordAll(context: ApiContext, claim: Claim, admitted: Admitted, bytes: Readable): Promise<Ack> {
  const { lastSeq, seqBase } = admitted.attempt;
  let acked: Ack = { ackedSeq: Math.max(0, lastSeq - seqBase), ended: false };
  for await (const frames of decodeFrameBatches(bytes)) {
    const { taken, missing } = admitted.attempt.keptBy
      ? requireKept(admitted.attempt.keptBy, frames)
      : await untilMissing(context, admitted, frames);
    const outcome = await record(context, claim, admitted, taken);
    acked = { ackedSeq: outcome.ackedSeq, ended: outcome.kind === "landed" };
    if (outcome.kind !== "flying") return acked;
    if (missing.length > 0)
      throw new HttpProblem("BLOB_MISSING", "Send the bytes of these artifacts first", {}, { missing });
  }
  return acked;
}

type Outcome = { readonly kind: Landing["kind"]; readonly ackedSeq: number };

/** Records a batch in one write, which also finds out whether its sender may still report. */
async function record(
  { db, clock, config: { constants } }: ApiContext,
  claim: Claim,
  { instance }: Admitted,
  frames: readonly Frame[],
): Promise<Outcome> {
  requireOwn(claim.attemptId, frames);
  const limits = recordLimits(constants.logAttemptMax);
  return db.write(async (tx) => {
    const now = clock();
    const { attempt, instance: current } = await admitAttempt(tx.sql, claim);
    if (current.secretVersion !== instance.secretVersion) throw refusedNow();
    if (!attempt.isHanded) await noteHeard(tx, attempt.ref.id, now);
    const { seqBase, lastSeq } = attempt;
    const shifted = afterOwnLines(seqBase, frames);
    const fresh = shifted.filter((frame) => "seq" in frame && frame.seq > lastSeq);
    await requireRoom(tx.sql, claim.attemptId, fresh, constants);
    const landing = await land(tx, attempt, shifted, limits, now);
    if (landing.kind === "refused") throw attemptEnded();
    if (landing.kind === "landed") tx.ring("engine");
    const last = await lastSeqOf(tx, claim.attemptId);
    requireNoContradiction(landing, shifted, last);
    return { kind: landing.kind, ackedSeq: Math.max(0, last - seqBase) };
  });
}

/**
 * Records frames. An exit of the reason `lost` needs no proof, and who crashed may have lost count: it ends the attempt
 * wherever its record stands, once the frames that came with it are in.
 */
async function land(
  tx: Tx,
  { ref, keptBy }: Admitted["attempt"],
  frames: readonly Frame[],
  limits: RecordLimits,
  now: Date,
): Promise<Landing> {
  const landing = await landFrames(tx, ref, frames, null, now, limits, keptBy);
  const exit = exitOf(frames);
  if (landing.kind !== "gap" || exit?.reason !== "lost" || !isAllIn(frames, landing.fromSeq - 1)) return landing;
  return landFrames(tx, ref, [{ ...exit, lastSeq: landing.fromSeq - 1 }], null, now);
}

async function lastSeqOf({ sql }: Tx, attemptId: string): Promise<number> {
  const row = await sql.get<{ lastSeq: number }>(`SELECT "lastSeq" FROM "Attempt" WHERE "id" = ?`, attemptId);
  return row?.lastSeq ?? 0;
}

/** Sending again would not help whose exit knows of fewer frames than came. @throws {ProtocolError} */
function requireNoContradiction({ kind }: Landing, frames: readonly Frame[], lastSeq: number): void {
  const exit = exitOf(frames);
  if (kind !== "gap" || !exit || exit.lastSeq >= lastSeq || !isAllIn(frames, lastSeq)) return;
  throw new ProtocolError("bad_sequence", "the exit knows of fewer frames than came");
}

/** @throws {ProtocolError} on a report about another attempt. */
function requireOwn(attemptId: string, frames: readonly Frame[]): void {
  for (const frame of frames) {
    if (frame.type === "started" && frame.attemptId !== attemptId)
      throw new ProtocolError("bad_sequence", "the frame `started` names another attempt");
  }
}

function exitOf(frames: readonly Frame[]): ExitFrame | undefined {
  return frames.find((frame) => frame.type === "exit");
}

/** True if every frame before the exit is recorded. */
function isAllIn(frames: readonly Frame[], lastSeq: number): boolean {
  const end = frames.findIndex((frame) => frame.type === "exit");
  return frames.slice(0, end).every((frame) => !("seq" in frame) || frame.seq <= lastSeq);
}

/** All of them, where their artifacts are in the store that the task named. @throws {ProtocolError} */
function requireKept({ storeId }: KeptBy, frames: readonly Frame[]) {
  for (const frame of frames) {
    if (frame.type !== "artifact" || frame.storeId === storeId) continue;
    throw new ProtocolError("bad_frame", "the artifact is not in the store that the task named", "storeId");
  }
  return { taken: frames, missing: [] };
}

/** The frames before the first artifact whose bytes are not here, and all hashes of the batch that are not. */
async function untilMissing(
  context: ApiContext,
  { attempt }: Admitted,
  frames: readonly Frame[],
): Promise<{ taken: readonly Frame[]; missing: readonly string[] }> {
  const missing = new Set<string>();
  let end = frames.length;
  for (const [index, frame] of frames.entries()) {
    if (frame.type !== "artifact" || (await hasBytes(context, attempt.ref.projectId, frame))) continue;
    missing.add(frame.sha256);
    end = Math.min(end, index);
  }
  return { taken: frames.slice(0, end), missing: [...missing] };
}

/** True if the bytes of an artifact were given to its project. @throws {ProtocolError} where they have another size. */
async function hasBytes({ db, blobs }: ApiContext, projectId: string, frame: ArtifactFrame): Promise<boolean> {
  const { sha256, sizeBytes } = frame;
  const size = (await isBlobKnown(db.sql, [projectId], sha256)) ? await blobs.size(sha256) : null;
  if (size !== null && size !== sizeBytes)
    throw new ProtocolError("bad_frame", `sizeBytes is ${sizeBytes}, but the content has ${size}`, "sizeBytes");
  return size !== null;
}
