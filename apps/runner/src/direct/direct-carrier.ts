import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import {
  checkProtocolVersion,
  type IsolationLevel,
  LEDGER_HEADER,
  PROTOCOL_HEADER,
  PROTOCOL_VERSION,
  paths,
} from "@maia/runner-protocol";
import { ConfigError, type Logger } from "@maia/service";
import type { BlobStore } from "@maia/storage";
import type { Attempts } from "../attempts/attempts.js";
import type { Carrier } from "../carrier.js";
import type { DirectCarrierConfig } from "../config.js";
import type { Keep } from "../keep/keep.js";
import { bearerCheck } from "./bearer.js";
import { getBlob, putBlob } from "./blob-routes.js";
import { readJson, sendJson } from "./bodies.js";
import { alive, attach, cancel, execTask } from "./exec-routes.js";
import { Problem, problemOf, sendProblem } from "./problems.js";

export interface DirectDeps {
  readonly attempts: Attempts;
  readonly blobs: BlobStore;
  /** Where data stays that is not to leave the runner; null: nowhere. */
  readonly keep: Keep | null;
  readonly ledgerId: string;
  readonly isolation: IsolationLevel;
  readonly slots: number;
  readonly version: string;
  /** Tries one TCP connection from here. */
  readonly testConnection: (host: string, port: number, timeoutMs?: number | null) => Promise<object>;
  readonly logger: Logger;
}

/** Tasks that an engine brings over HTTP. */
export interface DirectCarrier extends Carrier {
  readonly url: string;
}

type Answer = (
  context: Context,
  req: IncomingMessage,
  res: ServerResponse,
  query: URLSearchParams,
  id: string,
) => Promise<void> | void;
type Context = DirectDeps & Pick<DirectCarrierConfig, "streamHeartbeatMs" | "bodyIdleMs" | "blobMaxBytes">;

interface Route {
  readonly path: RegExp;
  readonly methods: { readonly [method: string]: Answer };
}

const ROUTES: readonly Route[] = [
  {
    path: /^\/v1\/exec\/step$/,
    methods: { POST: (context, req, res, query) => execTask(context, req, res, query, "step") },
  },
  {
    path: /^\/v1\/exec\/deps$/,
    methods: { POST: (context, req, res, query) => execTask(context, req, res, query, "deps") },
  },
  { path: /^\/v1\/exec\/alive$/, methods: { POST: (context, req, res) => alive(context, req, res) } },
  { path: /^\/v1\/exec\/([^/]+)$/, methods: { GET: attach } },
  {
    path: /^\/v1\/exec\/([^/]+)\/cancel$/,
    methods: { POST: (context, req, res, _query, id) => cancel(context, req, res, id) },
  },
  {
    path: /^\/v1\/blobs\/([^/]+)$/,
    methods: {
      GET: (context, req, res, _query, id) => getBlob(context, req, res, id),
      HEAD: (context, req, res, _query, id) => getBlob(context, req, res, id),
      PUT: (context, req, res, _query, id) => putBlob(context, req, res, id),
    },
  },
  { path: /^\/v1\/connectivity$/, methods: { POST: connectivity } },
];

/** Listens for an engine. @throws {ConfigError} on a certificate that cannot be used. */
export async function openDirectCarrier(config: DirectCarrierConfig, deps: DirectDeps): Promise<DirectCarrier> {
  const { streamHeartbeatMs, bodyIdleMs, blobMaxBytes } = config;
  const context: Context = { ...deps, streamHeartbeatMs, bodyIdleMs, blobMaxBytes };
  const check = bearerCheck(config.token);
  const server = await makeServer(config);
  server.requestTimeout = 0; // large blobs take their time; a body that stops coming is noticed in bodyOf
  server.on("request", (req: IncomingMessage, res: ServerResponse) => void answer(context, check, req, res));
  await listen(server, config);
  const { address, family, port } = server.address() as AddressInfo;
  const host = family === "IPv6" ? `[${address}]` : address;
  return {
    url: `${config.tls ? "https" : "http"}://${host}:${port}`,
    done: new Promise(() => {}),
    exitCode: () => null,
    announceStop: async () => {}, // whoever asks is told: /healthz says it, and tasks are refused
    [Symbol.asyncDispose]: () => close(server),
  };
}

async function answer(
  context: Context,
  check: (req: IncomingMessage) => void,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<void> {
  res.setHeader(LEDGER_HEADER, context.ledgerId);
  res.setHeader(PROTOCOL_HEADER, PROTOCOL_VERSION);
  res.setHeader("cache-control", "no-store");
  res.setHeader("x-content-type-options", "nosniff");
  try {
    const [path = "", query = ""] = (req.url ?? "").split("?", 2);
    if (path === paths.healthz && (req.method === "GET" || req.method === "HEAD")) return health(context, res);
    check(req);
    checkProtocolVersion(req.headersDistinct[PROTOCOL_HEADER]?.[0]);
    const { run, id } = findRoute(path, req.method ?? "");
    await run(context, req, res, new URLSearchParams(query), id);
  } catch (error) {
    answerFailure(context, req, res, error);
  }
}

function answerFailure({ logger }: Context, req: IncomingMessage, res: ServerResponse, error: unknown): void {
  if (req.socket.destroyed) return; // the caller has gone, which is no failure of ours
  const problem = problemOf(error);
  if (!problem) logger.error("a request could not be answered", { method: req.method, error });
  if (res.headersSent) res.destroy();
  else sendProblem(req, res, problem ?? new Problem("INTERNAL", "The runner failed; its log says why"));
}

function findRoute(pathname: string, method: string): { run: Answer; id: string } {
  for (const { path, methods } of ROUTES) {
    const match = path.exec(pathname);
    if (!match) continue;
    const run = Object.hasOwn(methods, method) ? methods[method] : undefined;
    if (run) return { run, id: match[1] ?? "" }; // ids are not decoded: what would need it is no id
    throw new Problem("METHOD_NOT_ALLOWED", `${method} is not for this route`, {
      headers: { allow: Object.keys(methods).join(", ") },
    });
  }
  throw new Problem("NOT_FOUND", "There is no such route");
}

function health({ attempts, ledgerId, isolation, slots, version }: Context, res: ServerResponse): void {
  const { running, isStopping } = attempts;
  sendJson(res, 200, {
    ok: true,
    version,
    protocol: PROTOCOL_VERSION,
    ledgerId,
    isolation,
    slots,
    running,
    stopping: isStopping,
  });
}

async function connectivity(
  { testConnection, bodyIdleMs }: Context,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<void> {
  const { host, port } = ((await readJson(req, { maxBytes: 4_096, idleMs: bodyIdleMs })) ?? {}) as {
    host?: unknown;
    port?: unknown;
  };
  if (typeof host !== "string" || host === "" || host.length > 255)
    throw new Problem("INVALID", "host must be a host name or an address");
  if (!Number.isInteger(port) || (port as number) < 1 || (port as number) > 65_535)
    throw new Problem("INVALID", "port must be 1 to 65535");
  sendJson(res, 200, await testConnection(host, port as number));
}

/** Longer than an engine keeps a connection that rests, so that none is closed at the moment at which it is used again. */
const KEEP_ALIVE_MS = 75_000;

async function makeServer(config: DirectCarrierConfig): Promise<Server> {
  const server = await makePlainOrTls(config);
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  return server;
}

async function makePlainOrTls({ tls }: DirectCarrierConfig): Promise<Server> {
  if (!tls) return createServer();
  try {
    const [cert, key] = await Promise.all([readFile(tls.certFile), readFile(tls.keyFile)]);
    return createTlsServer({ cert, key });
  } catch (error) {
    throw new ConfigError(`MAIA_TLS_CERT and MAIA_TLS_KEY cannot be used: ${(error as Error).message}`);
  }
}

function listen(server: Server, { host, port }: DirectCarrierConfig): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

/** How long answers that are under way may take once the runner has drained. In milliseconds. */
const CLOSE_WITHIN_MS = 5_000;

async function close(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const late = setTimeout(() => server.closeAllConnections(), CLOSE_WITHIN_MS);
  await closed;
  clearTimeout(late);
}
