/** Headers across the proxy, in both directions: hop-by-hop fields end here (RFC 9110 §7.6.1). */
import type { Headers } from "../core/exchange.ts";

/** Meant for the next hop only, or set anew by it. undici refuses some of them outright. */
const HOP_BY_HOP = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "proxy-authenticate",
  "proxy-authorization",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);
const NOT_FORWARDED = new Set([...HOP_BY_HOP, "host", "content-length", "expect"]);
/** `alt-svc` would lead the client around the proxy; `strict-transport-security` speaks for the upstream's host, not for ours. */
const NOT_RETURNED = new Set([...HOP_BY_HOP, "alt-svc", "strict-transport-security"]);
const CREDENTIALS = ["authorization", "x-api-key", "api-key"];
/** Who else an account may be known by, at one company or another. */
const ACCOUNT =
  /^(?:cookie|authentication|openai-(?:organization|project)|ocp-apim-.*|cf-(?:aig|access)-.*|http-referer|x-(?:amz|goog|ms|auth|access|session|csrf|forwarded-(?:user|email|access-token))-?.*)$|(?:^|[-_])(?:api[-_]?key|token|secret|credentials?|password|signature|auth|authorization)(?:$|[-_])/;
/** The same in a query. */
const ACCOUNT_PARAMETER = /^(?:(?:api|access|subscription|auth)[-_]?)?(?:key|token|sig|signature|secret|password|code)$/i;

export interface RequestHeaderPolicy {
  /** Sent in place of whatever the client sent. */
  readonly apiKey: string | undefined;
  readonly keyHeader: "authorization" | "x-api-key" | "api-key";
  /** The client's credentials open our own door and are not for the upstream. */
  readonly dropCredentials: boolean;
  /** They are meant for another upstream. */
  readonly isForeign?: boolean;
}

/** The client's headers as the upstream may see them. */
export function toUpstreamHeaders(headers: Headers, policy: RequestHeaderPolicy): Record<string, string | string[]> {
  const forwarded = without(headers, NOT_FORWARDED);
  if (policy.apiKey !== undefined || policy.dropCredentials) {
    for (const name of CREDENTIALS) delete forwarded[name];
  }
  if (policy.isForeign) for (const name of Object.keys(forwarded)) if (isCredential(name)) delete forwarded[name];
  if (policy.apiKey !== undefined) {
    forwarded[policy.keyHeader] = policy.keyHeader === "authorization" ? `Bearer ${policy.apiKey}` : policy.apiKey;
  }
  return forwarded;
}

function isCredential(name: string): boolean {
  return CREDENTIALS.includes(name) || ACCOUNT.test(name);
}

/** A path as the upstream may see it: some APIs take keys in the query. */
export function toUpstreamPath(path: string, { isForeign }: Pick<RequestHeaderPolicy, "isForeign">): string {
  const mark = path.indexOf("?");
  if (!isForeign || mark === -1) return path;
  const kept = path
    .slice(mark + 1)
    .split("&")
    .filter((pair) => !isCredentialParameter(pair));
  return path.slice(0, mark) + (kept.length > 0 ? `?${kept.join("&")}` : "");
}

function isCredentialParameter(pair: string): boolean {
  const name = pair.split("=", 1)[0] ?? "";
  try {
    return ACCOUNT_PARAMETER.test(decodeURIComponent(name));
  } catch {
    return true;
  }
}

/** The upstream's headers as the client may see them. `content-length` is kept: the caller knows whether it still holds. */
export function toClientHeaders(headers: Headers): Record<string, string | string[]> {
  return without(headers, NOT_RETURNED);
}

const NONE: ReadonlySet<string> = new Set();

/** The fields that `connection` names, which are for the next hop only as well. */
function namedBy(connection: string | string[] | undefined): ReadonlySet<string> {
  // Nearly always, and dropped whether it is named or not.
  if (connection === undefined || connection === "keep-alive") return NONE;
  return new Set(
    String(connection)
      .split(",")
      .map((name) => name.trim().toLowerCase()),
  );
}

/** Without what ends here; `x-perennial-*` is between the client and us, and the upstream may neither see nor forge it. */
function without(headers: Headers, dropped: ReadonlySet<string>): Record<string, string | string[]> {
  const named = namedBy(headers.connection);
  const kept: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || dropped.has(name) || named.has(name) || name.startsWith("x-perennial-")) continue;
    kept[name] = value;
  }
  return kept;
}
