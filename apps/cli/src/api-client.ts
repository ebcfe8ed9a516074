import { createReadStream, openAsBlob } from "node:fs";
import type { Readable } from "node:stream";
import got, { type Got, type OptionsInit, type Response } from "got";
import { failure, refusal } from "./api-failures.js";
import type { Page } from "./api-types.js";
import type { Connection } from "./config.js";
import { CliError } from "./errors.js";
import { exitCodes } from "./exit-codes.js";

type Method = "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";

export type Query = Readonly<Record<string, string | number | undefined>>;

const CONNECT_MS = 10_000;
/** The server says something at least every 15 s on a stream, so a longer silence means that it is gone. */
const SILENCE_MS = 45_000;

/** Most items that the API gives at once. */
const PAGE_MAX = 100;

/** A part of a file, in bytes: from one up to, and not including, another. */
export interface FilePart {
  readonly from: number;
  readonly to: number;
  readonly total: number;
}

/** A file on this machine, and what it is called there. */
export interface LocalFile {
  readonly name: string;
  readonly path: string;
}

/** Talks to one Maia. Every failure becomes a CliError. */
export class ApiClient {
  readonly #connection: Connection;
  readonly #got: Got;

  constructor(connection: Connection, version: string) {
    this.#connection = connection;
    const { apiKey } = connection;
    this.#got = got.extend({
      headers: {
        "user-agent": `maia-cli/${version}`,
        ...(apiKey === null ? {} : { authorization: `Bearer ${apiKey}` }),
      },
      throwHttpErrors: false,
      followRedirect: false,
      timeout: { connect: CONNECT_MS, socket: 70_000 },
      retry: {
        limit: 2,
        methods: ["GET", "HEAD", "PUT", "POST"], // each POST carries an Idempotency-Key or cancels
        statusCodes: [503],
        errorCodes: ["ECONNRESET", "EPIPE", "ETIMEDOUT", "EAI_AGAIN"],
        maxRetryAfter: 5_000,
      },
    });
  }

  get url(): URL {
    return this.#connection.url;
  }

  async get<T>(path: string, query: Query = {}): Promise<T> {
    return (await this.#json<T>("GET", path, { searchParams: query })).body;
  }

  /** A document that can change, and the tag to change it under. */
  async getTagged<T>(path: string): Promise<{ body: T; etag: string }> {
    const { body, headers } = await this.#json<T>("GET", path, {});
    return { body, etag: String(headers.etag) };
  }

  async getText(path: string): Promise<string> {
    const response = await this.#send("GET", path, {});
    return response.body;
  }

  async post<T>(
    path: string,
    body: unknown,
    headers: Record<string, string> = {},
  ): Promise<{ body: T; replayed: boolean }> {
    const response = await this.#json<T>("POST", path, { json: body, headers });
    return { body: response.body, replayed: response.headers["idempotent-replayed"] === "true" };
  }

  /** The same with files beside the body, read from the disk as they are sent. The server passes them on and keeps none. */
  async postWithFiles<T>(
    path: string,
    body: unknown,
    files: readonly LocalFile[],
    headers: Record<string, string> = {},
  ): Promise<{ body: T; replayed: boolean }> {
    const form = new FormData();
    form.append("request", JSON.stringify(body));
    for (const file of files) form.append("files", await openAsBlob(file.path), file.name);
    const options = { body: form, headers, retry: { limit: 0 }, timeout: { connect: CONNECT_MS, socket: SILENCE_MS } };
    const response = await this.#json<T>("POST", path, options);
    return { body: response.body, replayed: response.headers["idempotent-replayed"] === "true" };
  }

  async put<T>(path: string, body: unknown, query: Query = {}): Promise<T> {
    return (await this.#json<T>("PUT", path, { json: body, searchParams: query })).body;
  }

  async patch<T>(path: string, body: unknown, headers: Record<string, string> = {}): Promise<T> {
    return (await this.#json<T>("PATCH", path, { json: body, headers })).body;
  }

  async delete(path: string): Promise<void> {
    await this.#send("DELETE", path, {});
  }

  /** Deletes something whose answer tells more than that it is gone. */
  async deleteFor<T>(path: string, query: Query = {}): Promise<T> {
    return (await this.#json<T>("DELETE", path, { searchParams: query })).body;
  }

  /** Whether the server has it. */
  async has(path: string): Promise<boolean> {
    const response = await this.#raw("HEAD", path, {});
    if (response.statusCode === 404) return false;
    if (response.statusCode >= 400) throw refusal(this.#connection, response.statusCode, "");
    return true;
  }

  /** Sends a file as it lies on the disk. */
  async putFile(path: string, file: string, sizeBytes: number): Promise<void> {
    await this.#send("PUT", path, upload(createReadStream(file), sizeBytes, SILENCE_MS));
  }

  /** How many bytes the server has of an upload in parts; null: it has the whole. */
  async uploadOffset(path: string): Promise<number | null> {
    const { statusCode, headers } = await this.#raw("HEAD", path, { retry: { limit: 0 } });
    if (statusCode === 404) return offsetIn(headers) ?? 0;
    if (statusCode >= 400) throw refusal(this.#connection, statusCode, "");
    return null;
  }

  /**
   * Sends the bytes from `from` up to `to` of a file of `total` bytes. What comes back is where the next part begins,
   * null once the whole is there. `within` is how long the server may say nothing, in milliseconds.
   */
  async putPart(path: string, bytes: Readable, part: FilePart, within: number): Promise<number | null> {
    const { from, to, total } = part;
    const range = from === to ? `bytes */${total}` : `bytes ${from}-${to - 1}/${total}`;
    const options = upload(bytes, to - from, within);
    const headers = { ...options.headers, "content-range": range };
    const response = await this.#send("PUT", path, { ...options, headers });
    return response.statusCode === 202 ? offsetIn(response.headers) : null;
  }

  /** Everything of a list that is wanted, page by page, at most `limit`. */
  async list<T>(path: string, query: Query, limit: number, isWanted?: (item: T) => boolean): Promise<T[]> {
    const items: T[] = [];
    for (let cursor: string | undefined; items.length < limit; ) {
      const pageSize = isWanted ? PAGE_MAX : Math.min(limit - items.length, PAGE_MAX);
      const page = await this.get<Page<T>>(path, { ...query, limit: pageSize, cursor });
      items.push(...(isWanted ? page.items.filter(isWanted) : page.items));
      if (page.nextCursor === null) break;
      cursor = page.nextCursor;
    }
    return items.slice(0, limit);
  }

  /** Opens a stream of bytes: events, or an artifact. Null: there is nothing more to come (204). */
  async open(path: string, headers: Record<string, string> = {}, signal?: AbortSignal): Promise<Readable | null> {
    const timeout = { connect: CONNECT_MS, socket: SILENCE_MS };
    const stream = this.#got.stream(this.#address(path), {
      headers,
      timeout,
      retry: { limit: 0 },
      ...(signal ? { signal } : {}),
    });
    const response = await new Promise<Response>((resolve, reject) => {
      stream.once("response", resolve);
      stream.once("error", (error) => reject(failure(this.#connection, error)));
    });
    if (response.statusCode === 204) {
      stream.destroy();
      return null;
    }
    if (response.statusCode < 400) return stream;
    const body = await Array.fromAsync(stream as AsyncIterable<Buffer>);
    throw refusal(this.#connection, response.statusCode, Buffer.concat(body).toString());
  }

  async #json<T>(
    method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE",
    path: string,
    options: OptionsInit,
  ): Promise<{ body: T; headers: Response["headers"] }> {
    const { body, headers, statusCode } = await this.#send(method, path, options);
    try {
      return { body: JSON.parse(body) as T, headers };
    } catch {
      const what = `${this.url.origin} answered ${statusCode} with something that is not JSON`;
      throw new CliError(exitCodes.unreachable, what, { hint: "Is that the address of Maia? See --url and MAIA_URL" });
    }
  }

  async #send(method: Method, path: string, options: OptionsInit): Promise<Response<string>> {
    const response = await this.#raw(method, path, options);
    if (response.statusCode >= 300) throw refusal(this.#connection, response.statusCode, response.body);
    return response;
  }

  async #raw(method: Method, path: string, options: OptionsInit): Promise<Response<string>> {
    const searchParams = withoutUndefined(options.searchParams as Query | undefined);
    try {
      return (await this.#got(this.#address(path), {
        ...options,
        method,
        searchParams,
        responseType: "text",
      } as OptionsInit)) as Response<string>;
    } catch (error) {
      throw failure(this.#connection, error);
    }
  }

  #address(path: string): string {
    return new URL(path, this.url.href).href;
  }
}

function upload(body: Readable, sizeBytes: number, socket: number) {
  const headers = { "content-type": "application/octet-stream", "content-length": String(sizeBytes) };
  return { body, headers, retry: { limit: 0 }, timeout: { connect: CONNECT_MS, socket } };
}

function offsetIn(headers: Response["headers"]): number | null {
  const text = headers["upload-offset"];
  return typeof text === "string" && /^\d{1,15}$/.test(text) ? Number(text) : null;
}

function withoutUndefined(query: Query | undefined): Record<string, string | number> {
  return Object.fromEntries(
    Object.entries(query ?? {}).filter((entry): entry is [string, string | number] => entry[1] !== undefined),
  );
}
