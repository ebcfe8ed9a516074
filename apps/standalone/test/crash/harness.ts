import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import type { Run } from "../support/client.ts";
import { Deployment } from "../support/deployments.ts";
import { eventually } from "../support/processes.ts";
import { Sink } from "../support/sink.ts";
import { Source } from "./source.ts";
import { Standing } from "./standing.ts";
import { crashWorkflows } from "./workflows.ts";

export interface CrashOptions {
  /** How many processes to kill in all. */
  readonly kills: number;
  readonly seed: number;
  readonly say?: (line: string) => void;
}

export interface CrashReport {
  readonly kills: number;
  readonly acked: number;
  readonly ended: Record<string, number>;
  readonly starts: number;
  readonly lostAttempts: number;
  /** Whatever broke a promise, in words. Empty: all held. */
  readonly violations: string[];
}

/** Where to run: the parts may die in any mixture. */
const SHAPES = [
  { shape: "local", parts: ["up"] },
  { shape: "separate", parts: ["api", "engine", "engine-2", "runner"] },
] as const;

/** Short constants, so that what waits for a dead engine waits seconds. */
const SHORT = {
  MAIA_LEASE_TTL_MS: "3000",
  MAIA_LEASE_RENEW_MS: "500",
  MAIA_RUNNER_RECONNECT_WINDOW_MS: "15000",
  MAIA_MAX_ATTEMPTS_LOST: "1000",
};

/**
 * Kills random parts of a running Maia at random moments under mixed load, then lets it settle and checks what it has
 * promised: G1 acked jobs exist, G3 one run each, G4 each row and each due
 * instant is one job, G6 no attempt started twice, G14 logs without gap, G17 no orphans, G18 whole
 * files.
 */
export async function crash({ kills, seed, say = () => {} }: CrashOptions): Promise<CrashReport> {
  const random = seeded(seed);
  const total = {
    kills: 0,
    acked: 0,
    ended: {} as Record<string, number>,
    starts: 0,
    lostAttempts: 0,
    violations: [] as string[],
  };
  for (const [index, { shape, parts }] of SHAPES.entries()) {
    const share = index === 0 ? Math.floor(kills / SHAPES.length) : kills - total.kills;
    const marker = `maia-crash-${process.pid}-${seed}-${index}`;
    await using sink = await Sink.open();
    await using source = await Source.open(random);
    const env = { ...SHORT, MAIA_TEST_MARKER: marker, MAIA_URL_ALLOW: source.host, MAIA_URL_RETRIES: "10" };
    await using maia = await Deployment.start(shape, env, 2);
    for (const workflow of crashWorkflows(sink.url, marker)) await maia.client.apply(workflow);
    const load = new Load(maia, source, random);
    const loading = load.run();
    const standing = Standing.begin(maia);
    for (let killed = 0; killed < share; ) {
      await wait(30 + random() * 500);
      const chosen = parts.filter(() => random() < 0.5).slice(0, share - killed);
      for (const name of chosen) maia.part(name).signal("SIGKILL");
      await Promise.all(chosen.map((name) => maia.part(name).ended()));
      killed += chosen.length;
      total.kills += chosen.length;
      await wait(random() * 200);
      for (const name of chosen) maia.spawn(name);
      // Mostly let it live long enough to get somewhere; sometimes kill it while it is still starting.
      if (random() < 0.7) {
        await eventually("the API answers again", async () => (await fetch(`${maia.url}/readyz`)).ok);
        await wait(random() * 1_000);
      }
    }
    load.stop();
    await loading;
    await (await standing).stop();
    say(`${shape}: ${share} kills, ${load.acked.size} jobs acked; waiting for them to end`);
    await (await standing).check(total.violations);
    await settle(maia, load, sink, total);
    await checkDisk(maia, total.violations);
    await checkOrphans(maia, marker, total.violations);
  }
  return total;
}

class Load {
  /** Acked jobs, by id, with the hash that the file must have that they fetch; null where they fetch none. */
  readonly acked = new Map<string, string | null>();
  readonly #maia: Deployment;
  readonly #source: Source;
  readonly #random: () => number;
  #stopped = false;

  constructor(maia: Deployment, source: Source, random: () => number) {
    this.#maia = maia;
    this.#source = source;
    this.#random = random;
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Submits jobs until stopped; one that gets no answer is asked for again with its key, until it is acked. */
  async run(): Promise<void> {
    await Promise.all([1, 2, 3].map((who) => this.#keepSubmitting(who)));
  }

  async #keepSubmitting(who: number): Promise<void> {
    const names = ["chain", "diamond", "chatty", "fetch"];
    for (let n = 0; !this.#stopped; n++) {
      const workflow = names[Math.floor(this.#random() * names.length)] ?? "chain";
      await this.#submit(workflow, `job-${who}-${n}`);
      await wait(200 + this.#random() * 800);
    }
  }

  async #submit(workflow: string, key: string): Promise<void> {
    const file = workflow === "fetch" ? this.#source.file(key) : null;
    const urlFiles = file ? [{ url: file.url }] : [];
    const id = await eventually(
      `job ${key} is acked`,
      async () => {
        const answer = await this.#maia.client.call<{ id: string }>(
          "POST",
          "/v1/jobs",
          { workflow, urlFiles },
          { "idempotency-key": key },
        );
        return answer.status === 201 ? answer.body.id : null;
      },
      120_000,
    );
    this.acked.set(id, file?.sha256 ?? null);
  }
}

async function settle(
  maia: Deployment,
  load: Load,
  sink: Sink,
  total: { acked: number; ended: Record<string, number>; starts: number; lostAttempts: number; violations: string[] },
): Promise<void> {
  total.acked += load.acked.size;
  const { violations } = total;
  for (const [id, sha256] of load.acked) {
    const run = await maia.client.finished(id, 180_000).catch((error: unknown) => String(error));
    if (typeof run === "string") {
      violations.push(`G1/G13 job ${id}: ${run}\n${maia.logs}`);
      continue;
    }
    total.ended[run.status] = (total.ended[run.status] ?? 0) + 1;
    if (run.status !== "SUCCEEDED") violations.push(`job ${id} ended ${run.status}: ${JSON.stringify(run.failure)}`);
    checkRun(run, total);
    if (sha256 !== null && run.outputs?.sha256 !== sha256)
      violations.push(`G18 job ${id} read ${run.outputs?.sha256} where ${sha256} was to be had`);
    await checkLogs(maia, run, violations);
  }
  const everything = await allJobs(maia);
  const listed = everything.filter(({ trigger }) => trigger === "manual");
  if (listed.length !== load.acked.size)
    violations.push(`G2 ${load.acked.size} jobs were asked for, ${listed.length} exist`);
  const runs = new Set(everything.map((job) => job.runId));
  if (runs.size !== everything.length) violations.push(`G3 ${everything.length} jobs have ${runs.size} runs`);
  total.starts += sink.entries.length;
  for (const double of sink.doubles()) violations.push(`G6 attempt ${double} started twice`);
}

function checkRun(run: Run, total: { lostAttempts: number; violations: string[] }): void {
  for (const step of run.steps) {
    const numbers = step.attempts.map((attempt) => attempt.no);
    if (numbers.some((no, i) => no !== i + 1))
      total.violations.push(`G11 run ${run.id} step ${step.key} has attempts ${numbers}`);
    total.lostAttempts += step.attempts.filter((attempt) => attempt.status === "LOST").length;
    if (step.status === "SUCCEEDED" && step.attempts.filter((attempt) => attempt.status === "SUCCEEDED").length !== 1) {
      total.violations.push(`G9 run ${run.id} step ${step.key} succeeded ${step.attempts.length} times`);
    }
  }
}

async function checkLogs(maia: Deployment, run: Run, violations: string[]): Promise<void> {
  const lines = await maia.client.logs(run.id);
  const attempts = new Map<string, number[]>();
  for (const line of lines) {
    const key = `${line.stepKey}#${line.attemptNo}`;
    attempts.set(key, [...(attempts.get(key) ?? []), line.seq]);
  }
  for (const [attempt, seqs] of attempts) {
    if (seqs.some((seq, i) => i > 0 && seq <= (seqs[i - 1] ?? 0)))
      violations.push(`G14 run ${run.id} ${attempt} repeats or reorders lines`);
  }
  const talk = lines.filter((line) => line.stepKey === "talk" && line.stream === "stdout");
  const lastNo = run.steps.find((step) => step.key === "talk")?.attempts.at(-1)?.no;
  const last = talk.filter((line) => line.attemptNo === lastNo).map((line) => line.line);
  if (lastNo !== undefined && last.join() !== Array.from({ length: 300 }, (_, i) => `line ${i + 1}`).join()) {
    violations.push(`G14 run ${run.id} kept ${last.length} of 300 lines`);
  }
}

interface ListedJob {
  readonly id: string;
  readonly runId: string | null;
  readonly trigger: string;
}

async function allJobs(maia: Deployment): Promise<ListedJob[]> {
  const jobs: ListedJob[] = [];
  for (let cursor: string | null = ""; cursor !== null; ) {
    const page: { items: ListedJob[]; nextCursor: string | null } = await maia.client.get(
      `/v1/jobs?limit=100${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`,
    );
    jobs.push(...page.items);
    cursor = page.nextCursor;
  }
  return jobs;
}

/** Every file that is kept is whole, and none is left half (F15). */
async function checkDisk({ dataDir }: Deployment, violations: string[]): Promise<void> {
  const blobs = path.join(dataDir, "blobs");
  for (const folder of await readdir(blobs)) {
    for (const name of await readdir(path.join(blobs, folder))) {
      const bytes = await readFile(path.join(blobs, folder, name));
      if (createHash("sha256").update(bytes).digest("hex") !== folder + name)
        violations.push(`G18 the blob ${folder}${name} is not what its name says`);
    }
  }
}

/** Kills everything at once while steps run, and looks for processes that are left 5 s later (G17). */
async function checkOrphans(maia: Deployment, marker: string, violations: string[]): Promise<void> {
  await maia.client.apply({
    name: "sleeper",
    env: { CRASH_MARKER: marker },
    steps: [{ key: "sleep", runtime: "shell", script: "sleep 1000" }],
  });
  await maia.client.submit("sleeper");
  await eventually("a step sleeps", async () => (await marked(marker)).length > 0);
  for (const part of maia.processes.values()) part.signal("SIGKILL");
  await eventually(
    "no process outlives its supervisor by 5 s",
    async () => (await marked(marker)).length === 0,
    5_000,
  ).catch(async () => {
    violations.push(`G17 processes ${await marked(marker)} outlived their supervisor`);
  });
}

/** Processes of steps: they have the workflow's marker in their environment. */
async function marked(marker: string): Promise<number[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => {
      const environ = await readFile(`/proc/${pid}/environ`, "latin1").catch(() => ""); // it ended meanwhile
      return environ.includes(`CRASH_MARKER=${marker}`) ? Number(pid) : null;
    }),
  );
  return found.filter((pid) => pid !== null);
}

/** Mulberry32: small, and the same numbers for the same seed everywhere. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
