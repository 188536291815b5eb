/** How long to wait, told in a body: `estimated_time` (Hugging Face), `retry_after`, Google's RetryInfo, OpenRouter's reset. */
import { isObject, type JsonObject, objectsOf } from "./json.ts";

/** Units of a duration as Go, and JSON made by Google's servers, write it: `6m0s`, `1.5s`, `59.99s`, `120ms`, `34s`. */
const UNITS: ReadonlyMap<string, number> = new Map([
  ["ns", 1e-6],
  ["us", 1e-3],
  ["µs", 1e-3],
  ["μs", 1e-3],
  ["ms", 1],
  ["s", 1_000],
  ["m", 60_000],
  ["h", 3_600_000],
  ["d", 86_400_000],
]);
const DURATION = /^(?:\d+(?:\.\d+)?(?:ns|us|µs|μs|ms|s|m|h|d))+$/;
const DURATION_PARTS = /(\d+(?:\.\d+)?)(ns|us|µs|μs|ms|s|m|h|d)/g;

/** A Go duration in milliseconds, or undefined when it is none. */
export function parseDuration(text: string): number | undefined {
  const trimmed = text.trim();
  if (!DURATION.test(trimmed)) return undefined;
  let ms = 0;
  for (const [, number, unit = ""] of trimmed.matchAll(DURATION_PARTS)) ms += Number(number) * (UNITS.get(unit) ?? 0);
  return ms;
}

/** Larger numbers of seconds, or of milliseconds, are times since 1970, not spans: September 2001 in either. */
const EPOCH_S = 1e9;
const EPOCH_MS = 1e12;

/**
 * When a budget comes back, in milliseconds from `now`: a Go duration, seconds, seconds or milliseconds since 1970, or a date.
 * A time that has passed is no wait.
 */
export function parseReset(value: unknown, now: number): number | undefined {
  if (typeof value === "number" || (typeof value === "string" && /^\s*\d+(?:\.\d+)?\s*$/.test(value))) {
    const number = Number(value);
    if (!(number >= 0)) return undefined;
    if (number >= EPOCH_MS) return Math.max(0, number - now);
    return number >= EPOCH_S ? Math.max(0, number * 1_000 - now) : number * 1_000;
  }
  if (typeof value !== "string") return undefined;
  const span = parseDuration(value);
  if (span !== undefined) return span;
  // As Anthropic writes it. Date.parse would take much else for a date.
  const date = /^\d{4}-\d\d-\d\dT\d\d:\d\d/.test(value) ? Date.parse(value) : Number.NaN;
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

/** Headers that gateways copy into a body (`error.metadata.headers`), in any case. */
function headersIn(error: JsonObject): unknown {
  const { metadata } = error;
  return isObject(metadata) ? metadata.headers : undefined;
}

/**
 * The wait in milliseconds that an error's body asks for; undefined when it does not.
 * @param readHeaders reads the headers that a gateway got and copied into the body.
 */
export function waitToldIn(
  body: JsonObject,
  now: number,
  readHeaders: (headers: Readonly<Record<string, string>>) => number | undefined = (headers) =>
    parseReset(headers["x-ratelimit-reset"], now),
): number | undefined {
  const error = isObject(body.error) ? body.error : {};
  for (const told of [error, body]) {
    const ms = told.retry_after_ms ?? told.retryAfterMs;
    if (typeof ms === "number" && ms >= 0) return ms;
    for (const seconds of [told.estimated_time, told.retry_after, told.retryAfter]) {
      const wait = parseReset(seconds, now);
      if (wait !== undefined) return wait;
    }
    for (const { retryDelay } of objectsOf(told.details)) {
      const wait = typeof retryDelay === "string" ? parseDuration(retryDelay) : undefined;
      if (wait !== undefined) return wait;
    }
    const headers = headersIn(told);
    if (isObject(headers)) {
      const texts = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), String(value)] as const);
      const wait = readHeaders(Object.fromEntries(texts));
      if (wait !== undefined) return wait;
    }
  }
  return undefined;
}
