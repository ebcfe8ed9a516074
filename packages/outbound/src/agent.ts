import { type AgentOptions, type ClientRequestArgs, Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { connect, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { connect as connectTls } from "node:tls";
import { normalAddress } from "./addresses.js";
import { blocked, type Target } from "./guard.js";

type Done = (error: Error | null, stream: Duplex) => void;

/**
 * Agents for one request to one vetted target. They connect to the vetted addresses and to nothing else, whatever the name
 * resolves to by then, and hand the socket over only after its real peer was compared with them: before any byte is sent,
 * also of TLS. No socket outlives its request.
 */
export function pinnedAgents(target: Target, connectMs: number): { http: HttpAgent; https: HttpsAgent } {
  const plain = (done: Done) => {
    connectPinned(target, connectMs).then(
      (socket) => done(null, socket),
      (error) => done(error, undefined as never),
    );
  };
  const secure = (options: ClientRequestArgs, done: Done) => {
    connectPinned(target, connectMs).then(
      (socket) => {
        const named = normalAddress(target.host) === null ? { servername: target.host } : {};
        done(
          null,
          connectTls({ ...(options as object), ...named, host: target.host, socket, ALPNProtocols: ["http/1.1"] }),
        );
      },
      (error) => done(error, undefined as never),
    );
  };
  return { http: new PinnedHttp((_, done) => plain(done)), https: new PinnedHttps(secure) };
}

type Connect = (options: ClientRequestArgs, done: Done) => void;
const NO_REUSE: AgentOptions = { keepAlive: false };

class PinnedHttp extends HttpAgent {
  constructor(private readonly connect: Connect) {
    super(NO_REUSE);
  }
  override createConnection(options: ClientRequestArgs, done: Done): undefined {
    this.connect(options, done);
  }
}

class PinnedHttps extends HttpsAgent {
  constructor(private readonly connect: Connect) {
    super(NO_REUSE);
  }
  override createConnection(options: ClientRequestArgs, done: Done): undefined {
    this.connect(options, done);
  }
}

/** Tries the addresses one after another; what fails last is the reason. */
async function connectPinned({ addresses, host, port }: Target, connectMs: number): Promise<Socket> {
  let failure: unknown;
  for (const address of addresses) {
    try {
      const socket = await connectTo(address, port, connectMs);
      const peer = normalAddress(socket.remoteAddress ?? "");
      if (peer === address) return socket;
      socket.destroy();
      throw blocked(`${host}: connected to ${peer}, which was not the address that had been checked`);
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

/** One TCP connection on which nothing has been sent. */
export function connectTo(address: string, port: number, withinMs: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address, port });
    const late = setTimeout(
      () => socket.destroy(new Error(`no connection to ${address} port ${port} within ${withinMs} ms`)),
      withinMs,
    );
    const settle = (done: () => void) => {
      clearTimeout(late);
      done();
    };
    socket.once("error", (error) => settle(() => reject(error)));
    socket.once("connect", () => settle(() => resolve(socket)));
  });
}
