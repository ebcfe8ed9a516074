import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

/** A TCP connection's way to a port of loopback, which can be cut. */
export class Pipe implements AsyncDisposable {
  /** Bytes that have gone to the port, over all connections. */
  passed = 0;
  #cutAt: number[] = [];
  readonly #sockets = new Set<Socket>();
  readonly #server = createServer((near) => this.#join(near));
  readonly #port: number;

  private constructor(port: number) {
    this.#port = port;
  }

  static async to(port: number): Promise<Pipe> {
    const pipe = new Pipe(port);
    await once(pipe.#server.listen(0, "127.0.0.1"), "listening");
    return pipe;
  }

  get url(): string {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("the pipe does not listen");
    return `http://127.0.0.1:${address.port}`;
  }

  /** Cuts every connection each time that so many bytes have passed. */
  cutAt(...counts: number[]): void {
    this.#cutAt = counts;
  }

  #join(near: Socket): void {
    const far = connect(this.#port, "127.0.0.1");
    for (const socket of [near, far]) {
      this.#sockets.add(socket);
      socket.on("error", () => {}).on("close", () => this.#sockets.delete(socket));
    }
    near.on("data", (chunk) => {
      this.passed += chunk.length;
      if (this.passed >= (this.#cutAt[0] ?? Number.POSITIVE_INFINITY)) {
        this.#cutAt.shift();
        near.destroy();
        far.end(chunk);
      }
    });
    near.pipe(far).pipe(near);
    near.on("close", () => far.destroySoon());
    far.on("close", () => near.destroySoon());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }
}
