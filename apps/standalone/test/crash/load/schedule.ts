import { nodeStep } from "../scripts.ts";
import type { Job, Load, Trial } from "../trial.ts";

const INTERVAL_MS = 2_000;

interface Tick {
  readonly dueAt: string;
  readonly jobId: string | null;
  readonly count?: number;
}

/** A schedule: each of its instants is accounted for exactly once, and each that fired is one job (G4). */
export class Schedule implements Load {
  readonly name = "schedule";
  readonly env = {};
  #id = "";

  async prepare({ client, stepEnv: env }: Trial): Promise<void> {
    await client.apply({ name: "hourly", env, steps: [{ key: "only", script: nodeStep("return {};") }] });
  }

  async submit(trial: Trial): Promise<void> {
    const rules = { kind: "interval", intervalMs: INTERVAL_MS, misfire: "skip", overlap: "allow" };
    this.#id = (await trial.make("schedule", "/v1/schedules", { workflow: "hourly", ...rules }, "schedule")).id;
    while (!trial.isOver) await trial.rest(1_000, 1_000);
    await trial.change("schedule stopped", "PATCH", `/v1/schedules/${this.#id}`, { enabled: false });
  }

  async check(trial: Trial): Promise<readonly string[]> {
    const jobs = (await trial.list<Job>(`/v1/jobs?scheduleId=${this.#id}`)).map(({ id }) => id);
    for (const id of jobs) await trial.succeeded(id);
    const ticks = await trial.list<Tick>(`/v1/schedules/${this.#id}/ticks`);
    const fired = ticks.flatMap(({ jobId }) => jobId ?? []);
    if (fired.sort().join() !== jobs.sort().join())
      trial.violate(`G4 ${fired.length} instants fired, and the schedule has ${jobs.length} jobs`);
    checkInstants(trial, ticks);
    return jobs;
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** Each instant stands once, and between two that are told of there is none that is not. */
function checkInstants(trial: Trial, ticks: readonly Tick[]): void {
  if (ticks.length === 0) trial.violate("G4 no instant of the schedule is accounted for");
  const ordered = [...ticks].sort((a, b) => a.dueAt.localeCompare(b.dueAt));
  for (const [index, tick] of ordered.entries()) {
    const next = ordered[index + 1];
    if (!next) return;
    const covered = (tick.count ?? 1) * INTERVAL_MS;
    if (Date.parse(next.dueAt) - Date.parse(tick.dueAt) !== covered)
      trial.violate(`G4 after the instant ${tick.dueAt} comes ${next.dueAt}`);
  }
}
