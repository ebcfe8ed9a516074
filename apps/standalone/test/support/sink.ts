import { once } from "node:events";
import { createServer } from "node:http";

/** A ledger that steps write to over loopback: each start of a step posts one line. */
export class Sink implements AsyncDisposable {
  readonly entries: string[] = [];
  /** What steps are answered: a step may wait until it changes. */
  answer = "ok";
  readonly #server = createServer((request, response) => {
    this.entries.push(decodeURIComponent((request.url ?? "/").slice(1)));
    response.end(this.answer);
  });

  static async open(): Promise<Sink> {
    const sink = new Sink();
    sink.#server.listen(0, "127.0.0.1");
    await once(sink.#server, "listening");
    return sink;
  }

  get url(): string {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("the sink does not listen");
    return `http://127.0.0.1:${address.port}`;
  }

  /** Entries that came more than once. */
  doubles(): string[] {
    const seen = new Set<string>();
    return this.entries.filter((entry) => seen.size === seen.add(entry).size);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }
}
