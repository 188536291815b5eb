/** The limits that one request must pass: those of each upstream that can be asked, and of its client's key. */
import { createHash } from "node:crypto";
import { partOf } from "../attempt/outage-door.ts";
import { parsedBody } from "../attempt/upstream-request.ts";
import type { Candidate } from "../balance/candidate.ts";
import { RateAccess } from "../balance/rate/rate-access.ts";
import type { RateLimiter } from "../balance/rate/rate-limiter.ts";
import { estimateTokens, type TokenEstimate } from "../balance/rate/token-estimate.ts";
import type { Exchange } from "../core/exchange.ts";

/** Where clients bring a key. */
const CREDENTIALS = ["authorization", "x-api-key", "api-key"] as const;

/** What is only looked up is asked of no model, and counts against no limit. */
const FREE: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "DELETE"]);

/** @param keyLimiter of the client's key; undefined where it has no limits. */
export function withLimits(
  exchange: Exchange,
  candidates: readonly Candidate[],
  keyLimiter: RateLimiter | undefined,
): { candidates: readonly Candidate[]; key: RateAccess | undefined } {
  if (FREE.has(exchange.request.method)) return { candidates, key: undefined };
  const estimate = onceOf(() => (exchange.api === undefined ? undefined : estimateTokens(parsedBody(exchange.request))));
  const accessTo = (limiter: RateLimiter, model: string, credential: string): RateAccess => {
    return new RateAccess(limiter, {
      model,
      credential,
      tokens: limiter.countsTokens(model) ? estimate() : undefined,
      priority: exchange.client?.priority ?? 0,
      arrivedAt: exchange.arrivedAt,
    });
  };
  const part = partOf(exchange);
  const brought = onceOf(() => digestOf(exchange));
  return {
    candidates: candidates.map((candidate) => {
      const { limiter, model, account, upstream } = candidate;
      if (limiter === undefined) return candidate;
      const credential = account ?? (upstream.getsClientKey ? brought() : "");
      return { ...candidate, rate: accessTo(limiter, model ?? part, credential) };
    }),
    key: keyLimiter && accessTo(keyLimiter, part, ""),
  };
}

/** A client's own credentials, told from others' without being held. */
function digestOf({ request }: Exchange): string {
  const presented = CREDENTIALS.map((name) => request.headers[name]).filter((value) => value !== undefined);
  return presented.length === 0 ? "" : createHash("sha256").update(JSON.stringify(presented)).digest("base64");
}

function onceOf<T extends TokenEstimate | string | undefined>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}
