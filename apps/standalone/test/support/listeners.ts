import { once } from "node:events";
import { createServer as createHttp, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer, type Server, type Socket } from "node:net";
import { networkInterfaces } from "node:os";

/** Servers that nothing may connect to, at one port of many addresses. */
export class Forbidden implements AsyncDisposable {
  /** The addresses that somebody connected to. */
  readonly reached: string[] = [];
  readonly addresses: string[] = [];
  readonly #servers: Server[] = [];

  /** Listens at a port of these addresses; those that this machine does not have are left out. */
  static async at(port: number, addresses: readonly string[]): Promise<Forbidden> {
    const forbidden = new Forbidden();
    for (const address of addresses) await forbidden.#listen(port, address);
    return forbidden;
  }

  async #listen(port: number, address: string): Promise<void> {
    const server = createServer((socket) => {
      this.reached.push(address);
      socket.destroy();
    });
    server.listen({ port, host: address });
    const [error] = await Promise.race([once(server, "listening").then(() => [null]), once(server, "error")]);
    if (error) return;
    this.addresses.push(address);
    this.#servers.push(server);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.#servers) {
      server.close();
      await once(server, "close");
    }
  }
}

/** The addresses of this machine that others reach it at. */
export function ownAddresses(): string[] {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return all.filter(({ internal, scopeid }) => !internal && !scopeid).map(({ address }) => address);
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** An HTTP server that answers each path as a test says, down to the bytes on the wire. */
export class WebServer implements AsyncDisposable {
  readonly seen: string[] = [];
  readonly #paths = new Map<string, Handler>();
  readonly #server = createHttp((request, response) => {
    this.seen.push(request.url ?? "");
    const answer = this.#paths.get(request.url ?? "");
    if (answer) answer(request, response);
    else response.writeHead(404).end();
  });

  static async at(address: string, port = 0): Promise<WebServer> {
    const server = new WebServer();
    await once(server.#server.listen(port, address), "listening");
    return server;
  }

  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("the server does not listen");
    return address.port;
  }

  on(path: string, answer: Handler): this {
    this.#paths.set(path, answer);
    return this;
  }

  /** Answers with bytes as they are, past all that HTTP asks for. */
  raw(path: string, answer: (socket: Socket) => void): this {
    return this.on(path, (request) => answer(request.socket));
  }

  redirect(path: string, to: string, status = 302): this {
    return this.on(path, (_, response) => response.writeHead(status, { location: to }).end());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, "close");
  }
}
