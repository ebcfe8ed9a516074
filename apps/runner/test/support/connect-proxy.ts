import { createServer, type IncomingMessage, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { type AddressInfo, connect, type Socket } from "node:net";

/** A proxy that opens tunnels (HTTP CONNECT), to those who know its user where it has one. */
export class ConnectProxy implements AsyncDisposable {
  /** Where tunnels were opened to. */
  readonly tunnels: string[] = [];
  refused = 0;
  readonly #sockets = new Set<Socket>();

  private constructor(
    private readonly server: Server,
    private readonly user: string | null,
  ) {
    server.on("connect", (req: IncomingMessage, socket: Socket) => this.#tunnel(req, socket));
  }

  /** With a certificate the proxy itself is spoken to by TLS. */
  static async open(
    user: string | null = null,
    tls: { readonly cert: string; readonly key: string } | null = null,
  ): Promise<ConnectProxy> {
    const server: Server = tls ? createTlsServer(tls) : createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new ConnectProxy(server, user);
  }

  get address(): string {
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }

  #tunnel(req: IncomingMessage, socket: Socket): void {
    const wanted = this.user === null ? undefined : `Basic ${Buffer.from(this.user).toString("base64")}`;
    if (req.headers["proxy-authorization"] !== wanted) {
      this.refused++;
      socket.end("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
      return;
    }
    const target = req.url ?? "";
    this.tunnels.push(target);
    const [host = "", port = ""] = target.split(":");
    const server = connect(Number(port), host, () => socket.write("HTTP/1.1 200 OK\r\n\r\n"));
    for (const [from, to] of [
      [socket, server],
      [server, socket],
    ] as const) {
      this.#sockets.add(from);
      from.on("error", () => {}); // it shows as a close
      from.on("close", () => to.destroy());
      from.pipe(to);
    }
  }
}
