import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";

const run = promisify(execFile);

/** What is needed, and the package that brings it. */
const TOOLS = { ip: "iproute2", nft: "nftables" } as const;

/** Why networks of their own cannot be made here; null: they can. */
export async function whyNot(): Promise<string | null> {
  if (process.platform !== "linux") return `network namespaces are Linux's, and this is ${process.platform}`;
  if (process.getuid?.() !== 0) return "only root may make network namespaces and join them to this host";
  for (const [tool, name] of Object.entries(TOOLS)) {
    const error = await failure(run(tool, ["-V"]));
    if (error) return `the program ${tool} is missing (${error}); the package ${name} brings it`;
  }
  const error = await failure(tryOut());
  return error && `this host does not let us: ${error}`;
}

async function tryOut(): Promise<void> {
  await using _ = await Namespace.open(1);
}

/** A network with one way out: over a pair of virtual cables to an address of this host, and there to one port. */
export class Namespace implements AsyncDisposable {
  readonly name = `maia-${process.pid}`;
  /** Puts a command into it. */
  readonly within = ["ip", "netns", "exec", this.name] as const;
  /** This host's address at the other end of the cable. */
  readonly outside = `10.213.${process.pid % 250}.1`;
  /** Its own address. */
  readonly inside = `10.213.${process.pid % 250}.2`;
  readonly #cable = `mv${process.pid}`;

  static async open(port: number): Promise<Namespace> {
    const space = new Namespace();
    try {
      await space.#build(port);
      return space;
    } catch (error) {
      await space[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #build(port: number): Promise<void> {
    const { name, outside, inside } = this;
    const cable = this.#cable;
    await run("ip", ["netns", "add", name]);
    await run("ip", ["link", "add", cable, "type", "veth", "peer", "name", "out", "netns", name]);
    await run("ip", ["addr", "add", `${outside}/30`, "dev", cable]);
    await run("ip", ["link", "set", cable, "up"]);
    await run("ip", ["-n", name, "addr", "add", `${inside}/30`, "dev", "out"]);
    await run("ip", ["-n", name, "link", "set", "out", "up"]);
    await this.#rules(`
      table inet maia {
        chain in { type filter hook input priority 0; policy drop; ct state established accept; }
        chain out { type filter hook output priority 0; policy drop; ip daddr ${outside} tcp dport ${port} accept; }
      }`);
  }

  /** Lets everybody in, so that what is refused is refused since nobody listens. */
  async unlock(): Promise<void> {
    await this.#rules("flush table inet maia\ndelete table inet maia");
  }

  /** Pulls the cable, or puts it back. */
  async cable(state: "up" | "down"): Promise<void> {
    await run("ip", ["link", "set", this.#cable, state]);
  }

  /** The sockets in it that somebody could send to: those that listen, and all that are not bound to one peer. */
  async openSockets(pid: number): Promise<string[]> {
    const tables = ["tcp", "tcp6", "udp", "udp6"];
    const found = await Promise.all(
      tables.map(async (table) => {
        const rows = (await readFile(`/proc/${pid}/net/${table}`, "utf8")).trim().split("\n").slice(1);
        const open = rows.filter((row) => table.startsWith("udp") || row.trim().split(/\s+/)[3] === LISTEN);
        return open.map((row) => `${table} ${row.trim()}`);
      }),
    );
    return found.flat();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await failure(run("ip", ["link", "del", this.#cable])); // what was not made need not go
    await failure(run("ip", ["netns", "del", this.name]));
  }

  async #rules(text: string): Promise<void> {
    const nft = run("ip", ["netns", "exec", this.name, "nft", "-f", "-"]);
    nft.child.stdin?.end(text);
    await nft;
  }
}

/** The state of a listening socket in /proc/net. Source: Linux, include/net/tcp_states.h */
const LISTEN = "0A";

async function failure(promise: Promise<unknown>): Promise<string | null> {
  try {
    await promise;
    return null;
  } catch (error) {
    return (error as Error).message.trim();
  }
}
