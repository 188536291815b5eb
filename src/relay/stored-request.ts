/** A client's request as it is kept for a replica that may have to go on with its answer: what it asks, and nothing of who asks. */
import { isUtf8 } from "node:buffer";
import type { ExchangeRequest } from "../core/exchange.ts";
import type { StoredRequest } from "../run/takeover.ts";

/** All that is kept of its headers. What is not named here, such as credentials and cookies, is not. */
const HEADERS: readonly string[] = [
  "accept",
  "accept-language",
  "anthropic-beta",
  "anthropic-version",
  "content-type",
  "openai-beta",
  "user-agent",
  "x-perennial-first-token-timeout",
  "x-perennial-gate",
  "x-perennial-idle-timeout",
  "x-perennial-max-attempts",
  "x-perennial-recovery",
  "x-perennial-total-timeout",
  "x-stainless-arch",
  "x-stainless-lang",
  "x-stainless-os",
  "x-stainless-package-version",
  "x-stainless-runtime",
  "x-stainless-runtime-version",
];

/** All that may stand in its query: some APIs take keys there. */
const PARAMETERS: ReadonlySet<string> = new Set(["api-version", "beta"]);

/** @returns undefined for a request that is not kept: it is too large, or what it asks cannot be told from who asks. */
export function storedRequest(
  { method, path, headers, body, plain = body }: Omit<ExchangeRequest, "plain"> & { readonly plain?: ExchangeRequest["body"] },
  maxBytes: number,
): StoredRequest | undefined {
  const names = new URLSearchParams(path.split("?")[1] ?? "").keys();
  if (![...names].every((name) => PARAMETERS.has(name))) return undefined;
  if (!Buffer.isBuffer(plain) || plain.length > maxBytes || !isUtf8(plain)) return undefined;
  const kept = HEADERS.filter((name) => headers[name] !== undefined).map((name) => [name, headers[name]]);
  return { method, path, headers: Object.fromEntries(kept), body: plain.toString("utf8") };
}
