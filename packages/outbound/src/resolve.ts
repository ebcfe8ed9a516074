import { lookup, Resolver } from "node:dns/promises";
import { MaiaError } from "@maia/domain";

/** Finds every address of a name. */
export type Resolve = (name: string) => Promise<string[]>;

/** How long a server may take to answer, in milliseconds, and how often it is asked. */
const ANSWER_MS = 2_000;
const TRIES = 3;

/** The system's own resolver, with `/etc/hosts`. */
export const systemResolve: Resolve = async (name) => (await lookup(name, { all: true })).map(({ address }) => address);

/**
 * Reads MAIA_URL_DNS: the DNS servers that names of URLs are looked up at, in place of the system's own resolver.
 * Addresses with or without a port, separated by commas or spaces; none: the system's own.
 * @throws {MaiaError} INVALID naming what is no such list.
 */
export function parseDns(text: string): Resolve {
  const servers = text.split(/[\s,]+/).filter(Boolean);
  if (servers.length === 0) return systemResolve;
  const resolver = new Resolver({ timeout: ANSWER_MS, tries: TRIES });
  try {
    resolver.setServers(servers);
  } catch {
    const message = `MAIA_URL_DNS is "${text}", but must be IP addresses, with or without a port: 9.9.9.9, [2620:fe::fe]:53`;
    throw new MaiaError("INVALID", message);
  }
  return async (name) => {
    const found = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)]);
    const addresses = found.flatMap((one) => (one.status === "fulfilled" ? one.value : []));
    const [failure] = found.filter((one) => one.status === "rejected").map(({ reason }) => reason);
    if (addresses.length === 0 && failure) throw failure; // having addresses of one family only is usual
    return addresses;
  };
}
