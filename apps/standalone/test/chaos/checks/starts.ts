import type { Chaos } from "../chaos.ts";
import type { FleetRunner } from "../fleet.ts";
import { nameOf } from "../ledger.ts";
import type { StoredAttempt } from "./attempts.ts";

const ENDED = ["SUCCEEDED", "FAILED", "CANCELED", "LOST"];

/** Each attempt started at most once, in a folder of the runner that it was meant for, and nothing started that is no attempt. */
export function checkStarts(
  chaos: Chaos,
  attempts: readonly StoredAttempt[],
  runnerOf: ReadonlyMap<string, FleetRunner>,
): void {
  const byName = new Map(attempts.map((attempt) => [nameOf(attempt), attempt]));
  const started = new Set<string>();
  for (const start of chaos.ledger.starts) {
    const name = nameOf(start);
    if (started.has(name)) chaos.violate(`G6 ${name} started twice, now in ${start.folder}`);
    started.add(name);
    const attempt = byName.get(name);
    if (!attempt) chaos.violate(`G6 ${name} started, and there is no such attempt`);
    else if (attempt.handedAt === null) chaos.violate(`G6 ${name} started, but was never handed over`);
    const runner = runnerOf.get(start.runId);
    if (!runner || !start.folder.includes(`/${runner.name}/`))
      chaos.violate(`G23 ${name} of runner ${runner?.name} started in ${start.folder}`);
  }
  for (const attempt of attempts) {
    const name = nameOf(attempt);
    if (!ENDED.includes(attempt.status)) chaos.violate(`G13 ${name} is ${attempt.status} for ever`);
    if (attempt.status === "SUCCEEDED" && !started.has(name)) chaos.violate(`G9 ${name} succeeded and never started`);
    if (attempt.runnerId !== runnerOf.get(attempt.runId)?.id)
      chaos.violate(`G23 ${name} is bound to runner ${attempt.runnerId}`);
  }
}
