import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import type { Readable } from "node:stream";
import type { Content } from "../executor.js";
import type { FramesAnswer, Hello, Poll, PollAnswer, Welcome } from "../gateway.js";
import { MAX_TASK_BYTES } from "../parse-task.js";
import { paths } from "../paths.js";
import { ATTEMPT_TOKEN_HEADER, GENERATION_HEADER, TRANSFER_PROBLEM_HEADER } from "../version.js";
import { AccessToken, type IssuedToken } from "./access-token.js";
import { type GatewayAnswer, type GatewayCall, GatewayConnection, type Reach } from "./gateway-connection.js";
import { GatewayError, gatewayUnreachable } from "./gateway-problems.js";
import { untilIdle } from "./idle.js";
import {
  parseFramesAnswer,
  parsePollAnswer,
  parseProtocol,
  parseToken,
  parseUnused,
  parseWelcome,
} from "./parse-gateway.js";

export type { Reach } from "./gateway-connection.js";

export interface GatewayClientOptions {
  readonly url: string;
  readonly clientId: string;
  readonly clientSecret: string;
  /** Left out: directly, and whoever has a certificate of an authority that Node trusts is believed. */
  readonly reach?: Reach;
  /** How long an answer, or a stop in the middle of one, may take. In milliseconds. */
  readonly answerMs?: number;
}

/** An attempt with the token that came with its task. */
export interface HeldAttempt {
  readonly attemptId: string;
  readonly token: string;
}

/** Content of the runner's store, and how long ago it was last put. */
export interface HeldContent {
  readonly sha256: string;
  readonly ageMs: number;
}

const JSON_BODY = { "content-type": "application/json" };
/** Longest answer to a poll: a few tasks with their lockfiles. In bytes. */
const MAX_POLL_BYTES = 4 * MAX_TASK_BYTES;

/** The gateway as a runner sees it, over got. Every method @throws {GatewayError}. */
export class GatewayClient {
  readonly #connection: GatewayConnection;
  readonly #token: AccessToken;
  readonly #answerMs: number;
  #welcome: Welcome | null = null;

  constructor(private readonly options: GatewayClientOptions) {
    const { url, reach = directly(), answerMs = 30_000 } = options;
    this.#connection = new GatewayConnection(url, reach, answerMs);
    this.#token = new AccessToken(() => this.exchange());
    this.#answerMs = answerMs;
  }

  /** True when the client's secret was refused the last time that it was sent. */
  get isRefused(): boolean {
    return this.#token.isRefused;
  }

  /** What the last hello was answered with. */
  get welcome(): Welcome | null {
    return this.#welcome;
  }

  /** Exchanges the client's id and secret for an access token. */
  async exchange(): Promise<IssuedToken> {
    const { clientId, clientSecret } = this.options;
    const form = { grant_type: "client_credentials", client_id: clientId, client_secret: clientSecret };
    try {
      const headers = { "content-type": "application/x-www-form-urlencoded" };
      const body = new URLSearchParams(form).toString();
      return parseToken(await this.#connection.call(paths.oauthToken, { method: "POST", headers, body }));
    } catch (error) {
      throw refusalOf(error);
    }
  }

  /** What time it is for the gateway, to the second; null where it does not say. */
  async readClock(signal?: AbortSignal): Promise<Date | null> {
    const { head, body } = await this.#connection.open(paths.healthz, { method: "GET", signal });
    body.destroy();
    const at = new Date(String(head.headers.date));
    return Number.isNaN(at.getTime()) ? null : at;
  }

  /** The version of the protocol that the gateway speaks. One that is too old to say so answers NOT_FOUND. */
  async readProtocol(signal?: AbortSignal): Promise<string> {
    return parseProtocol(await this.#call(paths.gateway, { method: "GET", signal }));
  }

  async hello(hello: Hello, signal?: AbortSignal): Promise<Welcome> {
    const call = { method: "POST", headers: JSON_BODY, body: JSON.stringify(hello), signal } as const;
    const send = (authorized: GatewayCall) => this.#connection.call(paths.gatewayInstances, authorized);
    this.#welcome = parseWelcome(await this.#authorized(() => call, send, null));
    return this.#welcome;
  }

  /** Asks for work; the answer may take a heartbeat longer than others. */
  async poll(poll: Poll, signal?: AbortSignal): Promise<PollAnswer> {
    const { instanceId, heartbeatMs } = this.#greeted();
    const answerMs = heartbeatMs + this.#answerMs;
    const body = JSON.stringify(poll);
    const call = { method: "POST", headers: JSON_BODY, body, answerMs, signal } as const;
    return parsePollAnswer(await this.#call(paths.gatewayPoll(instanceId), call, MAX_POLL_BYTES));
  }

  /** Sends lines of frames; none but a heartbeat asks how far the gateway is. */
  async frames(attempt: HeldAttempt, lines: Uint8Array, signal?: AbortSignal): Promise<FramesAnswer> {
    const headers = { ...tokenOf(attempt), "content-type": "application/x-ndjson" };
    const call = { method: "POST", headers, body: lines, signal } as const;
    return parseFramesAnswer(await this.#call(paths.gatewayFrames(attempt.attemptId), call));
  }

  async putBlob(attempt: HeldAttempt, sha256: string, content: Content, signal?: AbortSignal): Promise<void> {
    const sizeBytes = "bytes" in content ? content.bytes.length : (await stat(content.path)).size;
    const path = paths.gatewayBlob(attempt.attemptId, sha256);
    const type = { "content-type": "application/octet-stream", "content-length": String(sizeBytes) };
    const body = () => ("bytes" in content ? content.bytes : createReadStream(content.path));
    await this.#call(path, () => ({ method: "PUT", headers: { ...tokenOf(attempt), ...type }, body: body(), signal }));
  }

  /** The bytes of a blob; whoever reads them checks their hash. */
  async *getBlob(attempt: HeldAttempt, sha256: string, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    const path = paths.gatewayBlob(attempt.attemptId, sha256);
    const { body } = await this.#open(path, () => ({ method: "GET", headers: tokenOf(attempt), signal }));
    try {
      yield* untilIdle(body, this.#answerMs);
    } catch (error) {
      throw gatewayUnreachable(error);
    }
  }

  /** Which of this content of the runner's store nothing refers to any more. */
  async findUnused(blobs: readonly HeldContent[], signal?: AbortSignal): Promise<readonly string[]> {
    const call = { method: "POST", headers: JSON_BODY, body: JSON.stringify({ blobs }), signal } as const;
    return parseUnused(await this.#call(paths.gatewayUnused(this.#greeted().instanceId), call));
  }

  /** Sends bytes that are waited for. `open` gives them anew where they have to be sent again. */
  async sendTransfer(transferId: string, open: () => Readable, sizeBytes: number, signal?: AbortSignal): Promise<void> {
    const headers = { "content-type": "application/octet-stream", "content-length": String(sizeBytes) };
    const path = paths.gatewayTransfer(transferId);
    await this.#call(path, () => ({ method: "PUT", headers, body: open(), signal }));
  }

  /** Bytes that somebody sends to the runner's store, as they come. */
  async *getTransfer(transferId: string, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    const { body } = await this.#open(paths.gatewayTransfer(transferId), () => ({ method: "GET", signal }));
    try {
      yield* untilIdle(body, this.#answerMs);
    } catch (error) {
      throw gatewayUnreachable(error);
    }
  }

  /** Says that the bytes that are waited for cannot be had, and why. */
  async refuseTransfer(transferId: string, problem: string, signal?: AbortSignal): Promise<void> {
    const headers = { [TRANSFER_PROBLEM_HEADER]: encodeURIComponent(problem), "content-type": "text/plain" };
    await this.#call(paths.gatewayTransfer(transferId), { method: "PUT", headers, body: problem, signal });
  }

  /** Says that this process ends. */
  async goodbye(signal?: AbortSignal): Promise<void> {
    await this.#call(paths.gatewayInstance(this.#greeted().instanceId), { method: "DELETE", signal });
  }

  close(): void {
    this.#connection.close();
  }

  #greeted(): Welcome {
    if (!this.#welcome) throw new GatewayError("UNREACHABLE", "the gateway has not answered a hello yet");
    return this.#welcome;
  }

  async #call(path: string, call: GatewayCall | (() => GatewayCall), maxBytes?: number): Promise<string> {
    const make = typeof call === "function" ? call : () => call;
    return this.#authorized(make, (authorized) => this.#connection.call(path, authorized, maxBytes));
  }

  #open(path: string, make: () => GatewayCall): Promise<GatewayAnswer> {
    return this.#authorized(make, (authorized) => this.#connection.open(path, authorized));
  }

  /** Makes a request with an access token, and once more with a new one where it is refused. */
  async #authorized<T>(
    make: () => GatewayCall,
    send: (call: GatewayCall) => Promise<T>,
    welcome: Welcome | null = this.#welcome,
  ): Promise<T> {
    const token = await this.#token.get();
    try {
      return await send(signed(make(), token, welcome));
    } catch (error) {
      if (!(error instanceof GatewayError) || error.code !== "UNAUTHENTICATED") throw error;
      this.#token.drop(token);
      return send(signed(make(), await this.#token.get(), welcome));
    }
  }
}

/** A request with who sends it: the runner by its token, and which of its processes. */
function signed(call: GatewayCall, token: string, welcome: Welcome | null): GatewayCall {
  const generation = welcome ? { [GENERATION_HEADER]: String(welcome.generation) } : {};
  return { ...call, headers: { ...call.headers, ...generation, authorization: `Bearer ${token}` } };
}

/** Connections of our own to the gateway, without a proxy. */
function directly(): Reach {
  return { http: new HttpAgent({ keepAlive: true }), https: new HttpsAgent({ keepAlive: true }) };
}

function tokenOf({ token }: HeldAttempt): { readonly [name: string]: string } {
  return { [ATTEMPT_TOKEN_HEADER]: token };
}

/** At the token's route, a 401 or a request that is not acceptable means the credentials and nothing else. */
function refusalOf(error: unknown): unknown {
  if (!(error instanceof GatewayError)) return error;
  if (error.code !== "UNAUTHENTICATED" && error.code !== "REFUSED") return error;
  return new GatewayError("CREDENTIALS_REFUSED", error.message, { cause: error });
}
