import { setTimeout as delay } from "node:timers/promises";
import type { ApiClient } from "../api-client.js";
import type { JobRun, Run } from "../api-types.js";
import type { Context } from "../context.js";
import { CliError } from "../errors.js";
import { exitCodes } from "../exit-codes.js";
import { duration } from "../output/format.js";
import { isEnded } from "../output/status.js";
import { applyEvent, openView, type RunView } from "./run-view.js";
import { LineShow, LiveShow, type Show, silentShow } from "./show.js";
import { tailRun } from "./tail.js";

export interface FollowFlags {
  readonly follow?: boolean;
  readonly json?: boolean;
  /** Milliseconds after which nobody waits any longer. */
  readonly timeoutMs?: number;
}

/** How a followed job ended. It has no run when it ended in the queue. */
export type Outcome = { readonly job: JobRun; readonly run: Run | null };

const POLL_MAX_MS = 500;
/** How long nothing may go on until the follower asks why. */
const EXPLAIN_MS = 3_000;

/** Shows a job until it ends. Ctrl-C and the timeout leave it running. @throws {CliError} for both, saying so. */
export async function followJob(context: Context, api: ApiClient, jobId: string, flags: FollowFlags): Promise<Outcome> {
  const interrupt = new AbortController();
  const onInterrupt = () => interrupt.abort();
  process.once("SIGINT", onInterrupt);
  const late = flags.timeoutMs === undefined ? null : AbortSignal.timeout(flags.timeoutMs);
  const signal = late ? AbortSignal.any([interrupt.signal, late]) : interrupt.signal;
  try {
    const outcome = await watch(context, api, jobId, flags, signal);
    if (outcome) return outcome;
    throw interrupt.signal.aborted ? detached(jobId) : waitedTooLong(jobId, flags.timeoutMs ?? 0);
  } finally {
    process.off("SIGINT", onInterrupt);
  }
}

/** The way to the end; null when the signal came first. */
async function watch(
  context: Context,
  api: ApiClient,
  jobId: string,
  flags: FollowFlags,
  signal: AbortSignal,
): Promise<Outcome | null> {
  const show = openShow(context, flags);
  try {
    const claimed = await waitUntil(api, jobId, show, signal, ({ runId, status }) => runId !== null || isEnded(status));
    if (!claimed) return null;
    if (claimed.runId !== null && !(await showRun(api, { jobId, runId: claimed.runId }, show, signal))) return null;
    const job = await waitUntil(api, jobId, show, signal, ({ status }) => isEnded(status));
    return job && { job, run: job.runId === null ? null : await api.get<Run>(`v1/runs/${job.runId}`) };
  } finally {
    show.close();
  }
}

function openShow({ terminal }: Context, { follow, json }: FollowFlags): Show {
  if (!follow) return silentShow;
  if (json) return new LineShow((line) => terminal.note(line));
  return terminal.isTty ? new LiveShow(terminal) : new LineShow((line) => terminal.print(line));
}

/** Follows the run's events to its end. False: the signal came first. */
async function showRun(
  api: ApiClient,
  { jobId, runId }: { readonly jobId: string; readonly runId: string },
  show: Show,
  signal: AbortSignal,
): Promise<boolean> {
  let view = openView(await api.get<Run>(`v1/runs/${runId}`));
  show.update(view, []);
  const over = new AbortController();
  const explained = explainWaits(api, jobId, () => view, show, AbortSignal.any([signal, over.signal]));
  for await (const events of tailRun(api, runId, { signal, told: (text) => show.note(text) })) {
    view = events.reduce(applyEvent, view);
    show.update(view, events);
  }
  over.abort();
  await explained;
  return !signal.aborted;
}

/** Says what a run waits for of which no step runs, once it has waited a while, and again when that changes. */
async function explainWaits(api: ApiClient, jobId: string, view: () => RunView, show: Show, signal: AbortSignal) {
  for (let last = ""; ; ) {
    await delay(EXPLAIN_MS, undefined, { signal }).catch(() => {});
    if (signal.aborted) return;
    if ([...view().steps.values()].some(({ status }) => status === "RUNNING")) continue;
    const why = await whyItWaits(api, jobId).catch(() => last); // who cannot be asked now is asked again
    if (why !== last && !signal.aborted) show.note(why);
    last = why;
  }
}

/** Asks for the job, soon and then less often, until it is as wanted. Null: the signal came first. */
async function waitUntil(
  api: ApiClient,
  jobId: string,
  show: Show,
  signal: AbortSignal,
  wanted: (job: JobRun) => boolean,
): Promise<JobRun | null> {
  for (let pause = 10, isExplained = false; !signal.aborted; pause = Math.min(pause * 2, POLL_MAX_MS)) {
    const job = await api.get<JobRun>(`v1/jobs/${jobId}`);
    if (wanted(job)) return job;
    if (pause === POLL_MAX_MS && job.status === "QUEUED" && !isExplained) {
      isExplained = true;
      show.note(await whyItWaits(api, jobId));
    }
    await delay(pause, undefined, { signal }).catch(() => {});
  }
  return null;
}

/** What the job waits for, in the words of the API. */
async function whyItWaits(api: ApiClient, jobId: string): Promise<string> {
  const { items } = await api.get<{ items: readonly { message: string; action?: string }[] }>(`v1/jobs/${jobId}/why`);
  const [first] = items;
  return first ? `Waiting: ${first.message}${first.action ? `. ${first.action}` : ""}` : "Waiting to be claimed";
}

function detached(jobId: string): CliError {
  const hint = `It goes on. Follow it again: maia runs watch ${jobId}\nCancel it: maia runs cancel ${jobId}`;
  return new CliError(exitCodes.interrupted, "No longer following", { hint });
}

function waitedTooLong(jobId: string, timeoutMs: number): CliError {
  const hint = `It goes on. Follow it again: maia runs watch ${jobId}`;
  return new CliError(exitCodes.waitTimedOut, `Not ended within ${duration(timeoutMs)}`, { hint });
}
