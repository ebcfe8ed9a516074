import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** Keeps whoever asks it waiting until it is opened. */
export class Gate implements AsyncDisposable {
  readonly #waiting: ServerResponse[] = [];
  readonly #server = createServer((_, response) => this.#waiting.push(response));

  static async closed(): Promise<Gate> {
    const gate = new Gate();
    await once(gate.#server.listen(0, "127.0.0.1"), "listening");
    return gate;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** True once somebody waits. */
  get isReached(): boolean {
    return this.#waiting.length > 0;
  }

  open(): void {
    for (const response of this.#waiting) response.end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }
}
