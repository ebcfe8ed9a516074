import type { IncomingMessage } from "node:http";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { invalid, MaiaError, parseJsonStrictly } from "@maia/domain";
import busboy from "busboy";
import { decodeUtf8 } from "./body.js";
import { HttpProblem } from "./problems.js";
import { steadily } from "./steadily.js";

export interface MultipartLimits {
  readonly filesMax: number;
  readonly jsonMaxBytes: number;
  readonly depthMax: number;
  /** How long nothing may come, in milliseconds. */
  readonly idleMs: number;
}

/** A file as it comes in. Whoever takes it reads it to its end. */
export interface UploadedPart {
  readonly name: string;
  readonly mime: string | null;
  readonly bytes: Readable;
}

/** What came: the request, and what was made of each file, in order. */
export interface Multipart<F> {
  readonly request: unknown;
  readonly files: readonly F[];
}

/** Takes a file; `request` is what was asked for, where that came first, and null where it did not. */
export type KeepPart<F> = (part: UploadedPart, signal: AbortSignal, request: Promise<unknown> | null) => Promise<F>;

/** RFC 2046 allows a boundary of 70 characters. */
const BOUNDARY_MAX = 70;

/**
 * Reads a multipart body: JSON in part `request`, files in parts `files`, each handed on as a stream while it comes in.
 * @throws {MaiaError} INVALID, TOO_LARGE, BAD_JSON; {HttpProblem} BAD_REQUEST where the body is no multipart or breaks off.
 */
export async function readMultipart<F>(
  req: IncomingMessage,
  limits: MultipartLimits,
  keep: KeepPart<F>,
): Promise<Multipart<F>> {
  return new MultipartReader(req, limits, keep).read();
}

class MultipartReader<F> {
  readonly #abort = new AbortController();
  readonly #files: Promise<F>[] = [];
  #request: Promise<string> | null = null;
  #failure: unknown = null;

  constructor(
    private readonly req: IncomingMessage,
    private readonly limits: MultipartLimits,
    private readonly keep: KeepPart<F>,
  ) {}

  async read(): Promise<Multipart<F>> {
    const parser = this.#parser();
    this.#abort.signal.addEventListener("abort", () => parser.destroy());
    try {
      await pipeline(steadily(this.req, this.limits.idleMs), parser, { signal: this.#abort.signal });
    } catch (error) {
      this.#fail(error);
    }
    const settled = await Promise.allSettled(this.#files);
    if (this.#failure) throw asProblem(this.#failure);
    const files = settled.map((result) => {
      if (result.status === "rejected") throw result.reason;
      return result.value;
    });
    return { request: await this.#json(), files };
  }

  #parser(): busboy.Busboy {
    const parser = open(this.req, this.limits);
    parser.on("file", (field, bytes, { filename, mimeType }) => this.#file(field, bytes, filename, mimeType));
    parser.on("field", (field, value, { valueTruncated }) => this.#field(field, value, valueTruncated));
    parser.on("filesLimit", () => this.#fail(tooManyFiles(this.limits)));
    parser.on("fieldsLimit", () =>
      this.#fail(new MaiaError("TOO_LARGE", "There are too many parts that are no files")),
    );
    parser.on("partsLimit", () => this.#fail(new MaiaError("TOO_LARGE", "There are too many parts")));
    return parser;
  }

  #file(field: string, bytes: Readable, name: string | undefined, mime: string): void {
    bytes.on("error", () => {}); // whoever reads it hears of it
    if (field === "request") this.#takeRequest(collect(bytes, this.limits.jsonMaxBytes));
    else if (field !== "files")
      this.#fail(notExpected(field, "is no part of this request; files go into parts named `files`"));
    else if (name === undefined) this.#fail(notExpected("files", "must be files, each with a file name"));
    else if (this.#files.length >= this.limits.filesMax) this.#fail(tooManyFiles(this.limits));
    else {
      const asked = this.#request && this.#json();
      const kept = this.keep({ name, mime: mime || null, bytes }, this.#abort.signal, asked);
      kept.catch((error) => this.#fail(error));
      this.#files.push(kept);
      return;
    }
    if (this.#failure) bytes.resume();
  }

  #field(field: string, value: string, isCut: boolean): void {
    if (field !== "request")
      this.#fail(notExpected(field, field === "files" ? "must be files, not text" : "is no part of this request"));
    else if (isCut)
      this.#fail(new MaiaError("TOO_LARGE", `The part request is larger than ${this.limits.jsonMaxBytes} bytes`));
    else this.#takeRequest(Promise.resolve(value));
  }

  #takeRequest(text: Promise<string>): void {
    text.catch((error) => this.#fail(error));
    if (this.#request) this.#fail(notExpected("request", "may be given once only"));
    else this.#request = text;
  }

  async #json(): Promise<unknown> {
    if (!this.#request) throw notExpected("request", "is missing: the part with the JSON of the job");
    return parseJsonStrictly(await this.#request, this.limits.depthMax);
  }

  /** The first failure counts; it ends everything that is still going on. */
  #fail(error: unknown): void {
    this.#failure ??= error;
    this.#abort.abort(this.#failure);
  }
}

function open(req: IncomingMessage, { filesMax, jsonMaxBytes }: MultipartLimits): busboy.Busboy {
  const boundary = /boundary="?([^";]*)"?/i.exec(req.headers["content-type"] ?? "")?.[1] ?? "";
  if (boundary === "" || boundary.length > BOUNDARY_MAX) throw broken("its boundary is missing or too long");
  try {
    return busboy({
      headers: req.headers,
      defParamCharset: "utf8",
      limits: {
        files: filesMax + 1,
        fields: 10,
        parts: filesMax + 2,
        fieldSize: jsonMaxBytes,
        fieldNameSize: 100,
        headerPairs: 20,
      },
    });
  } catch {
    throw broken("its header cannot be read");
  }
}

async function collect(bytes: Readable, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of bytes as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes) throw new MaiaError("TOO_LARGE", `The part request is larger than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return decodeUtf8(Buffer.concat(chunks));
}

function tooManyFiles({ filesMax }: MultipartLimits): MaiaError {
  return new MaiaError("TOO_LARGE", `There may be at most ${filesMax} files`);
}

function notExpected(part: string, message: string): MaiaError {
  const short = part.slice(0, 64);
  return invalid([{ pointer: `/${short}`, message: `the part ${JSON.stringify(short)} ${message}` }]);
}

function broken(why: string): HttpProblem {
  return new HttpProblem("BAD_REQUEST", `The body is no multipart/form-data: ${why}`);
}

/** What the parser throws is about the body, unless it is ours. */
function asProblem(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const isOurs = error.name === "MaiaError" || error.name === "HttpProblem";
  const isSystems = typeof (error as NodeJS.ErrnoException).syscall === "string";
  return isOurs || isSystems ? error : broken("it is malformed, or breaks off");
}
