import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import http, { type RequestListener, type ServerOptions } from "node:http";
import https from "node:https";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { ConfigError } from "@maia/service";
import { describeProblem, HttpProblem, type ProblemCode } from "./problems.js";

export interface ServerSettings {
  readonly host: string;
  readonly port: number;
  /** Files in PEM. */
  readonly tls: { readonly certFile: string; readonly keyFile: string } | null;
  /** Most connections from one address; null where a proxy stands in front. */
  readonly connectionsPerAddress: number | null;
  /** How long the headers of a request may take to arrive, in milliseconds. */
  readonly headersTimeoutMs: number;
  /** How long requests in flight may take to finish once the server stops, in milliseconds. */
  readonly stopWithinMs: number;
}

/** Room for what the guard refuses with a better answer than the parser's; in bytes. */
const PARSER_HEADERS_MAX = 40 * 1_024;
const CHECK_MS = 5_000;
/** A backstop: bodies have shorter limits of their own, which depend on what they are. */
const REQUEST_TIMEOUT_MS = 3_600_000;
const KEEP_ALIVE_MS = 65_000;
const CONNECTIONS_MAX = 10_000;
const REQUESTS_PER_SOCKET = 100_000;

/** A listening server that stops gracefully. */
export class HttpServer implements AsyncDisposable {
  readonly #server: http.Server;
  readonly #settings: ServerSettings;
  readonly #perAddress = new Map<string, number>();

  private constructor(settings: ServerSettings, listener: RequestListener) {
    this.#settings = settings;
    this.#server = createServer(settings, (req, res) => {
      if (!this.#server.listening) res.setHeader("Connection", "close");
      res.once("close", () => {
        if (!this.#server.listening) this.#server.closeIdleConnections();
      });
      listener(req, res);
    });
    this.#server.on("clientError", answerClientError);
    this.#server.on("connection", (socket: Socket) => this.#count(socket));
  }

  /** Binds and listens. @throws where the address is taken. */
  static async listen(settings: ServerSettings, listener: RequestListener): Promise<HttpServer> {
    const server = new HttpServer(settings, listener);
    server.#server.listen(settings.port, settings.host);
    await once(server.#server, "listening");
    return server;
  }

  get url(): string {
    const { address, family, port } = this.#server.address() as AddressInfo;
    const host = family === "IPv6" ? `[${address}]` : address;
    return `${this.#settings.tls ? "https" : "http"}://${host}:${port}`;
  }

  /** Takes nothing new, lets what is in flight finish, and closes what is left after a while. */
  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeIdleConnections();
    const timer = setTimeout(() => this.#server.closeAllConnections(), this.#settings.stopWithinMs);
    await closed;
    clearTimeout(timer);
  }

  #count(socket: Socket): void {
    const max = this.#settings.connectionsPerAddress;
    const address = socket.remoteAddress;
    if (max === null || address === undefined) return;
    const count = (this.#perAddress.get(address) ?? 0) + 1;
    this.#perAddress.set(address, count);
    if (count > max) socket.destroy();
    socket.once("close", () => {
      const left = this.#perAddress.get(address)! - 1;
      if (left > 0) this.#perAddress.set(address, left);
      else this.#perAddress.delete(address);
    });
  }
}

function createServer({ tls, headersTimeoutMs }: ServerSettings, listener: RequestListener): http.Server {
  const options: ServerOptions = {
    maxHeaderSize: PARSER_HEADERS_MAX,
    headersTimeout: headersTimeoutMs,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connectionsCheckingInterval: Math.min(CHECK_MS, headersTimeoutMs),
    requireHostHeader: false, // the guard answers with a problem
    noDelay: true,
  };
  const server = tls ? createTlsServer(tls, options, listener) : http.createServer(options, listener);
  server.maxHeadersCount = 0; // no silent cut: the guard counts
  server.maxConnections = CONNECTIONS_MAX;
  server.maxRequestsPerSocket = REQUESTS_PER_SOCKET;
  return server;
}

/** @throws {ConfigError} naming the variables. */
function createTlsServer(
  { certFile, keyFile }: NonNullable<ServerSettings["tls"]>,
  options: ServerOptions,
  listener: RequestListener,
): https.Server {
  try {
    const [cert, key] = [readFileSync(certFile), readFileSync(keyFile)];
    return https.createServer({ ...options, cert, key, minVersion: "TLSv1.2" }, listener);
  } catch (error) {
    throw new ConfigError(
      `MAIA_TLS_CERT (${certFile}) and MAIA_TLS_KEY (${keyFile}) cannot be used: ${(error as Error).message}`,
    );
  }
}

type ClientError = NodeJS.ErrnoException & { rawPacket?: Buffer };

/** What the application says with every answer; here there is no application yet. */
const SAFE_HEADERS = {
  "Cache-Control": "no-store",
  "Content-Security-Policy": "default-src 'none';frame-ancestors 'none'",
  "X-Content-Type-Options": "nosniff",
};

/** Answers what is not even HTTP, and closes. */
function answerClientError(error: ClientError, socket: Duplex): void {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  const { status, headers, body } = describeProblem(
    new HttpProblem(codeOf(error), "The request is no valid HTTP"),
    randomUUID(),
  );
  const all = { ...SAFE_HEADERS, ...headers, "Content-Length": String(Buffer.byteLength(body)), Connection: "close" };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${status} ${http.STATUS_CODES[status]}\r\n${lines.join("")}\r\n${body}`);
}

function codeOf({ code, rawPacket }: ClientError): ProblemCode {
  switch (code) {
    case "HPE_HEADER_OVERFLOW":
      return rawPacket && rawPacket.indexOf("\r\n") < 0 ? "URI_TOO_LONG" : "HEADERS_TOO_LARGE";
    case "HPE_CHUNK_EXTENSIONS_OVERFLOW":
      return "TOO_LARGE";
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return "REQUEST_TIMEOUT";
    default:
      return "BAD_REQUEST";
  }
}
