import type { Client, Workflow } from "../test/support/client.ts";
import { eventually } from "../test/support/processes.ts";

export type ChainKind = "node" | "node, reuse: true" | "shell";

/** The runner that jobs are for; without one Maia executes them itself. */
export interface Where {
  readonly runner?: string;
}

/** A step that says when its own code started and ended, in milliseconds since the epoch with fractions. */
const TIMED = `export default async () => ({ start: performance.timeOrigin + performance.now(), end: performance.timeOrigin + performance.now() });`;

export function chain(kind: ChainKind, length: number): Workflow {
  const steps = Array.from({ length }, (_, i) => ({
    key: `s${i}`,
    runtime: kind === "shell" ? ("shell" as const) : ("node" as const),
    script: kind === "shell" ? ":\n" : TIMED,
    deps: i === 0 ? [] : [`s${i - 1}`],
  }));
  return { name: `chain-${kind.replace(/[^a-z]+/g, "-")}`, reuse: kind === "node, reuse: true", steps };
}

export function oneStep(reuse: boolean): Workflow {
  return {
    name: reuse ? "one-reused" : "one-fresh",
    reuse,
    steps: [{ key: "a", script: "export default () => ({});" }],
  };
}

export const talker: Workflow = {
  name: "talker",
  steps: [
    {
      key: "talk",
      runtime: "shell",
      script: `i=$(cat "$MAIA_INPUT_PATH" | sed 's/.*"lines":\\([0-9]*\\).*/\\1/')\nyes "a line of a log, about as long as lines of logs are: one hundred characters, more or less, of text" | head -n "$i"\n`,
    },
  ],
};

/** Submits a chain and waits for its end on the event stream. */
export async function runChain(
  client: Client,
  name: string,
  where: Where = {},
): Promise<{ totalMs: number; firstMs: number; gapsMs: number[] }> {
  const submitted = performance.timeOrigin + performance.now();
  const job = await client.submit(name, { ...where });
  const runId = await eventually("the job is claimed", async () => (await client.job(job.id)).runId);
  await client.events(runId);
  const totalMs = performance.timeOrigin + performance.now() - submitted;
  const times = await stepTimes(client, runId);
  const gapsMs = times.slice(1).map((time, i) => time.start - (times[i]?.end ?? time.start));
  return { totalMs, firstMs: (times[0]?.start ?? Number.NaN) - submitted, gapsMs };
}

async function stepTimes(client: Client, runId: string): Promise<{ start: number; end: number }[]> {
  const artifacts = await client.artifacts(runId);
  const outputs = artifacts.filter((artifact) => artifact.system && artifact.name === "output.json");
  const decoder = new TextDecoder();
  const times = await Promise.all(
    outputs.map(async ({ id, stepKey }) => ({ stepKey, ...JSON.parse(decoder.decode(await client.content(id))).data })),
  );
  return times.sort((a, b) => Number(a.stepKey.slice(1)) - Number(b.stepKey.slice(1)));
}

/** Jobs finished per second, from the first submission to the last end. */
export async function finishedPerSecond(
  client: Client,
  name: string,
  count: number,
  where: Where = {},
): Promise<number> {
  const started = performance.now();
  let next = 0;
  const submit = async () => {
    while (next++ < count) await client.submit(name, { ...where });
  };
  await Promise.all(Array.from({ length: 10 }, submit));
  const open = async (status: string) =>
    (await client.get<{ items: unknown[] }>(`/v1/jobs?status=${status}&limit=1`)).items.length;
  await eventually(
    "all jobs have ended",
    async () => (await open("QUEUED")) === 0 && (await open("RUNNING")) === 0,
    600_000,
  );
  return (count * 1_000) / (performance.now() - started);
}

/** Lines per second, from the submission until the API has given the last of them on its event stream. */
export async function logLines(client: Client, count: number): Promise<number> {
  const started = performance.now();
  const job = await client.submit("talker", { params: { lines: count } });
  const runId = await eventually("the job is claimed", async () => (await client.job(job.id)).runId);
  const events = await client.events(runId);
  const seconds = (performance.now() - started) / 1_000;
  const lines = events.reduce(
    (sum, event) => sum + (event.event === "log_line" ? (event.data.lines as unknown[]).length : 0),
    0,
  );
  if (lines < count) throw new Error(`${lines} of ${count} lines arrived`);
  return count / seconds;
}
