/** What an upstream's reply says about trying again: `x-should-retry`, `retry-after`, a budget's reset, a wait in its body. */
import { parseObject } from "../dialect/json.ts";
import { parseDuration, parseReset, waitToldIn } from "../dialect/told-wait.ts";

/** What else of a reply tells how long to wait. */
export interface ReplyRead {
  /** @defaultValue 429 */
  readonly status?: number;
  readonly body?: Buffer;
}

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
 * or as a date (RFC 9110 §10.2.3), then the reset of the budget that is used up, then its body.
 * Undefined when it does not say, or says nothing sensible.
 */
export function readRetryAfterMs(headers: HeaderValues, now: number, reply: ReplyRead = {}): number | undefined {
  const { status = 429, body } = reply;
  // Budgets come with every reply; what they say is the reason of a refusal for being too many, or too busy.
  const isBudget = status === 429 || status === 503 || status === 529;
  const told = readRetryAfter(headers, now) ?? (isBudget ? readBudgetReset(headers, now) : undefined);
  if (told !== undefined || body === undefined) return told;
  const json = parseObject(body.toString("utf8"));
  return json && waitToldIn(json, now, (copied) => readRetryAfter(copied, now) ?? readBudgetReset(copied, now));
}

function readRetryAfter(headers: HeaderValues, now: number): number | undefined {
  const ms = toNumber(headers["retry-after-ms"]);
  if (ms !== undefined) return ms;
  const after = headers["retry-after"];
  const seconds = toNumber(after);
  if (seconds !== undefined) return seconds * 1_000;
  if (typeof after !== "string") return undefined;
  const span = parseDuration(after);
  if (span !== undefined) return span;
  const date = parseHttpDate(after);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

/** `x-ratelimit-remaining-requests` (OpenAI, Groq, Azure), `anthropic-ratelimit-tokens-remaining`, `x-ratelimit-remaining`, `ratelimit-remaining`. */
const REMAINING = /^(?:x-|anthropic-)?ratelimit-(?:(?:remaining)(?:-(.+))?|(.+)-remaining)$/;

/** When the budget comes back that is used up; the longest wait, where several are. Budgets that hold something are no reason to wait. */
export function readUsedUp(headers: HeaderValues, now: number): number | undefined {
  let longest: number | undefined;
  for (const [name, remaining] of Object.entries(headers)) {
    if (!REMAINING.test(name) || !(toNumber(remaining) === 0)) continue;
    const reset = parseReset(headers[name.replace("remaining", "reset")], now);
    if (reset !== undefined) longest = Math.max(longest ?? 0, reset);
  }
  return longest;
}

function readBudgetReset(headers: HeaderValues, now: number): number | undefined {
  const usedUp = readUsedUp(headers, now);
  if (usedUp !== undefined) return usedUp;
  // Without a word of what remains, one reset for all is what the refusal is about.
  const hasRemaining = Object.keys(headers).some((name) => REMAINING.test(name));
  return hasRemaining ? undefined : parseReset(headers["x-ratelimit-reset"] ?? headers["ratelimit-reset"], now);
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
