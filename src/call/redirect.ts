/** A redirect where a model was asked: an SDK that followed it would go around Perennial. */
import { Failure } from "../core/failure.ts";
import type { ReplyHeaders } from "../core/reply.ts";

/**
 * @param asked the whole URL that was asked.
 * @param path the part of it behind `baseUrl`.
 * @returns a failure that names the address to put in `baseUrl`.
 */
export function redirected(status: number, headers: ReplyHeaders, asked: string, path: string): Failure {
  const target = targetOf(headers, asked);
  const where = target === undefined ? "" : ` to ${target}`;
  const advice = adviceFor(target, asked, path);
  return new Failure("upstream_status", `the upstream redirects (HTTP status ${status})${where}: ${advice}`, {
    status: 502,
    scope: "never",
  });
}

/** Scheme, host and path: a query, or a user's name, may hold a secret. */
function targetOf({ location }: ReplyHeaders, asked: string): string | undefined {
  if (typeof location !== "string" || !URL.canParse(location, asked)) return undefined;
  const { protocol, host, pathname } = new URL(location, asked);
  return /^https?:$/.test(protocol) ? `${protocol}//${host}${pathname}` : undefined;
}

function adviceFor(target: string | undefined, asked: string, path: string): string {
  const [plain = ""] = path.split("?", 1);
  if (target === undefined) return "put the address that it means in baseUrl";
  const base = target.replace(/\/+$/, "").endsWith(plain) ? target.replace(/\/+$/, "").slice(0, -plain.length) : undefined;
  if (base === undefined) return "put the address that answers there in baseUrl";
  const [askedPlain = ""] = asked.split("?", 1);
  if (base === askedPlain.slice(0, -plain.length)) return "it wants this path in another form, and will want it the next time";
  return `put ${base} in baseUrl`;
}
