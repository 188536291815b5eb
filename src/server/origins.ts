/** Which web pages may use this proxy, and what their browsers must hear so that they may read what it says (CORS). */
import type { IncomingHttpHeaders, ServerResponse } from "node:http";
import { isLoopbackName } from "./cross-site.ts";

export interface OriginRules {
  /** No key is needed since only this machine can connect: then pages are served by where they are from. */
  readonly localOnly: boolean;
  /** `cors.origins`, as browsers write them. */
  readonly corsOrigins: readonly string[];
}

/** A browser may keep the answer to a preflight for so long, in seconds; Chrome keeps none longer. */
const PREFLIGHT_SECONDS = "7200";
const METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
/** What a page may read beside the body; by default it is hardly any. */
const EXPOSED = "x-perennial-id, x-perennial-attempts, x-perennial-upstream, x-request-id, retry-after, x-should-retry";

/**
 * A key, or `open: true`, opens the door to any page. Without either a page must be one of this machine, or a named one. What is no web
 * address is an app or an extension, which its user has installed. `null` is any page that hides where it is from.
 */
export function isAllowedOrigin(origin: string, { localOnly, corsOrigins }: OriginRules): boolean {
  if (!localOnly || corsOrigins.includes(origin.toLowerCase())) return true;
  if (origin === "null") return false;
  return !/^https?:/i.test(origin) || (URL.canParse(origin) && isLoopbackName(new URL(origin).hostname));
}

/** Says it on the response itself, so that whatever is sent has it: errors, heartbeats, and answers. What the upstream says of it wins. */
export function setCorsHeaders(headers: IncomingHttpHeaders, response: ServerResponse, rules: OriginRules): void {
  const { origin } = headers;
  if (origin === undefined || !isAllowedOrigin(origin, rules)) return;
  response.setHeader("access-control-allow-origin", origin);
  response.setHeader("access-control-expose-headers", EXPOSED);
  response.setHeader("vary", "origin");
}

/** A browser's question whether a page may ask. It carries no key, so no upstream can answer it. */
export function isPreflight(method: string, headers: IncomingHttpHeaders): boolean {
  return method === "OPTIONS" && headers.origin !== undefined && headers["access-control-request-method"] !== undefined;
}

/** What an allowed page is told beside {@link setCorsHeaders}. */
export function preflightHeaders(headers: IncomingHttpHeaders): Record<string, string> {
  const asked = headers["access-control-request-headers"];
  return {
    "access-control-allow-methods": METHODS,
    ...(asked === undefined ? {} : { "access-control-allow-headers": asked }),
    // For pages of other networks that ask for what is on this machine, as some browsers call it.
    ...(headers["access-control-request-private-network"] === "true" ? { "access-control-allow-private-network": "true" } : {}),
    "access-control-max-age": PREFLIGHT_SECONDS,
    vary: "origin, access-control-request-method, access-control-request-headers",
  };
}
