import { Trial } from "../crash/trial.ts";
import type { Deployment } from "../support/deployments.ts";
import { eventually } from "../support/processes.ts";
import type { RunnerView } from "./fleet.ts";
import type { Ledger } from "./ledger.ts";

/** How long something is asked for again until it is answered. In milliseconds. */
const ANSWER_MS = 120_000;

/** A time in which a runner must not begin something, on our own clock: from an acknowledged order to its end being asked for. */
export interface Span {
  readonly runnerId: string;
  /** Since when nobody had harmed the runner. */
  readonly calmFrom: number;
  readonly from: number;
  readonly to: number;
}

/** A fleet that is tormented, and what is found out about it. */
export class Chaos extends Trial {
  readonly pauses: Span[] = [];
  /** When the restricted runner was closed to the environment `fenced`. */
  readonly fences: Span[] = [];
  /** Statuses that the API has told. */
  readonly statuses = new Set<string>();
  /** How often what was done to whom. */
  readonly deeds: Record<string, number> = {};
  readonly ledger: Ledger;
  readonly runnerEnv: Readonly<Record<string, string>>;

  constructor(maia: Deployment, random: () => number, ledger: Ledger, runnerEnv: Readonly<Record<string, string>>) {
    super(maia, random, { LEDGER: ledger.url });
    this.ledger = ledger;
    this.runnerEnv = runnerEnv;
  }

  /** Asks for a change until it is answered; a conflict is an answer too. */
  async ask<T>(method: string, route: string, body: object, headers: Record<string, string> = {}): Promise<T> {
    const { status, body: answer } = await eventually(
      `${method} ${route} is answered`,
      async () => {
        const answer = await this.client.call<T & { code?: string }>(method, route, body, headers);
        if (answer.status >= 500 || answer.body.code === "IDEMPOTENCY_IN_PROGRESS") throw new Error(`${answer.status}`);
        return answer;
      },
      ANSWER_MS,
    );
    if (status >= 400 && status !== 409) throw new Error(`${method} ${route}: ${status} ${JSON.stringify(answer)}`);
    return answer;
  }

  async view(runnerId: string): Promise<RunnerView> {
    const view = await this.read<RunnerView>(`/v1/runners/${runnerId}`);
    this.statuses.add(view.status);
    if (view.status === "PAUSED" && view.inFlight > 0)
      this.violate(`G21 runner ${runnerId} is PAUSED with ${view.inFlight} tasks in flight`);
    return view;
  }

  note(deed: string): void {
    this.deeds[deed] = (this.deeds[deed] ?? 0) + 1;
  }

  /** The same in another order. */
  shuffled<T>(items: readonly T[]): T[] {
    return items
      .map((item) => ({ item, rank: this.random() }))
      .sort((a, b) => a.rank - b.rank)
      .map(({ item }) => item);
  }
}
