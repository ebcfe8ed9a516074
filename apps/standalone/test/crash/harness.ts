import { setTimeout as delay } from "node:timers/promises";
import { Deployment, type Shape } from "../support/deployments.ts";
import { eventually } from "../support/processes.ts";
import { Sink } from "../support/sink.ts";
import { checkDisk, checkLeftovers } from "./checks/disk.ts";
import { checkNoneLeft, checkOrphans } from "./checks/processes.ts";
import { checkRuns, type Figures } from "./checks/runs.ts";
import { keepingEvidence } from "./evidence.ts";
import { Batches } from "./load/batches.ts";
import { Downloads } from "./load/downloads.ts";
import { Installs } from "./load/installs.ts";
import { Jobs } from "./load/jobs.ts";
import { Reruns } from "./load/reruns.ts";
import { Schedule } from "./load/schedule.ts";
import { seeded } from "./random.ts";
import { type Load, Trial } from "./trial.ts";

export interface CrashOptions {
  /** How many processes to kill in all. */
  readonly kills: number;
  readonly seed: number;
  /** Where to run; everywhere unless told. */
  readonly shapes?: readonly Shape[];
  readonly say?: (line: string) => void;
}

export interface CrashReport extends Figures {
  readonly kills: number;
  /** How often something was acked, by what it was. */
  readonly acks: Record<string, number>;
  /** Whatever broke a promise, in words. Empty: all held. */
  readonly violations: readonly string[];
}

/** Where to run, and how many parts that is: the parts may die in any mixture. Each has its share of the kills. */
const SHAPES: readonly { readonly shape: Shape; readonly parts: number }[] = [
  { shape: "local", parts: 1 },
  { shape: "separate", parts: 4 },
  { shape: "engines", parts: 3 },
];

/** Short constants, so that what waits for a dead engine waits seconds. */
const SHORT = {
  MAIA_LEASE_TTL_MS: "3000",
  MAIA_LEASE_RENEW_MS: "500",
  MAIA_RUNNER_RECONNECT_WINDOW_MS: "15000",
  MAIA_MAX_ATTEMPTS_LOST: "1000",
};

/**
 * Kills random parts of a running Maia at random moments under mixed load, then lets it settle and checks what it has
 * promised: what was acked exists and ends, each thing once, nothing half, and nobody is left. Each load checks what is its
 * own (`load/`); `checks/` look at all of it.
 */
export async function crash({ kills, seed, shapes, say = () => {} }: CrashOptions): Promise<CrashReport> {
  const random = seeded(seed);
  const reports: CrashReport[] = [];
  const chosen = SHAPES.filter(({ shape }) => shapes?.includes(shape) ?? true);
  let [killsLeft, partsLeft] = [kills, chosen.reduce((sum, { parts }) => sum + parts, 0)];
  for (const { shape, parts } of chosen) {
    const share = Math.round((killsLeft * parts) / partsLeft);
    reports.push(await crashShape(shape, share, `maia-crash-${process.pid}-${seed}-${shape}`, random, say));
    killsLeft -= share;
    partsLeft -= parts;
  }
  return reports.reduce(together);
}

async function crashShape(
  shape: Shape,
  kills: number,
  mark: string,
  random: () => number,
  say: (line: string) => void,
): Promise<CrashReport> {
  await using stack = new AsyncDisposableStack();
  const sink = stack.use(await Sink.open());
  const loads: Load[] = [new Jobs(), new Batches(), new Schedule(), new Reruns()];
  for (const load of [await Downloads.open(random), await Installs.open()]) loads.push(stack.use(load));
  const env = Object.assign({ ...SHORT, MAIA_TEST_MARK: mark }, ...loads.map((load) => load.env));
  const maia = stack.use(await Deployment.start(shape, env, 2));
  const trial = new Trial(maia, random, { SINK: sink.url, CRASH_MARK: mark });
  let figures: Figures | null = null;
  const violations = await keepingEvidence(maia, async () => {
    await underLoad(trial, kills, loads);
    say(`${shape}: ${kills} kills, acked ${JSON.stringify(trial.acks)}; waiting for the end of it`);
    const accounted = (await Promise.all(loads.map((load) => load.check(trial)))).flat();
    figures = await checkRuns(trial, sink, accounted);
    await checkOrphans(trial, mark);
    await checkStart(trial, mark);
    await checkDisk(trial);
    return trial.violations;
  });
  for (const violation of violations) say(violation);
  return { kills, acks: trial.acks, ...figures!, violations };
}

async function underLoad(trial: Trial, kills: number, loads: readonly Load[]): Promise<void> {
  for (const load of loads) await load.prepare(trial);
  const work = [killParts(trial, kills), ...loads.map((load) => load.submit(trial))];
  const ends = await Promise.allSettled(work.map((part) => part.finally(() => trial.stop())));
  for (const end of ends) if (end.status === "rejected") throw end.reason;
}

async function killParts(trial: Trial, kills: number): Promise<void> {
  const { maia, random } = trial;
  const parts = [...maia.processes.keys()];
  for (let killed = 0; killed < kills && !trial.isOver; ) {
    await delay(30 + random() * 500);
    const some = parts.filter(() => random() < 0.5);
    const chosen = (some.length > 0 ? some : [trial.pick(...parts)]).slice(0, kills - killed);
    for (const name of chosen) maia.part(name).signal("SIGKILL");
    await Promise.all(chosen.map((name) => maia.part(name).ended()));
    killed += chosen.length;
    await delay(random() * 200);
    for (const name of chosen) maia.spawn(name);
    // Mostly let it live long enough to get somewhere; sometimes kill it while it is still starting.
    if (random() < 0.7) {
      await eventually("the API answers again", async () => (await fetch(`${maia.url}/readyz`)).ok);
      await delay(random() * 2_000);
    }
  }
}

/** Starts all parts after all were killed: what was left half is cleared away, and all of them can be stopped. */
async function checkStart(trial: Trial, mark: string): Promise<void> {
  const { maia } = trial;
  const startedAt = new Date();
  for (const name of [...maia.processes.keys()]) maia.spawn(name);
  await eventually("Maia is back", async () => (await fetch(`${maia.url}/readyz`)).ok);
  const { id } = await trial.make<{ id: string }>("last job", "/v1/jobs", { workflow: "chain" }, "last");
  await trial.succeeded(id);
  await checkLeftovers(trial, startedAt);
  for (const [name, part] of maia.processes) {
    const code = await part.stop();
    if (code !== 0) trial.violate(`${name} was asked to stop, and exited with ${code}`);
  }
  await checkNoneLeft(trial, mark, "Maia");
}

function together(one: CrashReport, other: CrashReport): CrashReport {
  return {
    kills: one.kills + other.kills,
    acks: added(one.acks, other.acks),
    ended: added(one.ended, other.ended),
    starts: one.starts + other.starts,
    lostAttempts: one.lostAttempts + other.lostAttempts,
    violations: [...one.violations, ...other.violations],
  };
}

function added(one: Record<string, number>, other: Record<string, number>): Record<string, number> {
  const names = [...new Set([...Object.keys(one), ...Object.keys(other)])];
  return Object.fromEntries(names.map((name) => [name, (one[name] ?? 0) + (other[name] ?? 0)]));
}
