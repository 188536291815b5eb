/** What an upstream's reply says about trying again: `x-should-retry`, `retry-after-ms`, `retry-after`. */

type HeaderValues = Readonly<Record<string, string | string[] | undefined>>;

/** OpenAI's servers say it outright, and it wins over the status. */
export function readShouldRetry(headers: HeaderValues): boolean | undefined {
  const value = headers["x-should-retry"];
  if (value === "true") return true;
  if (value === "false") return false;
  return undefined;
}

/**
 * How long the upstream asks us to wait, in milliseconds: `retry-after-ms` first, then `retry-after` in seconds
 * or as a date (RFC 9110 §10.2.3). Undefined when it does not say, or says nothing sensible.
 */
export function readRetryAfterMs(headers: HeaderValues, now: number): number | undefined {
  const ms = toNumber(headers["retry-after-ms"]);
  if (ms !== undefined) return ms;
  const after = headers["retry-after"];
  const seconds = toNumber(after);
  if (seconds !== undefined) return seconds * 1_000;
  // Date.parse takes "-1" for a year; every HTTP date ends in GMT.
  if (typeof after !== "string" || !after.endsWith("GMT")) return undefined;
  const date = Date.parse(after);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

function toNumber(value: string | string[] | undefined): number | undefined {
  if (typeof value !== "string" || value.trim() === "") return undefined;
  const number = Number(value);
  return Number.isFinite(number) && number >= 0 ? number : undefined;
}
