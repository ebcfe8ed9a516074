import type { Workflow } from "../../support/client.ts";
import { nodeStep } from "../scripts.ts";
import type { Job, Load, Trial } from "../trial.ts";
import { Source } from "./source.ts";

/** Jobs with a file behind a URL whose server breaks off: what a step reads is the whole file (G18). */
export class Downloads implements Load {
  readonly name = "downloads";
  readonly #source: Source;
  /** Acked jobs, with the hash that the file must have that they fetch. */
  readonly #acked = new Map<string, string>();

  private constructor(source: Source) {
    this.#source = source;
  }

  static async open(random: () => number): Promise<Downloads> {
    return new Downloads(await Source.open(random));
  }

  get env(): Record<string, string> {
    return { MAIA_URL_ALLOW: this.#source.host, MAIA_URL_RETRIES: "10" };
  }

  async prepare({ client, stepEnv: env }: Trial): Promise<void> {
    await client.apply({ ...fetches, env });
  }

  async submit(trial: Trial): Promise<void> {
    for (let n = 0; !trial.isOver; n++) {
      const key = `download-${n}`;
      const { url, sha256 } = this.#source.file(key);
      const request = { workflow: fetches.name, urlFiles: [{ url }] };
      const { id } = await trial.make<Job>("download", "/v1/jobs", request, key);
      this.#acked.set(id, sha256);
      await trial.rest(800, 4_000);
    }
  }

  async check(trial: Trial): Promise<readonly string[]> {
    for (const [id, sha256] of this.#acked) {
      const run = await trial.succeeded(id);
      if (run && run.outputs?.sha256 !== sha256)
        trial.violate(`G18 job ${id} read ${run.outputs?.sha256} where ${sha256} was to be had`);
    }
    return [...this.#acked.keys()];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#source[Symbol.asyncDispose]();
  }
}

const fetches: Workflow = {
  name: "fetches",
  steps: [
    {
      key: "read",
      script: nodeStep(
        `return { sha256: createHash("sha256").update(readFileSync(ctx.files[0].path)).digest("hex") };`,
        `import { createHash } from "node:crypto"; import { readFileSync } from "node:fs";`,
      ),
    },
  ],
  outputsSpec: { version: 1, outputs: { sha256: { stepKey: "read", field: "sha256" } } },
};
