import type { Clock } from "@maia/domain";
import { landOwnLines } from "@maia/record";
import type { TaskDeps } from "@maia/runner-protocol";
import type { Flight } from "./flights.js";
import type { Pinnings } from "./pinning.js";
import type { Writes } from "./writes.js";

export interface PackagesDeps {
  readonly pinnings: Pinnings;
  readonly writes: Writes;
  readonly clock: Clock;
  /** False once the attempt is over or somebody else's. */
  readonly isOurs: (flight: Flight) => boolean;
}

/** The step was asked to end before its task was sent. */
export class StoppedBeforeStart extends Error {}

/** The attempt is not ours any more. */
export class LetGo extends Error {}

/**
 * The pinned packages that a step needs, or null. Where nobody has pinned them yet it waits for that, and the attempt's
 * log says how it goes. @throws {PinningError | StoppedBeforeStart | LetGo}
 */
export async function packagesOf(flight: Flight, deps: PackagesDeps): Promise<TaskDeps | null> {
  const { pinnings, isOurs } = deps;
  const found = await pinnings.find(flight);
  if (found !== "unknown") return found;
  if (flight.stop !== null) throw new StoppedBeforeStart();
  let told = Promise.resolve();
  const wait = pinnings.wait(flight, (lines) => {
    told = told.then(() => tell(flight, lines, deps));
    told.catch(() => flight.leave?.());
  });
  flight.leave = wait.leave;
  try {
    return await wait.deps;
  } finally {
    flight.leave = null;
    await told;
    // biome-ignore lint/correctness/noUnsafeFinally: whatever came of the wait, it is no longer for us
    if (!isOurs(flight)) throw new LetGo();
  }
}

async function tell(flight: Flight, lines: readonly string[], { writes, clock }: PackagesDeps): Promise<void> {
  if (!(await writes.patiently((tx) => landOwnLines(tx, flight.ref, flight.lastSeq, lines, clock()))))
    throw new LetGo();
  flight.lastSeq += lines.length;
  flight.seqBase = flight.lastSeq;
}
