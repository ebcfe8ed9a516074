import { setTimeout as delay } from "node:timers/promises";
import type { Client, Run, Workflow } from "../support/client.ts";
import type { Deployment } from "../support/deployments.ts";
import { eventually } from "../support/processes.ts";

/** How long something is asked for again until it is acked, and how long an acked job may take to end. In milliseconds. */
const ACK_MS = 180_000;
const END_MS = 300_000;
/** Answers that asking again does not change. */
const REFUSALS = [400, 401, 403, 404, 413, 415, 422];
const ENDED = ["SUCCEEDED", "FAILED", "CANCELED"];

/** A kind of work that goes on while parts are killed: what is asked for, and what must be true of it afterwards. */
export interface Load extends AsyncDisposable {
  readonly name: string;
  /** What Maia has to be told before it starts. */
  readonly env: Readonly<Record<string, string>>;
  /** Lays the ground before anything is killed. */
  prepare(trial: Trial): Promise<void>;
  /** Asks for work until the trial stops. */
  submit(trial: Trial): Promise<void>;
  /** Waits for the end of what was acked, checks it, and names every job that there may be because of it. */
  check(trial: Trial): Promise<readonly string[]>;
}

export interface Job {
  readonly id: string;
  readonly status: string;
  readonly runId: string | null;
  readonly trigger: string;
  readonly params: Record<string, unknown>;
  readonly startedAt: string | null;
  readonly itemIndex?: number | null;
  readonly originRunId?: string | null;
  readonly rerun?: { readonly kind: string };
}

export interface EndedJob extends Pick<Run, "status" | "failure"> {
  readonly id: string;
  /** Null: it ended before anybody had claimed it. */
  readonly runId: string | null;
}

/** One Maia whose parts are killed, and what is found out about it. */
export class Trial {
  /** Whatever broke a promise, in words. */
  readonly violations: string[] = [];
  /** How often something was acked, by what it was. */
  readonly acks: Record<string, number> = {};
  readonly maia: Deployment;
  readonly random: () => number;
  /** For the environment of each step: whom to tell that it starts, and a mark by which survivors are found. */
  readonly stepEnv: Readonly<Record<string, string>>;
  readonly #stop = new AbortController();

  constructor(maia: Deployment, random: () => number, stepEnv: Readonly<Record<string, string>>) {
    this.maia = maia;
    this.random = random;
    this.stepEnv = stepEnv;
  }

  get client(): Client {
    return this.maia.client;
  }

  get isOver(): boolean {
    return this.#stop.signal.aborted;
  }

  /** Lets the loads ask for nothing more. */
  stop(): void {
    this.#stop.abort();
  }

  violate(what: string): void {
    this.violations.push(what);
  }

  /** Waits between two requests; not beyond the end of the trial. */
  async rest(leastMs: number, mostMs: number): Promise<void> {
    const ms = leastMs + this.random() * (mostMs - leastMs);
    await delay(ms, undefined, { signal: this.#stop.signal }).catch(() => undefined); // the trial is over
  }

  pick<T>(...choices: readonly T[]): T {
    return choices[Math.floor(this.random() * choices.length)]!;
  }

  /** Publishes a workflow, however often that takes. @returns its version */
  async publish(workflow: Workflow): Promise<number> {
    const path = `/v1/workflows/${workflow.name}`;
    return (await this.#until<{ version: number }>("PUT", path, workflow, [200, 201])).version;
  }

  /** Asks for something to be made until that is acked, each time with the same key. */
  async make<T extends { id: string }>(kind: string, path: string, body: object, key: string): Promise<T> {
    const made = await this.#until<T>("POST", path, body, [201], { "idempotency-key": key });
    this.acks[kind] = (this.acks[kind] ?? 0) + 1;
    return made;
  }

  /** Asks for a change that does no harm when it comes twice. @returns false where it came too late (409) */
  async change(kind: string, method: string, path: string, body: object = {}): Promise<boolean> {
    const answer = await this.#until<{ code?: string }>(method, path, body, [200, 202, 409]);
    if (answer.code !== undefined) return false;
    this.acks[kind] = (this.acks[kind] ?? 0) + 1;
    return true;
  }

  /** Reads something, whatever is killed meanwhile. */
  read<T>(path: string): Promise<T> {
    return eventually(`${path} is read`, () => this.client.get<T>(path), ACK_MS);
  }

  /** All items of a list, page by page. */
  list<T>(path: string): Promise<T[]> {
    return this.client.list(path, (page) => this.read(page));
  }

  /** A job once it has ended; null, and a violation, where that takes for ever. */
  async endedJob(jobId: string): Promise<EndedJob | null> {
    try {
      return await eventually(
        `job ${jobId} has ended`,
        async () => {
          const job = await this.client.get<EndedJob>(`/v1/jobs/${jobId}`);
          return ENDED.includes(job.status) ? job : null;
        },
        END_MS,
      );
    } catch (error) {
      this.violate(`G1/G13 ${(error as Error).message}\n${this.maia.logs}`);
      return null;
    }
  }

  /** The run of a job once it has ended; null, and a violation, where that takes for ever, or it never had one. */
  async ended(jobId: string): Promise<Run | null> {
    const job = await this.endedJob(jobId);
    if (job?.runId) return this.read<Run>(`/v1/runs/${job.runId}`);
    if (job) this.violate(`G1/G13 job ${jobId} ended ${job.status} without a run`);
    return null;
  }

  /** The run of a job, which must have succeeded. */
  async succeeded(jobId: string): Promise<Run | null> {
    const run = await this.ended(jobId);
    if (run && run.status !== "SUCCEEDED")
      this.violate(`job ${jobId} ended ${run.status}: ${JSON.stringify(run.failure)}`);
    return run?.status === "SUCCEEDED" ? run : null;
  }

  /** @throws {Error} when it is refused, or not acked in time. */
  async #until<T>(
    method: string,
    path: string,
    body: object,
    good: readonly number[],
    headers: Record<string, string> = {},
  ): Promise<T> {
    const what = `${method} ${path} is acked`;
    const { status, body: answer } = await eventually(
      what,
      async () => {
        const answer = await this.client.call<T>(method, path, body, headers);
        if (good.includes(answer.status) || REFUSALS.includes(answer.status)) return answer;
        throw new Error(`${answer.status} ${JSON.stringify(answer.body)}`);
      },
      ACK_MS,
    );
    if (!good.includes(status)) throw new Error(`not so: ${what} (${status} ${JSON.stringify(answer)})`);
    return answer;
  }
}
