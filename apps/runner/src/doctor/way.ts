import { lookup } from "node:dns/promises";
import { request } from "node:http";
import { request as requestTls } from "node:https";
import { connect, isIP, type Socket } from "node:net";
import { connect as connectTls, type PeerCertificate, type TLSSocket } from "node:tls";
import { isExcluded, type ReachConfig } from "../gateway/reach.js";
import { NotNeeded, Trouble } from "./findings.js";

/** Which way the gateway is reached, as the runner's own connections go. */
export interface Way {
  readonly gateway: Target;
  readonly isEncrypted: boolean;
  /** With the name of the variable that says so; null: directly. */
  readonly proxy: (Target & { readonly url: URL; readonly variable: string }) | null;
}

interface Target {
  readonly host: string;
  readonly port: number;
}

/** Certificates of authorities besides Node's own; undefined: those alone. */
type Authorities = readonly string[] | undefined;

/** How long one step of the way may take. In milliseconds. */
const STEP_MS = 10_000;

export function wayOf(address: string, { proxyHttp, proxyHttps, proxyExcludes }: ReachConfig): Way {
  const url = new URL(address);
  const isEncrypted = url.protocol === "https:";
  const proxy = isEncrypted ? proxyHttps : proxyHttp;
  const variable = isEncrypted ? "PROXY_HTTPS" : "PROXY_HTTP";
  const isDirect = !proxy || isExcluded(url.hostname, proxyExcludes);
  return { gateway: targetOf(url), isEncrypted, proxy: isDirect ? null : { ...targetOf(proxy), url: proxy, variable } };
}

function targetOf({ hostname, port, protocol }: URL): Target {
  const host = hostname.replace(/^\[|\]$/g, "");
  return { host, port: port === "" ? (protocol === "https:" ? 443 : 80) : Number(port) };
}

/** Looks the name up that this host connects to: the proxy's where there is one, which looks up the rest itself. */
export async function checkDns({ gateway, proxy }: Way): Promise<string> {
  const { host } = proxy ?? gateway;
  if (isIP(host)) throw new NotNeeded(`${host} is an address`);
  try {
    const addresses = await within(lookup(host, { all: true }), `the lookup of ${host}`);
    return `${host} is ${addresses.map(({ address }) => address).join(", ")}`;
  } catch (error) {
    const variable = proxy?.variable ?? "MAIA_GATEWAY_URL";
    throw new Trouble(
      `the name ${host} cannot be looked up (${codeOf(error)})`,
      `Correct the name in ${variable}, or this host's DNS (/etc/resolv.conf, /etc/hosts)`,
      { cause: error },
    );
  }
}

export async function checkTcp(way: Way, authorities: Authorities): Promise<string> {
  const socket = await openSocket(way, authorities);
  socket.destroy();
  const { gateway, proxy } = way;
  const to = `${gateway.host}:${gateway.port}`;
  return proxy ? `${to} is reached through the proxy ${proxy.host}:${proxy.port}` : `${to} accepts connections`;
}

/** Has the certificate checked as the runner's own calls do. */
export async function checkTls(way: Way, authorities: Authorities): Promise<string> {
  if (!way.isEncrypted) throw new NotNeeded("the address begins with http://");
  const { host } = way.gateway;
  const socket = await openSocket(way, authorities);
  const secure = connectTls({ socket, host, ...expecting(host, authorities) });
  try {
    await within(answered(secure, "secureConnect"), "the TLS handshake");
    const certificate = secure.getPeerCertificate();
    return `the certificate of ${nameOf(certificate)} holds until ${until(certificate)}`;
  } catch (error) {
    throw new Trouble(tlsProblem(error, host), tlsFix(codeOf(error), host), { cause: error });
  } finally {
    secure.destroy();
    socket.destroy();
  }
}

/** For which name a certificate is to be, and by whom. */
function expecting(host: string, authorities: Authorities): { servername?: string; ca?: string[] } {
  return { ...(isIP(host) ? {} : { servername: host }), ...(authorities ? { ca: [...authorities] } : {}) };
}

/** A connection to the gateway, through the proxy where there is one. @throws {Trouble} */
async function openSocket({ gateway, proxy }: Way, authorities: Authorities): Promise<Socket> {
  if (proxy) return openTunnel(gateway, proxy, authorities);
  const { host, port } = gateway;
  const socket = connect({ host, port });
  try {
    await within(answered(socket, "connect"), "the connection");
    return socket;
  } catch (error) {
    socket.destroy();
    throw new Trouble(
      `${host}:${port} does not accept a connection (${codeOf(error)})`,
      "See that Maia listens there, that the port in MAIA_GATEWAY_URL is right, and that no firewall is between; where only a proxy leads out, set PROXY_HTTPS",
      { cause: error },
    );
  }
}

async function openTunnel(
  gateway: Target,
  { host, port, url, variable }: NonNullable<Way["proxy"]>,
  authorities: Authorities,
): Promise<Socket> {
  const user = url.username === "" ? null : `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  const target = `${gateway.host.includes(":") ? `[${gateway.host}]` : gateway.host}:${gateway.port}`;
  const headers = {
    host: target,
    ...(user === null ? {} : { "proxy-authorization": `Basic ${Buffer.from(user).toString("base64")}` }),
  };
  const options = { host, port, method: "CONNECT", path: target, headers, agent: false } as const;
  const asked =
    url.protocol === "https:" ? requestTls({ ...options, ...expecting(host, authorities) }) : request(options);
  const opened = new Promise<{ status: number; socket: Socket }>((resolve, reject) => {
    asked.once("connect", (answer, socket) => resolve({ status: answer.statusCode ?? 0, socket: socket as Socket }));
    asked.once("response", (answer) => resolve({ status: answer.statusCode ?? 0, socket: answer.socket }));
    asked.once("error", reject);
    asked.end();
  });
  const { status, socket } = await within(opened, "the proxy's answer").catch((error: unknown) => {
    asked.destroy();
    const message = `the proxy ${host}:${port} does not accept a connection (${codeOf(error)})`;
    const fix = UNTRUSTED.test(codeOf(error))
      ? TRUST_IT
      : `Correct ${variable}, or name the gateway's host in PROXY_EXCLUDES`;
    throw new Trouble(message, fix, { cause: error });
  });
  if (status === 200) return socket;
  socket.destroy();
  const fix =
    status === 407
      ? `Put the proxy's user into ${variable}, as http://user:password@host:port`
      : `Have the proxy let this host through to ${target}, or name the host in PROXY_EXCLUDES`;
  throw new Trouble(`the proxy ${host}:${port} does not open a way to ${target} (status ${status})`, fix);
}

/** Nobody vouches for the certificate whom Node trusts. */
const UNTRUSTED = /SELF_SIGNED|UNABLE_TO|CERT_UNTRUSTED/;
const TRUST_IT =
  "Put the certificate of the authority that signed it into a file, and its path into CUSTOM_CERT_LOCATION";

const certificateFixes: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: "Renew the certificate of the gateway; if it is valid, set the clock of this host",
  CERT_NOT_YET_VALID: "Set the clock of this host, or wait until the certificate of the gateway begins to hold",
};

function tlsFix(code: string, host: string): string {
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID")
    return `Use the name that the certificate is for in MAIA_GATEWAY_URL, or issue one for ${host}`;
  if (UNTRUSTED.test(code)) return TRUST_IT;
  return certificateFixes[code] ?? "See that the gateway speaks TLS on this port; an http:// address needs no TLS";
}

function tlsProblem(error: unknown, host: string): string {
  return `the certificate or the handshake of ${host} is not accepted (${codeOf(error)}: ${(error as Error).message})`;
}

function nameOf({ subject, subjectaltname }: PeerCertificate): string {
  return subjectaltname ?? String(subject?.CN ?? "the gateway");
}

function until({ valid_to }: PeerCertificate): string {
  const at = new Date(valid_to);
  return Number.isNaN(at.getTime()) ? valid_to : at.toISOString().slice(0, 10);
}

function answered(socket: Socket | TLSSocket, event: "connect" | "secureConnect"): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once(event, () => resolve());
    socket.once("error", reject);
    socket.once("close", () => reject(new Error("the connection was closed")));
  });
}

async function within<T>(promise: Promise<T>, what: string): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`${what} took more than ${STEP_MS / 1_000} s`)), STEP_MS);
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

function codeOf(error: unknown): string {
  const { code, message } = error as { code?: unknown; message?: unknown };
  return typeof code === "string" ? code : String(message ?? error);
}
