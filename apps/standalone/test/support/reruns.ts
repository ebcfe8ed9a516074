import { expect } from "@jest/globals";
import type { Client, Run } from "./client.ts";
import { type Step, stepsOf } from "./steps.ts";

/** split ──▶ count ──▶ report; aside waits for nobody. `count` fails as the environment says. */
export const workflow = {
  name: "words",
  steps: [
    {
      key: "split",
      script: `import { readFile } from "node:fs/promises";
        export default async ({ files, params, artifacts }) => {
          const words = (await readFile(files[0].path, "utf8")).split(" ");
          await artifacts.write("words.txt", words.join("\\n"));
          return { words: words.length, who: params.who };
        }`,
    },
    { key: "aside", script: "export default () => ({ random: Math.random() })" },
    {
      key: "count",
      deps: ["split"],
      artifacts: [{ from: "split", name: "words.txt" }],
      retry: { maxAttempts: 2, backoffMs: 1, jitter: 0 },
      script: `import { readFile } from "node:fs/promises";
        export default async ({ artifacts, upstream, env }) => {
          if (env.FAIL) throw new Error("told to fail");
          const text = await readFile(artifacts.path("split", "words.txt"), "utf8");
          await artifacts.write("count.txt", String(text.split("\\n").length));
          return { count: text.split("\\n").length, before: upstream.split.words };
        }`,
    },
    {
      key: "report",
      deps: ["count", "aside"],
      artifacts: [{ from: "split", name: "words.txt" }],
      script: `import { readFile } from "node:fs/promises";
        export default async ({ artifacts, upstream }) => {
          const text = await readFile(artifacts.path("split", "words.txt"), "utf8");
          return { text: text.split("\\n").join(" "), count: upstream.count.count, random: upstream.aside.random };
        }`,
    },
  ],
  outputsSpec: {
    version: 1,
    outputs: { count: { stepKey: "count", field: "count" }, random: { stepKey: "report", field: "random" } },
  },
};

export type Job = { id: string; trigger: string; originRunId: string; params: object; rerun: object; version: number };

/** What tests of re-runs ask of a Maia. */
export class Reruns {
  readonly #client: Client;

  constructor(client: Client) {
    this.#client = client;
  }

  /** Whether `FAIL` is set for steps that begin from now on. */
  async failing(fails: boolean): Promise<void> {
    const change = { variables: fails ? { FAIL: "1" } : {} };
    const answer = await this.#client.call("PATCH", "/v1/projects/default/environments/default", change);
    expect(answer.status).toBe(200);
  }

  /** Does a run again, and waits for its end. */
  async rerun(runId: string, body: object = {}): Promise<{ job: Job; run: Run; steps: Map<string, Step> }> {
    const answer = await this.#client.call<Job>("POST", `/v1/runs/${runId}/rerun`, body);
    expect({ status: answer.status, body: answer.body }).toMatchObject({ status: 201 });
    const run = await this.#client.finished(answer.body.id);
    return { job: answer.body, run, steps: stepsOf(run) };
  }

  /** How a re-run is refused: status, code, and what it points at. */
  async refusal(runId: string, body: object): Promise<[number, string, string?]> {
    type Problem = { code: string; errors?: { pointer: string }[] };
    const { status, body: problem } = await this.#client.call<Problem>("POST", `/v1/runs/${runId}/rerun`, body);
    const pointer = problem.errors?.[0]?.pointer;
    return pointer === undefined ? [status, problem.code] : [status, problem.code, pointer];
  }

  /** The text of `input.json` or `output.json` of an attempt. */
  async systemArtifact(runId: string, stepKey: string, name: string, attemptNo = 1): Promise<string> {
    const artifacts = await this.#client.artifacts(runId);
    const found = artifacts.filter((a) => a.system && a.stepKey === stepKey && a.name === name);
    const artifact = found.find((a) => a.attemptNo === attemptNo);
    return Buffer.from(await this.#client.content(artifact!.id)).toString();
  }
}
