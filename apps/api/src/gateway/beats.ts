import { beatGateway, type Db, endGateway, hasInstances } from "@maia/db";
import { type Clock, newId } from "@maia/domain";
import type { Logger } from "@maia/service";

/** Shows that this process takes polls, while there are instances that could send some. */
export class Beats implements AsyncDisposable {
  readonly #id: string;
  readonly #timer: NodeJS.Timeout;
  #beating: Promise<void> = Promise.resolve();
  #hasBeaten = false;

  constructor(
    private readonly db: Db,
    private readonly clock: Clock,
    private readonly logger: Logger,
    everyMs: number,
  ) {
    this.#id = newId("gateway", clock());
    this.#timer = setInterval(() => void this.beat(), everyMs).unref();
  }

  /** Beats once, unless there is nobody whose silence could mean anything. */
  beat(): Promise<void> {
    this.#beating = this.#beating.then(() => this.#beat());
    return this.#beating;
  }

  async #beat(): Promise<void> {
    try {
      if (!(await hasInstances(this.db.sql))) return;
      await this.db.write((tx) => beatGateway(tx, this.#id, this.clock()));
      this.#hasBeaten = true;
    } catch (error) {
      this.logger.warn("the gateway could not show that it is there", { error });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.#beating;
    if (!this.#hasBeaten) return;
    await this.db
      .write((tx) => endGateway(tx, this.#id))
      .catch((error: unknown) => this.logger.warn("the gateway's row stays behind", { error }));
  }
}
