import type { Run } from "../api-types.js";
import { type Context, connect } from "../context.js";
import { CliError, usage } from "../errors.js";
import { type ExitCode, exitCodes } from "../exit-codes.js";
import { makeJob, type ParamFlags, paramsOf, type StayFlags } from "./run.js";
import { findRun } from "./runs.js";

export interface RerunFlags extends StayFlags, ParamFlags {
  readonly from?: string;
  readonly attempt?: string;
  readonly idempotencyKey?: string;
}

/** `maia runs rerun ID`: the whole run again, from a step on, or one attempt. Takes the id of a job too. */
export async function rerun(context: Context, id: string, flags: RerunFlags): Promise<ExitCode> {
  const hasParams = flags.params !== undefined || flags.param !== undefined;
  if (flags.from !== undefined && flags.attempt !== undefined) throw usage("--from and --attempt exclude each other");
  if (hasParams && (flags.from ?? flags.attempt) !== undefined) {
    throw usage("Params can differ only where the whole run is done again, without --from and --attempt");
  }
  const wanted = flags.attempt === undefined ? null : readAttempt(flags.attempt);
  const api = await connect(context, flags);
  const found = await findRun(api, id);
  if (!found.run) throw new CliError(exitCodes.conflict, `${id} has no run yet; there is nothing to do again`);
  const { run } = found;
  const request = {
    ...(flags.from === undefined ? {} : { from: flags.from }),
    ...(wanted === null ? {} : { attemptId: attemptOf(run, wanted) }),
    ...(hasParams ? { params: await paramsOf(api, run.workflowId, { ...flags, version: String(run.version) }) } : {}),
  };
  return makeJob(context, api, `v1/runs/${encodeURIComponent(run.id)}/rerun`, request, flags);
}

interface Wanted {
  readonly step: string;
  /** The last one unless it is named. */
  readonly no: number | null;
}

/** `STEP:NO`, or `STEP` for its last attempt. */
function readAttempt(text: string): Wanted {
  const [, step, no] = /^([^:]+)(?::([1-9]\d{0,5}))?$/.exec(text) ?? [];
  if (step === undefined) throw usage(`--attempt ${text}: it must be STEP:NUMBER, or STEP for its last attempt`);
  return { step, no: no === undefined ? null : Number(no) };
}

function attemptOf(run: Run, { step: key, no }: Wanted): string {
  const step = run.steps.find((candidate) => candidate.key === key);
  if (!step) {
    throw new CliError(exitCodes.notFound, `${run.id} has no step ${key}`, {
      hint: `It has ${run.steps.map((one) => one.key).join(", ")}`,
    });
  }
  const attempt = no === null ? step.attempts.at(-1) : step.attempts.find((candidate) => candidate.no === no);
  if (attempt) return attempt.id;
  const reused = step.reusedFrom ? `Its result was made in ${step.reusedFrom.runId}; do the attempt again there` : null;
  const which = no === null ? "any attempt" : `attempt ${no}`;
  throw new CliError(exitCodes.notFound, `Step ${key} of ${run.id} does not have ${which}`, { hint: reused });
}
