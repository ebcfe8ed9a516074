import type { AddressInfo } from "node:net";
import { createConnection, createServer, type Server, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";

/** How a proxy treats a connection. What it does not name goes through untouched. */
export interface Treatment {
  /** Breaks the connection with a reset once so many bytes have come from the server. */
  readonly cutAfterBytes?: number;
  /** Holds every chunk up, in both directions. In milliseconds. */
  readonly delayMs?: number;
  /** Passes so many bytes at a time, in both directions … */
  readonly trickleBytes?: number;
  /** … every so many milliseconds. */
  readonly trickleMs?: number;
  /** Swallows what the server sends after so many bytes, and keeps the connection open: half of it is dead. */
  readonly deafAfterBytes?: number;
  /** Swallows all that the server sends once the caller has asked for something with this text. */
  readonly deafAfterRequest?: string;
  /** Sends the caller's bytes to the server twice, the second time on a connection of their own (a replayed request). */
  readonly duplicate?: boolean;
}

/** A network between a caller and a server that does what the test wants (T6). */
export class TestProxy implements AsyncDisposable {
  /** Asked for each new connection. */
  treat: (no: number) => Treatment = () => ({});
  connections = 0;
  #target: URL;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(url: URL) {
    this.#target = url;
    this.#server = createServer({ allowHalfOpen: false }, (caller) => this.#connect(caller));
  }

  static async open(url: string): Promise<TestProxy> {
    const proxy = new TestProxy(new URL(url));
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Leads new connections elsewhere, as after a restart on another port. */
  lead(url: string): void {
    this.#target = new URL(url);
  }

  /** Breaks all connections with a reset. */
  cutAll(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cutAll();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #connect(caller: Socket): void {
    const treatment = this.treat(this.connections++);
    const server = this.#dial();
    const twin = treatment.duplicate ? this.#dial() : null;
    twin?.resume(); // nobody listens to the answer of a replay
    this.#watch(caller);
    const cut = () => {
      caller.resetAndDestroy();
      server.resetAndDestroy();
    };
    caller.on("close", () => server.destroy());
    server.on("close", () => {
      if (treatment.deafAfterBytes === undefined) caller.destroy();
    });
    let isDeaf = false;
    void pump(caller, treatment, async (bytes) => {
      isDeaf ||= treatment.deafAfterRequest !== undefined && bytes.includes(treatment.deafAfterRequest);
      twin?.write(bytes);
      await write(server, bytes);
    });
    let passed = 0;
    void pump(server, treatment, async (bytes) => {
      const { cutAfterBytes = Number.POSITIVE_INFINITY, deafAfterBytes = Number.POSITIVE_INFINITY } = treatment;
      const room = Math.min(cutAfterBytes, deafAfterBytes) - passed;
      passed += bytes.length;
      if (room > 0 && !isDeaf) await write(caller, bytes.subarray(0, room));
      if (passed >= cutAfterBytes) cut();
    });
  }

  #dial(): Socket {
    return this.#watch(createConnection(Number(this.#target.port), this.#target.hostname));
  }

  #watch(socket: Socket): Socket {
    this.#sockets.add(socket);
    socket.on("error", () => {}); // it shows as a close
    socket.on("close", () => this.#sockets.delete(socket));
    return socket;
  }
}

async function pump(
  from: Socket,
  { delayMs, trickleBytes, trickleMs = 0 }: Treatment,
  pass: (bytes: Buffer) => Promise<void>,
): Promise<void> {
  try {
    for await (const chunk of from as AsyncIterable<Buffer>) {
      if (delayMs) await delay(delayMs);
      const step = trickleBytes ?? chunk.length;
      for (let at = 0; at < chunk.length; at += step) {
        if (trickleBytes) await delay(trickleMs);
        await pass(chunk.subarray(at, at + step));
      }
    }
  } catch {
    // the connection broke, which is what a proxy is here for
  }
}

function write(to: Socket, bytes: Buffer): Promise<void> {
  return new Promise((resolve) => {
    if (to.destroyed) resolve();
    else to.write(bytes, () => resolve());
  });
}
