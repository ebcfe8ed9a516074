/** An attempt that is bound to an instance, as a poll of that instance finds it. */
export interface BoundFacts {
  /** The engine lets it go to the instance. */
  readonly isOffered: boolean;
  /** Its task was put into an answer before. */
  readonly isHanded: boolean;
  /** Its process has been reported. */
  readonly isStarted: boolean;
  /** The poll names it: the instance has it. */
  readonly isKnown: boolean;
  /** It is to end, by its own or by the run's cancel. */
  readonly isStopped: boolean;
  /** Its step belongs to a transaction that is open on the instance. */
  readonly isMember: boolean;
  /** The runner may work for the run's environment. */
  readonly isAllowed: boolean;
}

/**
 * What a poll does about an attempt:
 * - `leave`: nothing now
 * - `hand`: put its task into the answer, for the first time or again
 * - `takeBack`: the answer with its task was lost, and it may not be handed over any more
 * - `cancel`: tell the instance to stop it
 * - `endCanceled`: it ends here, since it never left Maia
 * - `refuse`: it ends here, since the runner may not have it any more
 */
export type HandOver = "leave" | "hand" | "takeBack" | "cancel" | "endCanceled" | "refuse";

/**
 * What to do about an attempt of an instance that polls. `holdsNew` is true while it gets no new tasks, because its runner
 * is paused or it stops. Handing a task over again is safe: the runner's ledger starts each attempt once (G6).
 */
export function planHandOver(attempt: BoundFacts, holdsNew: boolean): HandOver {
  const { isOffered, isHanded, isStarted, isKnown, isStopped, isMember, isAllowed } = attempt;
  if (isStopped) return isHanded ? "cancel" : isOffered ? "endCanceled" : "leave";
  if (isKnown || !(isOffered || isHanded)) return "leave";
  if (isStarted) return "hand";
  if (!isAllowed) return "refuse";
  if (holdsNew && !isMember) return isHanded ? "takeBack" : "leave";
  return "hand";
}
