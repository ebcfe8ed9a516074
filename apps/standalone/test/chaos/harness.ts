import { setTimeout as delay } from "node:timers/promises";
import type { RunnerStatus } from "@maia/domain";
import { seeded } from "../crash/random.ts";
import type { Run } from "../support/client.ts";
import { Deployment } from "../support/deployments.ts";
import { processesMarked } from "../support/marked-processes.ts";
import { eventually } from "../support/processes.ts";
import { Chaos } from "./chaos.ts";
import { storedAttempts } from "./checks/attempts.ts";
import { checkQuiet, storedPauses } from "./checks/pauses.ts";
import { checkRun, checkUnclaimed, endOf } from "./checks/runs.ts";
import { checkSpans } from "./checks/spans.ts";
import { checkStarts } from "./checks/starts.ts";
import { FleetRunner } from "./fleet.ts";
import { Ledger } from "./ledger.ts";
import { type Asked, Jobs } from "./load/jobs.ts";
import { allow, disasters, fence, troubles } from "./troubles.ts";

export interface ChaosOptions {
  /** How long the fleet is tormented; longer where not everything has happened by then. */
  readonly ms: number;
  /** About how many jobs to submit in that time. */
  readonly jobs: number;
  readonly seed: number;
  readonly say?: (line: string) => void;
}

export interface ChaosReport {
  readonly seed: number;
  /** From the first submitted job to the end of the last one. */
  readonly seconds: number;
  readonly jobs: number;
  /** How many jobs ended how, by their kind. */
  readonly ended: Record<string, number>;
  readonly starts: number;
  /** Pauses that lasted until all was quiet. */
  readonly quietPauses: number;
  readonly lostAttempts: number;
  /** How often what was done to the fleet. */
  readonly deeds: Record<string, number>;
  readonly statuses: readonly string[];
  /** Whatever broke a promise, in words. Empty: all held. */
  readonly violations: readonly string[];
}

/**
 * Short constants, so that what waits for somebody who is gone waits seconds. The window outlasts a restart of the API, unless
 * the machine is overloaded, and is over before the next engine is killed: each watches the silence of runners anew.
 */
const SHORT = {
  MAIA_LEASE_TTL_MS: "3000",
  MAIA_LEASE_RENEW_MS: "500",
  MAIA_RUNNER_HEARTBEAT_MS: "500",
  MAIA_RUNNER_UNKNOWN_MS: "2500",
  MAIA_RUNNER_RECONNECT_WINDOW_MS: "15000",
  MAIA_TOKEN_TTL_MS: "5000",
  MAIA_MAX_ATTEMPTS_LOST: "1000",
};

/** A runner's own: the marks are off, since the machine that tests is busy. */
const RUNNER = { MAIA_RUNNER_SLOTS: "3", MAIA_RUNNER_CPU_MARK: "100", MAIA_RUNNER_MEMORY_MARK: "100" };

/** All that a runner can be. */
const STATUSES: readonly RunnerStatus[] = ["PENDING", "RUNNING", "UNKNOWN", "STOPPING", "STOPPED", "PAUSING", "PAUSED"];

/** Names of runners; the last one is restricted. */
const RUNNERS = ["north", "south", "inner"];

/**
 * Torments a fleet of real processes under load, then lets it settle and checks what was promised: no task lost, doubled,
 * or where it may not be; pauses that interrupt nothing and let nothing begin; and an end with a reason for every job.
 */
export async function chaos({ ms, jobs, seed, say = () => {} }: ChaosOptions): Promise<ChaosReport> {
  await using stack = new AsyncDisposableStack();
  const mark = `maia-chaos-${process.pid}-${seed}`;
  const ledger = stack.use(await Ledger.open());
  const maia = stack.use(await Deployment.start("engines", SHORT));
  const trial = new Chaos(maia, seeded(seed), ledger, { ...SHORT, ...RUNNER, MARK: mark });
  await trial.ask("POST", "/v1/projects/default/environments", { name: "fenced" });
  const runners: FleetRunner[] = [];
  for (const name of RUNNERS) runners.push(stack.use(await FleetRunner.make(trial, name, name === RUNNERS.at(-1))));
  await allow(trial, runners.at(-1)!, ["default", "fenced"]);
  for (const runner of runners) await runner.is("PENDING");
  for (const { instances } of runners) for (const instance of instances) instance.start();
  const load = new Jobs(trial, runners);
  await load.prepare();

  const from = performance.now();
  await torment(trial, runners, load, { ms, jobs });
  say(
    `${load.asked.length} jobs acked, ${load.refused} refused; done: ${JSON.stringify(trial.deeds)}; waiting for the end of it`,
  );
  const ended = await settle(trial, load.asked);
  const seconds = Math.round((performance.now() - from) / 1_000);
  const attempts = storedAttempts(trial);
  const runnerOf = new Map(ended.flatMap(({ asked, run }) => (run ? [[run.id, asked.runner] as const] : [])));
  checkStarts(trial, attempts, runnerOf);
  const fenced = new Set(ended.flatMap(({ asked, run }) => (asked.kind === "fenced" && run ? run.id : [])));
  checkSpans(trial, attempts, fenced);
  const pauses = storedPauses(trial);
  checkQuiet(trial, pauses, attempts);
  await checkStop(trial, runners, mark);
  checkAllSeen(trial);
  for (const violation of trial.violations) say(violation);
  return {
    seed,
    seconds,
    jobs: load.asked.length,
    ended: counted(ended.map(({ asked, end }) => `${asked.kind}: ${end}`)),
    starts: ledger.starts.length,
    quietPauses: pauses.filter(({ quietAt }) => quietAt !== null).length,
    lostAttempts: attempts.filter(({ status }) => status === "LOST").length,
    deeds: trial.deeds,
    statuses: [...trial.statuses].sort(),
    violations: trial.violations,
  };
}

/** Does everything to the fleet at least once, until the time is over. */
async function torment(
  trial: Chaos,
  runners: readonly FleetRunner[],
  load: Jobs,
  { ms, jobs }: Pick<ChaosOptions, "ms" | "jobs">,
): Promise<void> {
  const until = performance.now() + ms;
  const first = trial.shuffled(Object.keys(troubles));
  const lanes = [
    ...runners.map((runner, i) =>
      plague(
        trial,
        runner,
        until,
        first.filter((_, n) => n % runners.length === i),
      ),
    ),
    disturb(trial, until),
    close(trial, runners.at(-1)!, until),
    watch(trial, runners),
  ];
  const work = load.submit(ms / jobs);
  const ends = await Promise.allSettled([Promise.all(lanes.slice(0, -1)).finally(() => trial.stop()), ...lanes, work]);
  for (const end of ends) if (end.status === "rejected") throw end.reason;
}

/** One trouble after another for one runner: first those that are its share, then all in any order. */
async function plague(trial: Chaos, runner: FleetRunner, until: number, first: readonly string[]): Promise<void> {
  for (
    let names = [...first], isShareDone = false;
    ;
    names = trial.shuffled(Object.keys(troubles)), isShareDone = true
  ) {
    for (const name of names) {
      if (isShareDone && performance.now() > until) return;
      await runner.is("RUNNING");
      const calmFrom = Date.now();
      await delay(500 + trial.random() * 1_500);
      await troubles[name]!({ chaos: trial, runner, calmFrom });
      trial.note(name);
    }
  }
}

async function disturb(trial: Chaos, until: number): Promise<void> {
  for (let names: string[] = []; ; names = names.length > 0 ? names : trial.shuffled(Object.keys(disasters))) {
    const name = names.shift();
    if (name === undefined) continue;
    await delay(4_000 + trial.random() * 6_000);
    if (performance.now() > until) return;
    await disasters[name]!(trial);
    trial.note(name);
  }
}

async function close(trial: Chaos, runner: FleetRunner, until: number): Promise<void> {
  while (performance.now() < until) {
    await delay(2_000 + trial.random() * 3_000);
    await fence(trial, runner);
    trial.note("fence");
  }
}

/** Notes the statuses that there are, some of which are short. */
async function watch(trial: Chaos, runners: readonly FleetRunner[]): Promise<void> {
  while (!trial.isOver) {
    for (const { id } of runners) await trial.view(id);
    await trial.rest(100, 100);
  }
}

interface Ended {
  readonly asked: Asked;
  /** How it ended, in words. */
  readonly end: string;
  /** Null: nobody had claimed it. */
  readonly run: Run | null;
}

/** Waits for the end of every job, and checks each. */
async function settle(trial: Chaos, asked: readonly Asked[]): Promise<Ended[]> {
  const ended: Ended[] = [];
  for (const job of asked) {
    const end = await trial.endedJob(job.id);
    if (!end) continue;
    const run = end.runId === null ? null : await trial.read<Run>(`/v1/runs/${end.runId}`);
    if (run) checkRun(trial, job, run);
    else checkUnclaimed(trial, job, end);
    ended.push({ asked: job, end: endOf(run ?? end), run });
  }
  return ended;
}

/** All can be stopped, and nobody is left. */
async function checkStop(trial: Chaos, runners: readonly FleetRunner[], mark: string): Promise<void> {
  const instances = runners.flatMap((runner) => runner.instances);
  for (const code of await Promise.all(instances.map((instance) => instance.stop())))
    if (code !== 0) trial.violate(`G22 a runner's process was asked to end, and exited with ${code}`);
  for (const runner of runners) await runner.is("STOPPED", "UNKNOWN"); // an instance whose disk is gone is never heard of again
  const none = async () => (await processesMarked(mark)).length === 0;
  await eventually("no process outlives its runner", none, 5_000).catch(async () => {
    trial.violate(`G17 processes ${await processesMarked(mark)} outlived their runner`);
  });
}

/** Every status was seen, and everything was done that there is to do. */
function checkAllSeen(trial: Chaos): void {
  for (const status of STATUSES) if (!trial.statuses.has(status)) trial.violate(`no runner was ever seen ${status}`);
  for (const name of [...Object.keys(troubles), "fence"])
    if (!trial.deeds[name]) trial.violate(`the trouble ${name} was never made`);
}

function counted(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names.toSorted()) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}
