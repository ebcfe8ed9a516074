import type { Run } from "../../support/client.ts";
import { type Step, stepsOf } from "../../support/steps.ts";
import { nodeStep } from "../scripts.ts";
import type { Job, Load, Trial } from "../trial.ts";

/** What may be asked of a run that has ended, and the steps that the re-run then has and does not do again. */
const KINDS = {
  whole: { ask: () => ({}), steps: ["make", "copy", "end"], reused: [] },
  from: { ask: () => ({ from: "copy" }), steps: ["make", "copy", "end"], reused: ["make"] },
  attempt: { ask: (run: Run) => ({ attemptId: lastOf(run, "copy") }), steps: ["make", "copy"], reused: ["make"] },
} as const;

/** How many runs are done again side by side: each must end before it can be. */
const LANES = 4;

type Kind = keyof typeof KINDS;

interface Rerun {
  readonly id: string;
  readonly kind: Kind;
  readonly origin: Run;
}

/**
 * Runs that are done again: whole, from a step, or one attempt. Each acked request is one job, says where it comes from,
 * and has the very bytes of the results that it reuses.
 */
export class Reruns implements Load {
  readonly name = "re-runs";
  readonly env = {};
  readonly #origins: string[] = [];
  readonly #acked: Rerun[] = [];

  async prepare({ client, stepEnv: env }: Trial): Promise<void> {
    await client.apply({ ...dice, env });
  }

  async submit(trial: Trial): Promise<void> {
    await Promise.all(Array.from({ length: LANES }, (_, lane) => this.#keepAsking(trial, lane)));
  }

  async #keepAsking(trial: Trial, lane: number): Promise<void> {
    for (let n = 0; !trial.isOver; n++) {
      const { id } = await trial.make<Job>("origin", "/v1/jobs", { workflow: dice.name }, `origin-${lane}-${n}`);
      this.#origins.push(id);
      let origin = await trial.succeeded(id);
      for (const again of ["again", "and-again"]) {
        if (!origin || trial.isOver) break;
        origin = await this.#doAgain(trial, origin, `${again}-${lane}-${n}`);
      }
    }
  }

  /** @returns the re-run once it has ended, if it can be done again as a whole */
  async #doAgain(trial: Trial, origin: Run, key: string): Promise<Run | null> {
    const kind = trial.pick<Kind>("whole", "from", "attempt");
    const [path, request] = [`/v1/runs/${origin.id}/rerun`, KINDS[kind].ask(origin)];
    const { id } = await trial.make<Job>(`re-run ${kind}`, path, request, key);
    this.#acked.push({ id, kind, origin });
    const twin = await trial.make<Job>("replay", path, request, key);
    if (twin.id !== id) trial.violate(`G2 the re-run ${id}, asked for again with its key, is ${twin.id}`);
    return kind === "whole" ? await trial.succeeded(id) : null;
  }

  async check(trial: Trial): Promise<readonly string[]> {
    for (const rerun of this.#acked) {
      const run = await trial.succeeded(rerun.id);
      if (run) await checkRerun(trial, rerun, run);
    }
    return [...this.#origins, ...this.#acked.map(({ id }) => id)];
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

async function checkRerun(trial: Trial, { id, kind, origin }: Rerun, run: Run): Promise<void> {
  const fault = (what: string) => trial.violate(`re-run ${id} (${kind}) of ${origin.id} ${what}`);
  const job = await trial.read<Job>(`/v1/jobs/${id}`);
  if (job.trigger !== "rerun" || job.originRunId !== origin.id || job.rerun?.kind !== kind)
    fault(`says that it is a ${job.trigger} (${job.rerun?.kind}) of ${job.originRunId}`);
  const { steps, reused } = KINDS[kind];
  const [here, there] = [stepsOf(run), stepsOf(origin)];
  if ([...here.keys()].sort().join() !== [...steps].sort().join()) fault(`has the steps ${[...here.keys()]}`);
  for (const [key, step] of here) {
    const isReused = (reused as readonly string[]).includes(key);
    if (isReused !== (step.reusedFrom !== undefined)) fault(`${isReused ? "does not reuse" : "reuses"} ${key}`);
    if (isReused) checkReference(fault, step, there.get(key)!, origin);
  }
  if (reused.length > 0) await checkBytes(trial, fault, origin, run);
}

function checkReference(fault: (what: string) => void, step: Step, before: Step, origin: Run): void {
  const made = before.reusedFrom ?? { runId: origin.id, attemptId: before.attempts.at(-1)?.id };
  if (step.attempts.length > 0) fault(`did ${step.key} again`);
  if (step.reusedFrom?.runId !== made.runId || step.reusedFrom?.attemptId !== made.attemptId)
    fault(`has ${step.key} of ${step.reusedFrom?.runId} where it was made in ${made.runId}`);
}

/** What `make` gave and left is what it did in the origin, and what `copy` made of it anew is the same. */
async function checkBytes(trial: Trial, fault: (what: string) => void, origin: Run, run: Run): Promise<void> {
  for (const [stepKey, name] of [
    ["make", "output.json"],
    ["make", "dice.txt"],
    ["copy", "copy.txt"],
  ]) {
    const [before, after] = [await fileOf(trial, origin, stepKey!, name!), await fileOf(trial, run, stepKey!, name!)];
    if (before === null || after !== before) fault(`has ${after} as ${name} where its origin has ${before}`);
  }
}

/** The text of a file that the last attempt of a step has left. */
async function fileOf({ client }: Trial, run: Run, stepKey: string, name: string): Promise<string | null> {
  const found = (await client.artifacts(run.id)).filter((file) => file.stepKey === stepKey && file.name === name);
  const last = found.sort((a, b) => a.attemptNo - b.attemptNo).at(-1);
  return last ? Buffer.from(await client.content(last.id)).toString() : null;
}

function lastOf(run: Run, key: string): string {
  return stepsOf(run).get(key)!.attempts.at(-1)!.id;
}

/** What `make` gives is never the same twice. */
const dice = {
  name: "dice",
  steps: [
    {
      key: "make",
      script: nodeStep(
        `const text = randomBytes(20_000).toString("hex"); await ctx.artifacts.write("dice.txt", text); return { size: text.length };`,
        `import { randomBytes } from "node:crypto";`,
      ),
    },
    {
      key: "copy",
      deps: ["make"],
      artifacts: [{ from: "make", name: "dice.txt" }],
      script: nodeStep(
        `await ctx.artifacts.write("copy.txt", readFileSync(ctx.artifacts.path("make", "dice.txt"))); return {};`,
        `import { readFileSync } from "node:fs";`,
      ),
    },
    { key: "end", deps: ["copy"], script: nodeStep("return {};") },
  ],
};
