/** A host to listen on, as the address at which a client on the same machine reaches it. */

/** Ready for a URL. The wildcards are for listening only. */
export function toClientHost(host: string): string {
  if (host === "0.0.0.0") return "127.0.0.1";
  if (host === "::") return "[::1]";
  return host.includes(":") ? `[${host}]` : host;
}
