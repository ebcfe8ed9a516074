import { MaiaError } from "@maia/domain";
import ipaddr from "ipaddr.js";
import { normalAddress } from "./addresses.js";

/** What an operator lets URL inputs reach although the guard would refuse it. */
export interface UrlAllow {
  host(name: string, port: number): boolean;
  address(address: string, port: number): boolean;
  /** Whether anything at all may be reached at this port. */
  port(port: number): boolean;
}

interface Entry {
  readonly port: number | null;
  readonly matchesHost: (name: string) => boolean;
  readonly matchesAddress: (address: string) => boolean;
}

/**
 * Reads MAIA_URL_ALLOW: hosts, `host:port`s and CIDRs, separated by commas or spaces. An entry without a port stands for
 * every port.
 * @throws {MaiaError} INVALID naming the entry that is none of these.
 */
export function parseUrlAllow(text: string): UrlAllow {
  const entries = text
    .split(/[\s,]+/)
    .filter(Boolean)
    .map(parseEntry);
  const at = (port: number) => entries.filter((entry) => entry.port === null || entry.port === port);
  return {
    host: (name, port) => at(port).some((entry) => entry.matchesHost(name)),
    address: (address, port) => at(port).some((entry) => entry.matchesAddress(address)),
    port: (port) => at(port).length > 0,
  };
}

/** Nothing but the public internet. */
export const allowNothing: UrlAllow = parseUrlAllow("");

function parseEntry(text: string): Entry {
  if (ipaddr.isValidCIDR(text)) return { port: null, matchesHost: () => false, matchesAddress: inRange(text) };
  const bare = normalAddress(text);
  if (bare) return { port: null, matchesHost: () => false, matchesAddress: (address) => address === bare };

  const url = URL.parse(`http://${text}/`);
  const explicit = /:(\d+)$/.exec(text)?.[1];
  const name = url && isHostText(text) ? hostName(url) : "";
  const address = normalAddress(name);
  if (!address && !HOST_NAME.test(name)) throw new MaiaError("INVALID", problemOf(text));
  const port = explicit === undefined ? null : Number(explicit);
  if (address) return { port, matchesHost: () => false, matchesAddress: (candidate) => candidate === address };
  return { port, matchesHost: (candidate) => candidate === name, matchesAddress: () => false };
}

/** As a URL spells it: in ASCII, and small. */
const HOST_NAME = /^[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?$/;

function problemOf(text: string): string {
  const wanted = "such as files.example.org, files.example.org:8080 or 10.1.0.0/16";
  const more = text.includes("*") ? "; there are no wildcards, so name each host, or a range of addresses" : "";
  return `MAIA_URL_ALLOW: "${text}" is no host, host:port or CIDR ${wanted}${more}`;
}

function isHostText(text: string): boolean {
  return /^(\[[0-9a-f:.]+\]|[^\s/\\@?#:[\]]+)(:\d{1,5})?$/i.test(text);
}

function inRange(cidr: string): (address: string) => boolean {
  const [network, bits] = ipaddr.parseCIDR(cidr);
  return (address) => {
    const parsed = ipaddr.parse(address);
    return parsed.kind() === network.kind() && parsed.match(network, bits);
  };
}

/** The host of a URL, without the brackets of IPv6 and the dots at the end of a full name. */
export function hostName(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, "").replace(/\.+$/, "");
}
