import type { Workflow } from "../../support/client.ts";
import { nodeStep, pythonStep } from "../scripts.ts";
import type { Job, Load, Trial } from "../trial.ts";

/** Lines that `chatty` prints. */
const LINES = 300;

/** Jobs that are submitted one by one: a chain, a diamond over two runtimes with a file handed on, and much to say. */
export class Jobs implements Load {
  readonly name = "jobs";
  readonly env = {};
  readonly #acked: string[] = [];

  async prepare({ client, stepEnv: env }: Trial): Promise<void> {
    for (const workflow of [chain, diamond, chatty]) await client.apply({ ...workflow, env });
  }

  async submit(trial: Trial): Promise<void> {
    for (let n = 0; !trial.isOver; n++) {
      const { name: workflow } = trial.pick(chain, diamond, chatty);
      const { id } = await trial.make<Job>("job", "/v1/jobs", { workflow }, `job-${n}`);
      this.#acked.push(id);
      await trial.rest(400, 2_000);
    }
  }

  async check(trial: Trial): Promise<readonly string[]> {
    for (const id of this.#acked) {
      const run = await trial.succeeded(id);
      const no = run?.steps.find(({ key }) => key === "talk")?.attempts.at(-1)?.no;
      if (!run || no === undefined) continue;
      const said = (await trial.client.logs(run.id)).filter(
        (line) => line.stream === "stdout" && line.attemptNo === no,
      );
      if (said.map(({ line }) => line).join() !== Array.from({ length: LINES }, (_, i) => `line ${i + 1}`).join())
        trial.violate(`G14 run ${run.id} kept ${said.length} of ${LINES} lines`);
    }
    return this.#acked;
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

export const chain: Workflow = {
  name: "chain",
  steps: [
    { key: "a", script: nodeStep("return { n: 1 };") },
    { key: "b", deps: ["a"], script: nodeStep("return { n: ctx.upstream.a.n + 1 };") },
    { key: "c", deps: ["b"], script: nodeStep("return { n: ctx.upstream.b.n + 1 };") },
  ],
};

const diamond: Workflow = {
  name: "diamond",
  steps: [
    {
      key: "top",
      script: nodeStep(`await ctx.artifacts.write("numbers.txt", "1\\n2\\n3\\n"); return { ok: true };`),
    },
    {
      key: "left",
      runtime: "python",
      deps: ["top"],
      artifacts: [{ from: "top", name: "numbers.txt" }],
      script: pythonStep([
        "with open(ctx['artifacts'].path('top', 'numbers.txt')) as f:",
        "    return {'sum': sum(int(line) for line in f)}",
      ]),
    },
    {
      key: "right",
      deps: ["top"],
      script: nodeStep(`await new Promise((r) => setTimeout(r, 150)); return { sum: 6 };`),
    },
    {
      key: "bottom",
      deps: ["left", "right"],
      script: nodeStep("return { total: ctx.upstream.left.sum + ctx.upstream.right.sum };"),
    },
  ],
};

const chatty: Workflow = {
  name: "chatty",
  steps: [
    {
      key: "talk",
      script: nodeStep(
        `for (let i = 1; i <= ${LINES}; i++) { console.log("line " + i); if (i % 50 === 0) await new Promise((r) => setTimeout(r, 20)); } return {};`,
      ),
    },
  ],
};
