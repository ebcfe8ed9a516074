import { once } from "node:events";
import { createServer } from "node:http";

/** A step's own word that it starts: which attempt it is, and the folder in which it runs. */
export interface Start {
  readonly runId: string;
  readonly stepKey: string;
  readonly no: number;
  readonly folder: string;
  /** When it said so, in milliseconds since the epoch. */
  readonly at: number;
}

/** What steps say over loopback when they start. It knows nothing of what Maia believes. */
export class Ledger implements AsyncDisposable {
  readonly starts: Start[] = [];
  readonly #server = createServer((request, response) => {
    const [runId = "", stepKey = "", no = "", folder = ""] = decodeURIComponent((request.url ?? "/").slice(1)).split(
      ",",
    );
    this.starts.push({ runId, stepKey, no: Number(no), folder, at: Date.now() });
    response.end();
  });

  static async open(): Promise<Ledger> {
    const ledger = new Ledger();
    await once(ledger.#server.listen(0, "127.0.0.1"), "listening");
    return ledger;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as { port: number }).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }
}

/** The name of an attempt in messages, and by which starts and attempts are brought together. */
export function nameOf({ runId, stepKey, no }: Pick<Start, "runId" | "stepKey" | "no">): string {
  return `${runId}/${stepKey}#${no}`;
}
