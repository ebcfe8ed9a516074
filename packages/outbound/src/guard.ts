import { MaiaError } from "@maia/domain";
import { normalAddress, whyNotPublic } from "./addresses.js";
import type { Resolve } from "./resolve.js";
import { hostName, type UrlAllow } from "./url-allow.js";

/** A URL that passed the guard, and the only addresses that it may be fetched from. */
export interface Target {
  readonly url: URL;
  readonly host: string;
  readonly port: number;
  readonly addresses: readonly string[];
}

const URL_MAX = 8 * 1_024;
const USUAL_PORTS = [80, 443];

/** A refusal by the guard; the message names the rule. */
export function blocked(message: string): MaiaError {
  return new MaiaError("URL_BLOCKED", message);
}

/**
 * Checks all about a URL that can be known without the network.
 * @throws {MaiaError} URL_BLOCKED naming the rule.
 */
export function checkUrl(text: string, allow: UrlAllow): { url: URL; host: string; port: number } {
  if (text.length > URL_MAX) throw blocked(`A URL has at most ${URL_MAX} characters`);
  const url = URL.parse(text);
  if (!url) throw blocked(`"${text.slice(0, 200)}" is no URL`);
  if (url.protocol !== "http:" && url.protocol !== "https:")
    throw blocked(`Only http: and https: may be fetched, not ${url.protocol}`);
  if (url.username || url.password) throw blocked("A URL must not carry a user name or password");
  const host = hostName(url);
  if (!host) throw blocked("The URL names no host");
  if (host === "unix") throw blocked("The host unix stands for socket files, which may not be fetched from");
  url.hostname = url.hostname.replace(/\.+$/, ""); // `localhost.` is the same host

  const port = Number(url.port || (url.protocol === "https:" ? 443 : 80));
  const address = normalAddress(host);
  if (address) checkAddress(address, port, allow);
  else if (!usualOrAllowed(port, allow.port(port))) throw blockedPort(port);
  return { url, host, port };
}

/**
 * Checks a URL and every address of its host. One blocked address blocks the host.
 * @throws {MaiaError} URL_BLOCKED naming the rule.
 */
export async function vet(text: string, allow: UrlAllow, resolve: Resolve): Promise<Target> {
  const { url, host, port } = checkUrl(text, allow);
  const literal = normalAddress(host);
  if (literal) return { url, host, port, addresses: [literal] };
  const found = await resolve(host);
  const addresses = found.map(
    (text) => normalAddress(text) ?? fail(`${host} resolves to "${text}", which is no address`),
  );
  if (addresses.length === 0) fail(`${host} has no address`);
  if (!allow.host(host, port)) for (const address of addresses) checkAddress(address, port, allow, host);
  return { url, host, port, addresses };
}

function checkAddress(address: string, port: number, allow: UrlAllow, name?: string): void {
  const allowed = allow.address(address, port);
  const reason = allowed ? null : whyNotPublic(address);
  if (reason) throw blocked(`${name ? `${name}: ` : ""}${reason}; MAIA_URL_ALLOW can permit it`);
  if (!usualOrAllowed(port, allowed)) throw blockedPort(port);
}

function usualOrAllowed(port: number, allowed: boolean): boolean {
  return allowed || USUAL_PORTS.includes(port);
}

function blockedPort(port: number): MaiaError {
  return blocked(
    `Port ${port} may not be fetched from, only ${USUAL_PORTS.join(" and ")}; MAIA_URL_ALLOW can permit it`,
  );
}

function fail(message: string): never {
  throw blocked(message);
}
