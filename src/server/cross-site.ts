/** Guards against cross-site requests and DNS rebinding while no key is needed. */
import type { IncomingHttpHeaders } from "node:http";
import { BlockList, isIP } from "node:net";

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet("127.0.0.0", 8);
LOOPBACK.addAddress("::1", "ipv6");

const PRIVATE = new BlockList();
for (const [network, bits] of [
  ["10.0.0.0", 8],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.168.0.0", 16],
] as const)
  PRIVATE.addSubnet(network, bits);
for (const [network, bits] of [
  ["::1", 128],
  ["fc00::", 7],
  ["fe80::", 10],
] as const)
  PRIVATE.addSubnet(network, bits, "ipv6");

/**
 * A browser on this machine can reach what listens here, on behalf of any page that is open in it; such a page shows in `Origin`, also where its
 * own name was made to point to this machine (DNS rebinding). Programs send no `Origin`, and desktop apps one that is no web address.
 * To read what is its own, as it believes, a page sends none either: then its name is in `Host`.
 * @param isAllowed whether a page with this origin may use the proxy.
 */
export function isFromForeignPage(
  method: string,
  { origin, host, "sec-fetch-site": site }: IncomingHttpHeaders,
  isAllowed: (origin: string) => boolean,
): boolean {
  if (origin !== undefined) return !isAllowed(origin);
  if (site === "cross-site") return true;
  const isRead = method === "GET" || method === "HEAD";
  return isRead && Boolean(host) && !isLocal(nameIn(`http://${host}`));
}

/** @param hostname as `URL` gives it. Names under `localhost` never leave this machine (RFC 6761 §6.3). */
export function isLoopbackName(hostname: string): boolean {
  const name = hostname.replace(/^\[|\]$|\.$/g, "");
  const version = isIP(name);
  return version === 0 ? /^(.+\.)?localhost$/.test(name) : LOOPBACK.check(name, version === 6 ? "ipv6" : "ipv4");
}

function nameIn(url: string): string {
  return URL.canParse(url) ? new URL(url).hostname.replace(/^\[|\]$|\.$/g, "") : "unreadable.invalid";
}

/** Private addresses, names without a dot and names of the local network: no page from elsewhere has such a name. */
function isLocal(name: string): boolean {
  const version = isIP(name);
  if (version !== 0) return PRIVATE.check(name, version === 6 ? "ipv6" : "ipv4");
  return !name.includes(".") || /\.(localhost|local|internal|lan|home\.arpa|test)$/.test(name);
}
