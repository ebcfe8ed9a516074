import { mkdtemp, rm } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createApiKey, type Db, openDb } from "@maia/db";
import { createLogger, type Logger } from "@maia/service";
import { BlobStore, type DataDir, openDataDir } from "@maia/storage";
import { ensureAdminKey } from "../src/admin-key.js";
import { type ApiConfig, readConfig } from "../src/config.js";
import { start } from "../src/start.js";
import type { Body } from "./body.js";

/** What the API has logged, for tests that look at it. */
export interface Logged {
  readonly level: string;
  readonly message: string;
  readonly fields: object;
}

export interface TestApi extends AsyncDisposable {
  readonly url: string;
  readonly db: Db;
  readonly blobs: BlobStore;
  readonly dataDir: DataDir;
  readonly logged: readonly Logged[];
  readonly adminKey: string;
  /** The moment that the API takes for now; it stands unless a test moves it. */
  now: Date;
  /** A request with the administrator's key unless another one is given; null sends none. */
  request(method: string, path: string, options?: RequestOptions): Promise<Answer>;
  get(path: string, options?: RequestOptions): Promise<Answer>;
  post(path: string, body?: unknown, options?: RequestOptions): Promise<Answer>;
  put(path: string, body?: unknown, options?: RequestOptions): Promise<Answer>;
  /** A key of this role. */
  keyOf(role: string, projects?: readonly string[] | null): Promise<string>;
  /** Sends bytes as they are and gives what comes back until the connection ends, or `until` is in it. */
  raw(bytes: string | Buffer, until?: RegExp): Promise<string>;
  /** Stops the API; the database stays open. */
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface RequestOptions {
  readonly key?: string | null;
  readonly headers?: Record<string, string>;
  readonly body?: string | Uint8Array<ArrayBuffer> | FormData | ReadableStream<Uint8Array>;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The body as JSON; it is the test's to know what is in it. */
  readonly json: Body;
}

/** An API on a free port over a new database in a temporary folder. */
export async function openTestApi(change: Partial<ApiConfig> = {}): Promise<TestApi> {
  const root = await mkdtemp(join(tmpdir(), "maia-api-"));
  const dataDir = await openDataDir(root);
  const time = { now: new Date("2026-11-20T12:00:00.000Z") };
  const clock = () => time.now;
  const url = `file:${dataDir.dbFile}`;
  const db = await openDb({ url, bellsDir: dataDir.bells, busyTimeoutMs: 100, retryBudgetMs: 5_000, now: clock });
  const blobs = await BlobStore.open(dataDir.blobs, dataDir.tmp);
  const logged: Logged[] = [];
  const { key: adminKey } = await ensureAdminKey(db, dataDir, time.now);
  const config = { ...readConfig({ MAIA_API_PORT: "0" }), ...change };
  const close = async () => {
    await db[Symbol.asyncDispose]();
    await rm(root, { recursive: true, force: true });
  };
  const deps = { db, blobs, dataDir, logger: listeningLogger(logged), clock };
  const api = await start(config, deps).catch(async (error) => {
    await close();
    throw error;
  });
  let stopped = false;
  const stop = async () => {
    if (!stopped) await api[Symbol.asyncDispose]();
    stopped = true;
  };
  const request = async (method: string, path: string, { key = adminKey, headers = {}, body }: RequestOptions = {}) => {
    const auth = key === null ? {} : { Authorization: `Bearer ${key}` };
    const res = await fetch(api.url + path, {
      method,
      headers: { ...auth, ...headers },
      body: body ?? null,
      redirect: "manual",
      duplex: "half",
    });
    return answerOf(res);
  };
  const withJson =
    (method: string) =>
    (path: string, body?: unknown, options: RequestOptions = {}) => {
      if (body === undefined) return request(method, path, options);
      const headers = { "Content-Type": "application/json", ...options.headers };
      return request(method, path, { ...options, headers, body: JSON.stringify(body) });
    };
  return {
    url: api.url,
    db,
    blobs,
    dataDir,
    logged,
    adminKey,
    get now() {
      return time.now;
    },
    set now(moment: Date) {
      time.now = moment;
    },
    request,
    get: (path, options) => request("GET", path, options),
    post: withJson("POST"),
    put: withJson("PUT"),
    keyOf: async (role, projects = null) => {
      const { presented } = await db.write((tx) => createApiKey(tx, { name: role, role, projects }, time.now));
      return presented;
    },
    raw: (bytes, until) => exchange(new URL(api.url).port, bytes, until),
    stop,
    [Symbol.asyncDispose]: async () => {
      await stop();
      await close();
    },
  };
}

async function answerOf(res: Response): Promise<Answer> {
  const text = await res.text();
  return {
    status: res.status,
    headers: res.headers,
    text,
    get json() {
      return JSON.parse(text);
    },
  };
}

function listeningLogger(logged: Logged[]): Logger {
  const quiet = createLogger({ level: "error", format: "json", name: "api" });
  const at =
    (level: string) =>
    (message: string, fields: object = {}) =>
      void logged.push({ level, message, fields });
  return { ...quiet, error: at("error"), warn: at("warn"), info: at("info"), debug: at("debug") };
}

function exchange(port: string, bytes: string | Buffer, until?: RegExp): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    const socket = net.connect(Number(port), "127.0.0.1", () => socket.write(bytes));
    socket.setTimeout(30_000, () => socket.destroy());
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
      if (until?.test(text)) socket.destroy();
    });
    socket.on("error", () => {});
    socket.on("close", () => resolve(text));
  });
}
