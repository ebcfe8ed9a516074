import { randomBytes } from "node:crypto";
import type net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { LocalBell } from "./bell.js";
import { codeOf, DbRefusal } from "./errors.js";
import { ID_CHARS, Peer } from "./peer.js";
import { type Liveness, SocketFolder } from "./sockets.js";
import type { Bell, BellTopic, DbLog } from "./types.js";

/** What a byte on the wire says. */
const letters = { engine: "g", events: "e" } as const satisfies Record<BellTopic, string>;
/** A commit that concerns no topic. */
const QUIET = "q";
/** The sender waits for the write lock. */
const WAITING = "w";
/** The sender goes, in good order. */
const GOODBYE = "b";

/** The doorbells of a process: its own, and those of the other processes on the same database. */
export class Bells implements AsyncDisposable {
  /** Names this process to `probe` in another one. */
  readonly id = randomBytes(ID_CHARS / 2).toString("hex");
  /** How often another process has told us of a commit. */
  heard = 0;
  /** Called when another process waits for the write lock. */
  onWaiting: () => void = () => {};
  readonly #topics: Record<BellTopic, LocalBell>;
  readonly #commits: LocalBell;
  readonly #peers = new Map<net.Socket, Peer>();
  #server: net.Server | null = null;
  #closed = false;

  private constructor(
    private readonly folder: SocketFolder,
    log: DbLog,
  ) {
    const onError = (error: unknown) => log("error", "a listener of a bell failed", { error });
    this.#commits = new LocalBell(onError);
    this.#topics = { engine: new LocalBell(onError), events: new LocalBell(onError) };
  }

  /** Hangs up this process's bell in the folder and finds the others. @throws {DbRefusal} where none can hang. */
  static async open(folder: string, log: DbLog): Promise<Bells> {
    try {
      const bells = new Bells(await SocketFolder.open(folder), log);
      bells.#server = await bells.folder.listen(bells.id, (socket) => bells.#join(socket, null));
      await bells.findPeers();
      return bells;
    } catch (cause) {
      throw new DbRefusal("DB_UNREACHABLE", `no socket can be made in ${folder} (${codeOf(cause)}).`, { cause });
    }
  }

  bell(topic: BellTopic): Bell {
    return this.#topics[topic];
  }

  /** Whether the process whose bell has this id lives. */
  async probe(id: string): Promise<Liveness> {
    return id === this.id ? "alive" : this.folder.probe(id);
  }

  /** Tells everybody of a commit: rings here, and a letter per topic to each of the others. */
  announce(topics: ReadonlySet<BellTopic>): void {
    if (this.#peers.size > 0)
      this.#send(topics.size === 0 ? QUIET : [...topics].map((topic) => letters[topic]).join(""));
    for (const topic of topics) this.#topics[topic].ring();
  }

  /** Tells the others that this process waits for the write lock. */
  sayWaiting(): void {
    this.#send(WAITING);
  }

  /** Waits until another process commits, `ms` milliseconds at the most. */
  async pause(ms: number): Promise<void> {
    const over = new AbortController();
    await Promise.race([sleep(ms), this.#commits.next(over.signal)]);
    over.abort();
  }

  /** Rings here as if anything might have happened. */
  ringAll(): void {
    for (const bell of Object.values(this.#topics)) bell.ring();
  }

  /** Connects to the bells in the folder that we do not know yet, and removes those of ended processes. */
  async findPeers(): Promise<void> {
    const known = new Set([this.id, ...[...this.#peers.values()].map(({ id }) => id)]);
    const strangers = this.#closed ? [] : (await this.folder.list()).filter((id) => !known.has(id));
    await Promise.all(
      strangers.map(async (id) => {
        const socket = await this.folder.connect(id).catch(() => null);
        if (socket) this.#join(socket, id);
        else if ((await this.folder.probe(id)) === "dead") await this.folder.remove(id);
      }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    for (const [socket, peer] of this.#peers) {
      peer.send(GOODBYE); // a few bytes are with the kernel at once
      socket.destroy();
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#server?.close(() => resolve());
    await promise;
    this.folder.close();
  }

  /** Keeps a connection, ours (its id is known) or theirs (they begin with their id). */
  #join(socket: net.Socket, id: string | null): void {
    const peer = new Peer(socket, id);
    this.#peers.set(socket, peer);
    socket.unref();
    socket.setEncoding("latin1");
    socket.on("error", () => {}); // "close" follows
    socket.on("data", (text: string) => this.#hear(peer, text));
    socket.on("close", () => {
      this.#peers.delete(socket);
      if (this.#closed || peer.id === null || peer.saidGoodbye) return;
      this.ringAll(); // it may have died between commit and bell
    });
    if (id !== null) peer.send(this.id);
  }

  #send(text: string): void {
    for (const peer of this.#peers.values()) peer.send(text);
  }

  #hear(peer: Peer, text: string): void {
    const said = new Set(peer.take(text));
    if (said.has(GOODBYE)) peer.saidGoodbye = true;
    if (said.has(WAITING)) this.onWaiting();
    if (!said.has(QUIET) && !said.has(letters.engine) && !said.has(letters.events)) return;
    this.heard += 1;
    this.#commits.ring();
    if (said.has(letters.engine)) this.#topics.engine.ring();
    if (said.has(letters.events)) this.#topics.events.ring();
  }
}
