import { randomBytes } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { decodeFrames, type ExitFrame, type Frame, FrameSequence, type Poll, type Task } from "@maia/runner-protocol";
import { sha256 } from "./tasks.js";

export const CLIENT = { id: "runner-1", secret: "a-secret-that-only-these-tests-know" };
const HEARTBEAT_MS = 200;

/** What the gateway knows of an attempt. */
interface Known {
  readonly task: Task;
  readonly sequence: FrameSequence;
  readonly frames: Frame[];
  exit: ExitFrame | null;
  isEnded: boolean;
}

type Answer = readonly [status: number, body?: object | Uint8Array | null];

const problem = (status: number, code: string, more: object = {}): Answer => [status, { code, detail: code, ...more }];

/** A gateway that does what the protocol says, as strictly as it can, and what a test wants besides. */
export class TestGateway implements AsyncDisposable {
  secret = CLIENT.secret;
  tokenSeconds = 900;
  generation = 0;
  /** Bodies of all polls that came. */
  readonly polls: Poll[] = [];
  readonly hellos: object[] = [];
  readonly goodbyes: string[] = [];
  readonly exchanges: string[] = [];
  /** How often the task of each attempt was handed over. */
  readonly handed = new Map<string, number>();
  /** How often each blob was asked for or put. */
  readonly fetched = new Map<string, number>();
  readonly blobs = new Map<string, Uint8Array>();
  readonly results: { id: string; result: object }[] = [];
  /** Answers a request before the gateway does, or breaks its connection. */
  intercept: (method: string, path: string, res: ServerResponse) => Answer | "cut" | null = () => null;
  /** True: tasks are handed over in every poll, whatever the runner says that it has. */
  repeats = false;
  /** So many transactions are open on the instance, as its polls are told. */
  openTransactions = 0;
  readonly #known = new Map<string, Known>();
  readonly #commands = new Map<string, object>();
  readonly #heldBack = new Set<string>();
  #tokens = new Set<string>();
  #ring = Promise.withResolvers<void>();

  private constructor(
    private readonly server: Server,
    private readonly scheme: "http" | "https",
  ) {
    server.on("request", (req: IncomingMessage, res: ServerResponse) => void this.#answer(req, res));
  }

  static async open(tls: { cert: string; key: string } | null = null, port = 0): Promise<TestGateway> {
    const server = tls ? createTlsServer(tls) : createServer();
    await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
    return new TestGateway(server, tls ? "https" : "http");
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  get url(): string {
    return `${this.scheme}://127.0.0.1:${this.port}`;
  }

  /** Binds an attempt whose task is held back. */
  offerLater(task: Task, bytes: Map<string, Uint8Array>): void {
    this.offer({ task, bytes });
    this.#heldBack.add(task.attemptId);
  }

  /** Binds an attempt to the instance. */
  offer({ task, bytes }: { task: Task; bytes: Map<string, Uint8Array> }): Task {
    for (const [hash, content] of bytes) this.blobs.set(hash, content);
    this.#known.set(task.attemptId, {
      task,
      sequence: new FrameSequence(task.attemptId),
      frames: [],
      exit: null,
      isEnded: false,
    });
    this.wake();
    return task;
  }

  command(command: { id: string; type: string }): void {
    this.#commands.set(command.id, command);
    this.wake();
  }

  /** True once the runner has confirmed the command. */
  isTaken(id: string): boolean {
    return !this.#commands.has(id);
  }

  /** Ends an attempt here, as an engine does that has given it up. */
  end(attemptId: string): void {
    this.#known.get(attemptId)!.isEnded = true;
  }

  framesOf(attemptId: string): readonly Frame[] {
    return this.#known.get(attemptId)!.frames;
  }

  /** The log lines of the step itself. */
  linesOf(attemptId: string): string[] {
    return this.framesOf(attemptId).flatMap((frame) =>
      frame.type === "log" && frame.stream === "stdout" ? [frame.line] : [],
    );
  }

  exitOf(attemptId: string): ExitFrame | null {
    return this.#known.get(attemptId)!.exit;
  }

  get lastPoll(): Poll | undefined {
    return this.polls.at(-1);
  }

  /** Refuses all tokens that it has given out. */
  dropTokens(): void {
    this.#tokens = new Set();
  }

  /** Breaks all connections. */
  cutAll(): void {
    this.server.closeAllConnections();
  }

  wake(): void {
    const { resolve } = this.#ring;
    this.#ring = Promise.withResolvers();
    resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    this.wake();
    this.cutAll();
    await closed;
  }

  async #answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const [method, path] = [req.method ?? "", req.url ?? ""];
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of req) chunks.push(chunk);
    } catch {
      return; // the connection broke
    }
    const early = this.intercept(method, path, res);
    if (early === "cut") return void req.socket.resetAndDestroy();
    const [status, body = null] = early ?? (await this.#route(req, method, path, Buffer.concat(chunks)));
    if (body === null) return void res.writeHead(status).end();
    if (body instanceof Uint8Array) return void res.writeHead(status, { "content-length": body.length }).end(body);
    res.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  }

  async #route(req: IncomingMessage, method: string, path: string, body: Buffer): Promise<Answer> {
    if (path === "/oauth/token") return this.#exchange(body);
    if (!this.#tokens.has(req.headers.authorization?.replace(/^Bearer /, "") ?? ""))
      return problem(401, "UNAUTHENTICATED");
    if (path === "/v1/gateway/instances") return this.#hello(JSON.parse(body.toString()));
    if (Number(req.headers["maia-generation"]) < this.generation) return problem(409, "SUPERSEDED");
    const [, what = "", id = "", rest = "", hash = ""] =
      /^\/v1\/gateway\/(instances|attempts)\/([^/]+)\/?([^/]*)\/?([^/]*)$/.exec(path) ?? [];
    if (what === "instances" && method === "DELETE") return this.#goodbye(id);
    if (what === "instances") return this.#poll(JSON.parse(body.toString()), Number(req.headers["maia-generation"]));
    const known = this.#known.get(id);
    if (!known || req.headers["maia-attempt-token"] !== known.task.token) return problem(404, "NOT_FOUND");
    if (known.isEnded) return problem(409, "ATTEMPT_ENDED");
    return rest === "frames" ? this.#frames(known, body) : this.#blob(method, hash, body);
  }

  #exchange(body: Buffer): Answer {
    const form = new URLSearchParams(body.toString());
    this.exchanges.push(form.get("client_secret") ?? "");
    if (form.get("client_id") !== CLIENT.id || form.get("client_secret") !== this.secret)
      return [401, { error: "invalid_client", code: "UNAUTHENTICATED", detail: "its secret is another one" }];
    const token = randomBytes(9).toString("hex");
    this.#tokens.add(token);
    return [200, { access_token: token, token_type: "Bearer", expires_in: this.tokenSeconds }];
  }

  #hello(hello: object): Answer {
    this.hellos.push(hello);
    return [201, { instanceId: "ins_1", generation: ++this.generation, heartbeatMs: HEARTBEAT_MS }];
  }

  #goodbye(id: string): Answer {
    this.goodbyes.push(id);
    return [204];
  }

  async #poll(poll: Poll, generation: number): Promise<Answer> {
    this.polls.push(poll);
    for (const id of poll.gotCommands) this.#commands.delete(id);
    this.results.push(...(poll.results ?? []));
    const late = performance.now() + HEARTBEAT_MS;
    const no = this.polls.length;
    this.wake(); // a second poll ends the first
    for (;;) {
      const rung = this.#ring.promise;
      if (this.polls.length > no) return [200, { tasks: [], commands: [], openTransactions: this.openTransactions }];
      if (generation < this.generation) return problem(409, "SUPERSEDED");
      const tasks = this.#tasksFor(poll);
      const commands = [...this.#commands.values()];
      const leftMs = late - performance.now();
      if (tasks.length + commands.length > 0 || leftMs <= 0) {
        for (const { attemptId } of tasks) this.handed.set(attemptId, (this.handed.get(attemptId) ?? 0) + 1);
        return [200, { tasks, commands, openTransactions: this.openTransactions }];
      }
      await Promise.race([rung, new Promise((resolve) => setTimeout(resolve, leftMs))]);
    }
  }

  #tasksFor({ running, gotTasks, free }: Poll): Task[] {
    const has = new Set(this.repeats ? [] : [...running, ...gotTasks, ...this.#heldBack]);
    const open = [...this.#known.values()].filter(({ isEnded, task }) => !isEnded && !has.has(task.attemptId));
    return open.map(({ task }) => task).slice(0, this.repeats ? undefined : free);
  }

  async #frames(known: Known, body: Buffer): Promise<Answer> {
    const batch: Frame[] = [];
    for await (const frame of decodeFrames([body] as unknown as AsyncIterable<Uint8Array>)) batch.push(frame);
    const missing = batch.flatMap((frame) =>
      frame.type === "artifact" && !this.blobs.has(frame.sha256) ? [frame.sha256] : [],
    );
    if (missing.length > 0) return problem(412, "BLOB_MISSING", { missing });
    const { frames, state } = known.sequence.take(batch);
    known.frames.push(...frames.filter(({ type }) => type !== "exit"));
    if (state === "ended") {
      known.exit = frames.find((frame) => frame.type === "exit") ?? null;
      known.isEnded = true;
    }
    return [200, { ackedSeq: known.sequence.nextSeq - 1, ended: known.isEnded }];
  }

  #blob(method: string, hash: string, body: Buffer): Answer {
    this.fetched.set(hash, (this.fetched.get(hash) ?? 0) + 1);
    const bytes = this.blobs.get(hash);
    if (method === "PUT") {
      if (sha256(body) !== hash) return problem(422, "HASH_MISMATCH");
      this.blobs.set(hash, body);
      return [201, { sha256: hash }];
    }
    if (!bytes) return problem(404, "NOT_FOUND");
    return method === "HEAD" ? [200] : [200, bytes];
  }
}
