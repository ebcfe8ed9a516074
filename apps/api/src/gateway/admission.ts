import { timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { type BoundAttempt, findBoundAttempt, type InstanceState, readInstance, type Sql } from "@maia/db";
import { invalid, MaiaError, sha256Hex } from "@maia/domain";
import { ATTEMPT_TOKEN_HEADER, GENERATION_HEADER } from "@maia/runner-protocol";
import type { Caller } from "../auth.js";
import { HttpProblem } from "../http/problems.js";

/** Who speaks for an instance, and as which generation of it. */
export interface Speaker {
  readonly runnerId: string;
  readonly generation: number;
}

/** @throws {MaiaError} INVALID where the header that names the generation is missing or no number. */
export function speakerOf(caller: Caller, req: IncomingMessage): Speaker {
  const text = req.headers[GENERATION_HEADER];
  const generation = typeof text === "string" && /^[1-9]\d{0,14}$/.test(text) ? Number(text) : null;
  if (generation !== null) return { runnerId: caller.id, generation };
  const message = "the header Maia-Generation must be the generation that the hello was answered with";
  throw invalid([{ pointer: `/${GENERATION_HEADER}`, message }]);
}

/** The instance that the speaker is. @throws {MaiaError} NOT_FOUND; {HttpProblem} SUPERSEDED */
export async function admitInstance(sql: Sql, speaker: Speaker, instanceId: string): Promise<InstanceState> {
  const instance = await readInstance(sql, instanceId);
  if (!instance || instance.runnerId !== speaker.runnerId || instance.generation < speaker.generation)
    throw new MaiaError("NOT_FOUND", "There is no such instance; say hello");
  if (instance.generation > speaker.generation) throw superseded();
  return instance;
}

/** A live attempt, and the instance that speaks of it. */
export interface Admitted {
  readonly attempt: BoundAttempt;
  readonly instance: InstanceState;
}

/** Names an attempt to the gateway, as a request does. */
export interface Claim extends Speaker {
  readonly attemptId: string;
  readonly token: string;
}

export function claimOf(caller: Caller, req: IncomingMessage, attemptId: string): Claim {
  const token = req.headers[ATTEMPT_TOKEN_HEADER];
  return { ...speakerOf(caller, req), attemptId, token: typeof token === "string" ? token : "" };
}

/**
 * The attempt that the speaker's instance holds (C13).
 * @throws {MaiaError} NOT_FOUND where it is somebody else's, FORBIDDEN without its token; {HttpProblem} SUPERSEDED, ATTEMPT_ENDED
 */
export async function admitAttempt(sql: Sql, claim: Claim): Promise<Admitted> {
  const attempt = await findBoundAttempt(sql, claim.runnerId, claim.attemptId);
  if (!attempt) throw new MaiaError("NOT_FOUND", "There is no such attempt of this runner");
  if (!isSame(claim.token, attempt.token))
    throw new MaiaError("FORBIDDEN", "Maia-Attempt-Token must be the token of the attempt's task");
  const instance = await admitInstance(sql, claim, attempt.instanceId);
  if (attempt.status !== "DISPATCHING" && attempt.status !== "RUNNING") throw attemptEnded();
  return { attempt, instance };
}

/** In a time that does not tell where they differ, nor how long the right one is. */
function isSame(given: string, right: string): boolean {
  return timingSafeEqual(Buffer.from(sha256Hex(given)), Buffer.from(sha256Hex(right)));
}

export function superseded(): HttpProblem {
  return new HttpProblem("SUPERSEDED", "A newer process has the ledger of this instance; end your attempts and exit");
}

export function attemptEnded(): HttpProblem {
  return new HttpProblem("ATTEMPT_ENDED", "The attempt has ended; kill what runs of it and drop its frames");
}

/** The credentials that somebody came with were good then, and count no more. */
export function refusedNow(): HttpProblem {
  return new HttpProblem("UNAUTHENTICATED", "The token is not valid any more");
}
