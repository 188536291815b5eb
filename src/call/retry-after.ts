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
  if (typeof after !== "string") return undefined;
  const date = parseHttpDate(after);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

/** The three forms of RFC 9110 §5.6.7; without these checks Date.parse would take "-1" for a year. */
function parseHttpDate(text: string): number {
  if (/GMT$/i.test(text)) return Date.parse(text);
  // What C's asctime() makes names no zone, and Date.parse would take it for the time of this machine.
  return /^\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}$/.test(text) ? Date.parse(`${text} GMT`) : Number.NaN;
}

/** Infinity for more than a number holds: it is no less a wait than one that is a little smaller. */
function toNumber(value: string | string[] | undefined): number | undefined {
  if (typeof value !== "string" || value.trim() === "") return undefined;
  const number = Number(value);
  return number >= 0 ? number : undefined;
}
