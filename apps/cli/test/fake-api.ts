import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { MaiaOptions } from "./run-maia.js";

type Answer = (request: IncomingMessage, response: ServerResponse, body: string) => void;

/** An API that answers what a test says, and remembers what it was asked; with a folder for what a test writes. */
export class FakeApi implements AsyncDisposable {
  readonly asked: { readonly line: string; readonly headers: IncomingMessage["headers"]; readonly body: string }[] = [];
  readonly #answers = new Map<string, Answer>();
  readonly #server = createServer((request, response) => void this.#answer(request, response));

  private constructor(readonly folder: string) {}

  static async start(): Promise<FakeApi> {
    const api = new FakeApi(await mkdtemp(join(tmpdir(), "maia-cli-")));
    await once(api.#server.listen(0, "127.0.0.1"), "listening");
    return api;
  }

  get url(): string {
    const { port } = this.#server.address() as { port: number };
    return `http://127.0.0.1:${port}`;
  }

  /** How `maia` is started in the folder, so that it finds this API. */
  options(env: Readonly<Record<string, string>> = {}): MaiaOptions {
    return { env: { MAIA_URL: this.url, MAIA_API_KEY: "k", ...env }, cwd: this.folder };
  }

  /** Answers `METHOD /path` (without its query) with JSON, or as a function says. */
  on(line: string, answer: Answer | object, status = 200): this {
    this.#answers.set(
      line,
      typeof answer === "function" ? (answer as Answer) : (_, response) => sendJson(response, status, answer),
    );
    return this;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts = await Array.fromAsync(request as AsyncIterable<Buffer>).catch(() => null);
    if (!parts) return; // whoever asked has left
    const body = Buffer.concat(parts).toString();
    const line = `${request.method} ${request.url?.replace(/\?.*/, "")}`;
    this.asked.push({ line: `${request.method} ${request.url}`, headers: request.headers, body });
    const answer = this.#answers.get(line);
    if (answer) answer(request, response, body);
    else sendProblem(response, 404, "NOT_FOUND", "There is no such thing");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
    await rm(this.folder, { recursive: true, force: true, maxRetries: 50, retryDelay: 100 });
  }
}

export function sendJson(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

export function sendProblem(
  response: ServerResponse,
  status: number,
  code: string,
  detail: string,
  more: object = {},
): void {
  const body = { type: "about:blank", title: code, status, code, detail, requestId: "req_1", ...more };
  response.writeHead(status, { "content-type": "application/problem+json" }).end(JSON.stringify(body));
}
