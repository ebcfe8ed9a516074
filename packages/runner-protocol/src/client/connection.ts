import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import type { Readable } from "node:stream";
import got, { type Request } from "got";
import { ExecutorError } from "../executor.js";
import { checkProtocolVersion, LEDGER_HEADER, PROTOCOL_HEADER, PROTOCOL_VERSION } from "../version.js";
import { answerOf, type Head, readSmall } from "./answers.js";
import { errorOfAnswer, unreachable } from "./problems.js";

export interface CallOptions {
  readonly method: "GET" | "HEAD" | "PUT" | "POST";
  readonly headers?: { readonly [name: string]: string };
  readonly body?: string | Uint8Array | Readable;
  /** The ledger that the request is meant for: another one refuses it, and its answer is not taken. */
  readonly ledgerId?: string | null;
  readonly signal?: AbortSignal;
}

/** An answer whose body may still be on its way. */
export interface Answer {
  readonly status: number;
  readonly ledgerId: string;
  readonly body: Request;
}

/** The connections to one runner. Every answer is checked to be a runner's, of our protocol and of the ledger asked for. */
export class Connection {
  readonly #agents = { http: new HttpAgent({ keepAlive: true }), https: new HttpsAgent({ keepAlive: true }) };
  readonly #base: string;

  constructor(
    url: string,
    private readonly token: string,
    private readonly answerMs: number,
  ) {
    this.#base = url.replace(/\/+$/, "");
  }

  /** Sends a request and waits for the head of its answer. @throws {ExecutorError} on every answer but a 2xx, or none. */
  async open(path: string, options: CallOptions): Promise<Answer> {
    const request = this.#send(path, options);
    try {
      const response = await answerOf(request);
      const ledgerId = checkHead(response.headers, options.ledgerId ?? null);
      if (response.statusCode < 200 || response.statusCode > 299)
        throw errorOfAnswer(response.statusCode, await readSmall(request));
      return { status: response.statusCode, ledgerId, body: request };
    } catch (error) {
      request.destroy();
      throw unreachable(error);
    }
  }

  /** Sends a request and reads its whole answer. @throws {ExecutorError} */
  async call(path: string, options: CallOptions): Promise<{ ledgerId: string; status: number; text: string }> {
    const { body, ledgerId, status } = await this.open(path, options);
    try {
      return { ledgerId, status, text: await readSmall(body) };
    } catch (error) {
      body.destroy();
      throw unreachable(error);
    }
  }

  close(): void {
    this.#agents.http.destroy();
    this.#agents.https.destroy();
  }

  #send(path: string, { method, headers = {}, body, ledgerId, signal }: CallOptions): Request {
    return got.stream(this.#base + path, {
      method,
      headers: {
        authorization: `Bearer ${this.token}`,
        "user-agent": "maia",
        [PROTOCOL_HEADER]: PROTOCOL_VERSION,
        ...(ledgerId ? { [LEDGER_HEADER]: ledgerId } : {}),
        ...headers,
      },
      ...(body === undefined ? {} : { body }),
      ...(signal ? { signal } : {}),
      agent: this.#agents,
      retry: { limit: 0 },
      throwHttpErrors: false,
      followRedirect: false,
      decompress: false,
      timeout: { lookup: this.answerMs, connect: this.answerMs, secureConnect: this.answerMs, response: this.answerMs },
    }) as Request;
  }
}

function checkHead(headers: Head["headers"], expected: string | null): string {
  const ledgerId = headers[LEDGER_HEADER];
  if (typeof ledgerId !== "string" || ledgerId === "") {
    throw new ExecutorError(
      "UNREACHABLE",
      "What answers at the runner's address is no Maia runner: its answer names no ledger",
    );
  }
  const version = headers[PROTOCOL_HEADER];
  try {
    checkProtocolVersion(typeof version === "string" ? version : undefined);
  } catch (error) {
    throw unreachable(error);
  }
  if (expected !== null && expected !== ledgerId) {
    throw new ExecutorError("LEDGER_CHANGED", `The runner answers with ledger ${ledgerId}, not with ${expected}`);
  }
  return ledgerId;
}
