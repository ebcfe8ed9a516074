import { normalAddress, whyNotTested } from "./addresses.js";
import { connectTo } from "./agent.js";
import { blocked } from "./guard.js";
import { type Resolve, systemResolve } from "./resolve.js";
import { allowNothing, type UrlAllow } from "./url-allow.js";

export interface ConnectionRequest {
  readonly host: string;
  readonly port: number;
  readonly timeoutMs: number;
  readonly allow?: UrlAllow;
  readonly resolve?: Resolve;
}

/** `detail` says why there was no connection. */
export interface ConnectionResult {
  readonly result: "SUCCESS" | "TIMEOUT";
  readonly host: string;
  readonly port: number;
  readonly detail?: string;
}

/**
 * Tries one TCP connection, to the first address of the host, without sending or reading a byte.
 * @throws {MaiaError} URL_BLOCKED for loopback, link-local and metadata addresses, unless they are allowed.
 */
export async function testConnection(request: ConnectionRequest): Promise<ConnectionResult> {
  const { host, port, timeoutMs, allow = allowNothing, resolve = systemResolve } = request;
  refuseTestTarget(host, port, allow);
  const late = Date.now() + timeoutMs;
  const failed = (detail: string): ConnectionResult => ({ result: "TIMEOUT", host, port, detail });

  const addresses = await lookUp(host, resolve, timeoutMs);
  if (typeof addresses === "string") return failed(addresses);
  for (const address of addresses) requireTestable(host, address, port, allow);
  try {
    const socket = await connectTo(addresses[0]!, port, Math.max(late - Date.now(), 1));
    socket.destroy();
    return { result: "SUCCESS", host, port };
  } catch (error) {
    return failed(error instanceof Error ? error.message : String(error));
  }
}

/**
 * Refuses what is known without asking anybody to be no target of a test: for whoever passes the test on to another host,
 * where names may lead elsewhere.
 * @throws {MaiaError} URL_BLOCKED
 */
export function refuseTestTarget(host: string, port: number, allow: UrlAllow = allowNothing): void {
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw blocked(`${port} is no TCP port`);
  const name = spelledHost(host).replace(/\.+$/, "");
  const literal = normalAddress(name);
  if (literal) requireTestable(host, literal, port, allow);
  else if (/(^|\.)localhost$/.test(name)) requireTestable(host, "127.0.0.1", port, allow);
}

function requireTestable(host: string, address: string, port: number, allow: UrlAllow): void {
  const reason = allow.host(host, port) || allow.address(address, port) ? null : whyNotTested(address);
  if (reason) throw blocked(`${reason}; MAIA_URL_ALLOW can permit it`);
}

/** A host as URLs spell it, without brackets; empty where it is none. */
function spelledHost(host: string): string {
  const spelled = URL.parse(`http://${host.includes(":") ? `[${host}]` : host}/`)?.hostname ?? "";
  return spelled.replace(/^\[|\]$/g, "");
}

/** Every address of a host, or in words why there is none. */
async function lookUp(host: string, resolve: Resolve, timeoutMs: number): Promise<string[] | string> {
  const spelled = spelledHost(host);
  const literal = normalAddress(spelled);
  if (literal) return [literal];
  if (!spelled || host.length > 255) return `"${host.slice(0, 255)}" is no host`;
  const late = new Promise<string>((give) => {
    setTimeout(give, timeoutMs, `${host} could not be looked up within ${timeoutMs} ms`).unref();
  });
  try {
    const found = await Promise.race([resolve(spelled.replace(/\.+$/, "")), late]);
    if (typeof found === "string") return found;
    const addresses = found.flatMap((address) => normalAddress(address) ?? []);
    return addresses.length > 0 ? addresses : `${host} has no address`;
  } catch (error) {
    return `${host} could not be looked up (${(error as NodeJS.ErrnoException).code ?? error})`;
  }
}
