import type { Agent as HttpAgent } from "node:http";
import type { Agent as HttpsAgent } from "node:https";
import type { Readable } from "node:stream";
import got, { type Request } from "got";
import { PROTOCOL_HEADER, PROTOCOL_VERSION } from "../version.js";
import { answerOf, type Head, readSmall } from "./answers.js";
import { errorOfGateway, gatewayUnreachable } from "./gateway-problems.js";

/** How the gateway is reached: connections, and whom to believe that he is the gateway. */
export interface Reach {
  readonly http: HttpAgent;
  readonly https: HttpsAgent;
  /** Certificates of authorities that are trusted, in PEM. Left out: those of Node. */
  readonly authorities?: readonly string[];
}

export interface GatewayCall {
  readonly method: "GET" | "HEAD" | "PUT" | "POST" | "DELETE";
  readonly headers?: { readonly [name: string]: string };
  readonly body?: string | Uint8Array | Readable;
  /** How long the head of the answer may take once the body is sent. In milliseconds. */
  readonly answerMs?: number;
  readonly signal?: AbortSignal | undefined;
}

export interface GatewayAnswer {
  readonly head: Head;
  readonly body: Request;
}

/** Requests to the gateway, without a word about who asks. Redirects are not followed, and nothing is sent twice. */
export class GatewayConnection {
  readonly #base: string;

  constructor(
    url: string,
    private readonly reach: Reach,
    private readonly answerMs: number,
  ) {
    this.#base = url.replace(/\/+$/, "");
  }

  /** Sends a request and waits for the head of its answer. @throws {GatewayError} on every answer but a 2xx, or none. */
  async open(path: string, call: GatewayCall): Promise<GatewayAnswer> {
    const request = this.#send(path, call);
    const patience = this.#patience(request, call.answerMs ?? this.answerMs);
    try {
      const head = await answerOf(request);
      if (head.statusCode < 200 || head.statusCode > 299)
        throw errorOfGateway(head.statusCode, await readSmall(request), text(head.headers["retry-after"]));
      return { head, body: request };
    } catch (error) {
      request.destroy();
      throw gatewayUnreachable(error);
    } finally {
      clearInterval(patience);
    }
  }

  /** Sends a request and reads its whole answer. @throws {GatewayError} */
  async call(path: string, call: GatewayCall, maxBytes?: number): Promise<string> {
    const { body } = await this.open(path, call);
    const patience = this.#patience(body, this.answerMs);
    try {
      return await readSmall(body, maxBytes);
    } catch (error) {
      body.destroy();
      throw gatewayUnreachable(error);
    } finally {
      clearInterval(patience);
    }
  }

  close(): void {
    this.reach.http.destroy();
    this.reach.https.destroy();
  }

  #send(path: string, { method, headers = {}, body, signal }: GatewayCall): Request {
    const { http, https, authorities } = this.reach;
    const request = got.stream(this.#base + path, {
      method,
      headers: { "user-agent": "maia-runner", [PROTOCOL_HEADER]: PROTOCOL_VERSION, ...headers },
      ...(body === undefined ? {} : { body }),
      ...(signal ? { signal } : {}),
      ...(authorities ? { https: { certificateAuthority: [...authorities] } } : {}),
      agent: { http, https },
      retry: { limit: 0 },
      throwHttpErrors: false,
      followRedirect: false, // a redirect would carry the credentials to wherever it points
      decompress: false,
    }) as Request;
    if (method === "DELETE") request.end(); // got waits for a body that is never written
    return request;
  }

  /** Gives a request up that has made no progress for so long, wherever it hangs: at a name, a proxy, or in the middle. */
  #patience(request: Request, withinMs: number): NodeJS.Timeout {
    let movedAt = performance.now();
    const moved = () => {
      movedAt = performance.now();
    };
    request.on("uploadProgress", moved).on("downloadProgress", moved);
    return setInterval(
      () => {
        if (performance.now() - movedAt > withinMs) request.destroy(new Error(`no answer within ${withinMs} ms`));
      },
      Math.max(withinMs / 10, 10),
    );
  }
}

function text(header: string | string[] | undefined): string | undefined {
  return typeof header === "string" ? header : undefined;
}
