import { createHash } from "node:crypto";
import type { Chaos } from "../chaos.ts";
import type { FleetRunner } from "../fleet.ts";
import { publishAll } from "./workflows.ts";

/** What was asked for, and what may become of it. */
export interface Asked {
  readonly id: string;
  readonly kind: string;
  readonly runner: FleetRunner;
  isCanceled: boolean;
}

/** The kinds of jobs, in turn: most are plain, and each fault of a fleet meets one that cares. */
const KINDS = ["parts", "slow", "flaky", "trade", "parts", "badTrade", "slow", "fenced", "canceled"] as const;

const FILE = "one two three\n".repeat(500);
export const FILE_SHA256 = createHash("sha256").update(FILE).digest("hex");

/** Submits jobs of all kinds to all runners until the chaos is over. */
export class Jobs {
  readonly asked: Asked[] = [];
  /** Jobs that were refused since the runner was closed to their environment. */
  refused = 0;

  readonly #chaos: Chaos;
  readonly #runners: readonly FleetRunner[];

  constructor(chaos: Chaos, runners: readonly FleetRunner[]) {
    this.#chaos = chaos;
    this.#runners = runners;
  }

  async prepare(): Promise<void> {
    await publishAll(this.#chaos);
    await this.#chaos.client.upload(FILE);
  }

  /** One about every `everyMs`; after an answer that took long, some follow at once. */
  async submit(everyMs: number): Promise<void> {
    const chaos = this.#chaos;
    const cancels: Promise<void>[] = [];
    const from = performance.now();
    for (let n = 0; !chaos.isOver; n++) {
      const kind = KINDS[n % KINDS.length]!;
      const asked = await this.#ask(kind, n);
      if (asked && kind === "canceled") cancels.push(this.#cancelSoon(asked));
      const restMs = Math.max(0, from + (n + 1) * everyMs - performance.now());
      await chaos.rest(restMs / 2, restMs * 1.5);
    }
    await Promise.all(cancels);
  }

  async #ask(kind: string, n: number): Promise<Asked | null> {
    const chaos = this.#chaos;
    const runner = kind === "fenced" ? this.#runners.at(-1)! : chaos.pick(...this.#runners);
    const request = { ...requestOf(kind), runner: runner.name };
    const made = await chaos.ask<{ id?: string; code?: string }>("POST", "/v1/jobs", request, {
      "idempotency-key": `job-${n}`,
    });
    if (made.id === undefined) {
      if (kind !== "fenced" || made.code !== "RUNNER_NOT_ALLOWED")
        chaos.violate(`a ${kind} job was refused: ${made.code}`);
      this.refused += 1;
      return null;
    }
    const asked = { id: made.id, kind, runner, isCanceled: false };
    this.asked.push(asked);
    return asked;
  }

  async #cancelSoon(asked: Asked): Promise<void> {
    await this.#chaos.rest(0, 3_000);
    await this.#chaos.ask("POST", `/v1/jobs/${asked.id}/cancel`, {});
    asked.isCanceled = true;
  }
}

function requestOf(kind: string): Record<string, unknown> {
  switch (kind) {
    case "parts":
      return { workflow: "parts", files: [{ name: "words.txt", sha256: FILE_SHA256 }] };
    case "fenced":
      return { workflow: "slow", environment: "fenced" };
    case "canceled":
      return { workflow: "slow" };
    case "badTrade":
      return { workflow: "trade", params: { fails: true } };
    default:
      return { workflow: kind };
  }
}
