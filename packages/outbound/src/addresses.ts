import { networkInterfaces } from "node:os";
import ipaddr from "ipaddr.js";

/** All IPv6 that the internet routes. The rest of what counts as unicast embeds IPv4 or is not given to anyone. */
const ROUTED_IPV6 = ipaddr.parseCIDR("2000::/3");

/** Answers from its own host only, though its address looks public: Azure's wire server. */
const HOST_ONLY = new Set(["168.63.129.16"]);

/** Where clouds give machines their credentials, besides the link-local 169.254.169.254. */
const METADATA = new Set(["168.63.129.16", "100.100.100.200", "192.0.0.192", "fd00:ec2::254"]);

/** What a TCP test may never reach; private ranges are its point. */
const NEVER_TESTED = new Set(["loopback", "linkLocal", "unspecified", "multicast", "broadcast"]);

/** The one spelling of an address: IPv4 inside IPv6 becomes IPv4, zones go. Null: it is no IP address. */
export function normalAddress(text: string): string | null {
  const bare = text.replace(/%.*$/, "");
  return ipaddr.isValid(bare) ? ipaddr.process(bare).toString() : null;
}

/** Why a URL may not lead to this address, or null where it is public. Takes what `normalAddress` gives. */
export function whyNotPublic(address: string): string | null {
  const parsed = ipaddr.parse(address);
  const range = parsed.range();
  if (range !== "unicast") return `${address} is not a public address (${range})`;
  if (parsed.kind() === "ipv6" && !parsed.match(ROUTED_IPV6)) return `${address} is not a public address (not routed)`;
  if (HOST_ONLY.has(address)) return `${address} is a cloud's metadata address`;
  if (isOwn(address)) return `${address} is an address of this host`;
  return null;
}

/** Why a TCP test may not connect to this address, or null where it may. */
export function whyNotTested(address: string): string | null {
  const parsed = ipaddr.parse(address);
  if (NEVER_TESTED.has(parsed.range())) return `${address} is not an address to test (${parsed.range()})`;
  if (METADATA.has(address)) return `${address} is a cloud's metadata address`;
  const inner = innerAddress(parsed);
  return inner ? whyNotTested(inner) : null;
}

/** The IPv4 address that a translator (NAT64, 6to4) or an old kernel would connect to. */
function innerAddress(parsed: ReturnType<typeof ipaddr.parse>): string | null {
  const bytes = parsed.toByteArray();
  const compatible = bytes.length === 16 && bytes.slice(0, 12).every((byte) => byte === 0);
  if (compatible || ["rfc6052", "rfc6145"].includes(parsed.range())) return bytes.slice(12).join(".");
  return parsed.range() === "6to4" ? bytes.slice(2, 6).join(".") : null;
}

function isOwn(address: string): boolean {
  const own = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return own.some((candidate) => normalAddress(candidate.address) === address);
}
