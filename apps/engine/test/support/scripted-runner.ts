import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { encodeFrame, encodeFrames, type Frame } from "@maia/runner-protocol";

export const sha256 = (bytes: string | Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

/** What the artifact of `aSession` holds. */
export const REPORT = Buffer.from("# Report\n\nAll is well: é日🙂\n");

/** A session as a runner records it, with every kind of frame, and characters of more than one byte. */
export function aSession(attemptId: string): Frame[] {
  const at = "2026-11-20T12:00:00.123Z";
  return [
    { type: "started", seq: 1, attemptId, epoch: 1, pid: 4711, isolation: "sandbox" },
    { type: "log", seq: 2, stream: "stdout", line: "reading é日🙂", at },
    {
      type: "log",
      seq: 3,
      stream: "stderr",
      line: '{"type":"exit","lastSeq":3,"exitCode":0,"signal":null,"reason":"exited","error":null}',
      at,
    },
    { type: "truncated", seq: 4, lines: 12, bytes: 650 },
    { type: "log", seq: 5, stream: "system", line: "", at },
    {
      type: "artifact",
      seq: 6,
      name: "report.md",
      sha256: sha256(REPORT),
      sizeBytes: REPORT.length,
      mime: "text/markdown",
    },
    { type: "output", seq: 7, data: { ok: true, rows: [1, 2, 3] } },
    { type: "exit", lastSeq: 7, exitCode: 0, signal: null, reason: "exited", error: null },
  ];
}

/** What the scripted runner does with a stream: the bytes that it sends, and whether the connection then ends properly. */
export interface Piece {
  readonly bytes: Buffer;
  readonly end: "properly" | "cut" | "silent";
}

/** A runner that says what the test has written down. */
export class ScriptedRunner implements AsyncDisposable {
  ledgerId = "led_one";
  readonly blobs = new Map<string, Buffer>([[sha256(REPORT), REPORT]]);
  readonly posts: string[] = [];
  readonly attaches: number[] = [];
  /** What came along with each task, in base64. */
  readonly inline: { readonly [sha256: string]: string }[] = [];
  readonly alive: string[] = [];
  /** The next answers to streams; when none is left, the rest of the session comes whole. */
  pieces: (Piece | { readonly status: number; readonly code: string; readonly missing?: string[] })[] = [];
  /** Where blobs break off, once each. */
  blobCuts: number[] = [];
  session: readonly Frame[] = [];
  readonly #server = createServer((req, res) => void this.#answer(req, res));

  async listen(port = 0): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(port, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The bytes of the session from a frame on. */
  bytesFrom(seq: number): Buffer {
    return Buffer.from(
      encodeFrames(this.session.filter((frame) => frame.type === "exit" || ("seq" in frame && frame.seq >= seq))),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    res.setHeader("maia-ledger", this.ledgerId);
    const chunks: Buffer[] = [];
    for await (const chunk of req) chunks.push(chunk);
    const url = new URL(req.url!, "http://runner");
    if (url.pathname === "/healthz") return json(res, 200, { ok: true, isolation: "sandbox" });
    if (req.headers["maia-ledger"] !== undefined && req.headers["maia-ledger"] !== this.ledgerId)
      return json(res, 409, { code: "LEDGER_CHANGED" });
    if (url.pathname === "/v1/exec/alive") {
      this.alive.push(...JSON.parse(Buffer.concat(chunks).toString()).attempts);
      res.writeHead(204).end();
    } else if (url.pathname.startsWith("/v1/blobs/"))
      this.#blob(req, res, url.pathname.slice(10), Buffer.concat(chunks));
    else if (url.pathname.endsWith("/cancel")) json(res, 200, {});
    else {
      const fromSeq = Number(url.searchParams.get("fromSeq") ?? 1);
      if (req.method === "POST") {
        this.posts.push(req.headers["maia-ledger"] as string);
        this.inline.push(JSON.parse(Buffer.concat(chunks).toString()).inline ?? {});
      } else this.attaches.push(fromSeq);
      this.#stream(res, fromSeq);
    }
  }

  #stream(res: ServerResponse, fromSeq: number): void {
    const next = this.pieces.shift() ?? { bytes: this.bytesFrom(fromSeq), end: "properly" };
    if ("status" in next) {
      json(res, next.status, next);
      return;
    }
    res.writeHead(200, { "content-type": "application/x-ndjson" });
    res.flushHeaders();
    const finish = () => {
      if (next.end === "properly") res.end();
      if (next.end === "cut") res.socket?.resetAndDestroy();
    };
    if (next.bytes.length === 0) setImmediate(finish);
    else res.write(next.bytes, () => setImmediate(finish));
  }

  #blob(req: IncomingMessage, res: ServerResponse, hash: string, body: Buffer): void {
    if (req.method === "PUT") {
      this.blobs.set(hash, body);
      json(res, 201, {});
      return;
    }
    const blob = this.blobs.get(hash);
    if (!blob) {
      json(res, 404, { code: "NOT_FOUND" });
      return;
    }
    const start = Number(/^bytes=(\d+)-$/.exec(req.headers.range ?? "")?.[1] ?? 0);
    res.writeHead(start > 0 ? 206 : 200, { "content-length": blob.length - start });
    const cut = this.blobCuts.shift();
    if (cut === undefined) res.end(blob.subarray(start));
    else res.write(blob.subarray(start, start + cut), () => setImmediate(() => res.socket?.resetAndDestroy()));
  }
}

function json(res: ServerResponse, status: number, value: object): void {
  res.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
}

/** Heartbeats as bytes. */
export const HEARTBEAT = Buffer.from(encodeFrame({ type: "heartbeat" }));
