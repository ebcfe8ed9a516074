import { auditHead, type Db } from "@maia/db";
import type { Logger } from "@maia/service";

/**
 * Says in the process's log, from time to time, where the audit log ends: a chain alone cannot show that its tail was cut
 * off, one that is held against an older head can (`maia audit verify --head`).
 */
export class AuditHeadLog implements AsyncDisposable {
  readonly #timer: NodeJS.Timeout;
  #last = 0;

  constructor(
    private readonly db: Db,
    private readonly logger: Logger,
    everyMs: number,
  ) {
    this.#timer = setInterval(() => void this.tell(), everyMs).unref();
  }

  /** Tells the head, unless it was told before. */
  async tell(): Promise<void> {
    try {
      const { seq, hash } = await auditHead(this.db.sql);
      if (seq > this.#last) this.logger.info("the audit log ends here", { head: `${seq}:${hash}` });
      this.#last = seq;
    } catch (error) {
      this.logger.warn("the end of the audit log could not be read", { error });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.tell();
  }
}
