import { closeSync, constants, openSync } from "node:fs";
import { mkdir, readdir, rm } from "node:fs/promises";
import net from "node:net";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { codeOf } from "./errors.js";

/** The kernel holds about 107 bytes of a socket's path. */
const PATH_MAX_BYTES = 100;
const SUFFIX = ".sock";
/** A socket is bound a moment before it listens, and refuses connections in between. In milliseconds. */
const BIND_TO_LISTEN_MS = 20;

/** Whether the process behind a socket lives: a stopped one does, an ended one does not. */
export type Liveness = "alive" | "dead" | "unknown";

/** A folder with one unix socket for each process. */
export class SocketFolder {
  readonly #folder: string;
  /** The folder's file descriptor where its path is too long for a socket, else null. */
  readonly #fd: number | null;

  private constructor(folder: string, fd: number | null) {
    this.#folder = folder;
    this.#fd = fd;
  }

  static async open(folder: string): Promise<SocketFolder> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const tooLong = Buffer.byteLength(path.join(folder, "x".repeat(24) + SUFFIX)) > PATH_MAX_BYTES;
    return new SocketFolder(folder, tooLong ? openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY) : null);
  }

  /** The ids of the sockets that are there, live or not. */
  async list(): Promise<string[]> {
    const names = await readdir(this.#folder);
    return names.filter((name) => name.endsWith(SUFFIX)).map((name) => name.slice(0, -SUFFIX.length));
  }

  listen(id: string, onConnection: (socket: net.Socket) => void): Promise<net.Server> {
    const { promise, resolve, reject } = Promise.withResolvers<net.Server>();
    const server = net.createServer(onConnection);
    server.once("error", reject);
    server.listen(this.#address(id), () => resolve(server));
    server.unref();
    return promise;
  }

  /** @throws {Error} whose code says why not. */
  connect(id: string): Promise<net.Socket> {
    const { promise, resolve, reject } = Promise.withResolvers<net.Socket>();
    const socket = net.connect(this.#address(id));
    socket.once("error", reject);
    socket.once("connect", () => {
      socket.off("error", reject);
      resolve(socket);
    });
    return promise;
  }

  /** Knocks without a word. */
  async probe(id: string): Promise<Liveness> {
    for (let refusals = 0; ; ) {
      try {
        (await this.connect(id)).destroy();
        return "alive";
      } catch (error) {
        const code = codeOf(error);
        if (code === "EAGAIN") return "alive"; // its line of waiting connections is full
        if (code === "ENOENT") return "dead";
        if (code !== "ECONNREFUSED") return "unknown";
        if (++refusals === 2) return "dead";
        await sleep(BIND_TO_LISTEN_MS);
      }
    }
  }

  /** Removes what an ended process has left. */
  async remove(id: string): Promise<void> {
    await rm(path.join(this.#folder, id + SUFFIX), { force: true });
  }

  close(): void {
    if (this.#fd !== null) closeSync(this.#fd);
  }

  #address(id: string): string {
    return path.join(this.#fd === null ? this.#folder : `/proc/self/fd/${this.#fd}`, id + SUFFIX);
  }
}
