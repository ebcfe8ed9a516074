import { type ExitFrame, encodeFrame } from "@maia/runner-protocol";
import { Spool } from "./spool.js";
import { type AttemptsDeps, spoolPath, trusted } from "./start-attempt.js";

/** Attempts that are refused before they came: their end is written, so that they never start. */
export class Refusals {
  readonly #underWay = new Map<string, Promise<void>>();

  constructor(private readonly deps: AttemptsDeps) {}

  /** The refusal of an attempt that is being written now. */
  underWay(attemptId: string): Promise<void> | undefined {
    return this.#underWay.get(attemptId);
  }

  write(attemptId: string, exit: ExitFrame): Promise<void> {
    const refusal = this.#write(attemptId, exit).finally(() => this.#underWay.delete(attemptId));
    this.#underWay.set(attemptId, refusal);
    return refusal;
  }

  async #write(attemptId: string, exit: ExitFrame): Promise<void> {
    const { ledger, clock } = this.deps;
    const spool = await Spool.create(spoolPath(this.deps, attemptId));
    await spool.append(encodeFrame(exit), 1);
    await spool.close();
    await trusted(this.deps, ledger.refuse(attemptId, clock()));
  }
}
