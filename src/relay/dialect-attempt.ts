/** What every attempt at an answer in a known dialect has to work with, and the request it sends. */
import type { AttemptContext } from "../attempt/attempt-loop.ts";
import type { CallOptions } from "../attempt/call-upstream.ts";
import type { WatchdogOptions } from "../attempt/watchdog.ts";
import type { Dialect, DialectRequest } from "../core/dialect.ts";
import type { Exchange } from "../core/exchange.ts";
import type { ClientResponse } from "../downstream/client-response.ts";
import type { RelayOptions } from "./relay-options.ts";

export interface DialectAttempt extends AttemptContext {
  readonly exchange: Exchange;
  readonly dialect: Dialect;
  readonly asked: DialectRequest;
  readonly response: ClientResponse;
  readonly options: RelayOptions;
}

/** A call with the client's own bytes, or with `body` in their place. */
export function callFor(context: DialectAttempt, watchdog: WatchdogOptions, body = context.exchange.request.body): CallOptions {
  const { exchange, attempt, options } = context;
  const { path, method } = exchange.request;
  // A body that was rewritten is sent plain, whatever the client's was.
  const { "content-encoding": encoding, ...others } = exchange.request.headers;
  const headers = encoding === undefined || body === exchange.request.body ? exchange.request.headers : others;
  return {
    upstream: options.upstream,
    attempt,
    signal: exchange.signal,
    // Asked for identity: a compressor holds back events, and a proxy cannot judge what it cannot read.
    request: { method, path, headers, body, repeatable: true, set: { "accept-encoding": "identity" } },
    watchdog,
    answersBelow: 300,
    maxReplyBytes: options.limits.maxBodyBytes,
  };
}

/** The client's request, asked streamed or not, whichever way the client asked. Undefined for what can be asked in one way only. */
export function bodyAsked({ exchange, dialect }: DialectAttempt, stream: boolean): Buffer | undefined {
  const { body, plain } = exchange.request;
  const bytes = plain ?? (Buffer.isBuffer(body) ? body : Buffer.from("{}"));
  const parsed = parseExactly(bytes.toString("utf8"));
  const asked = dialect.askStreamed(parsed, stream);
  return asked === undefined ? undefined : Buffer.from(JSON.stringify(asked));
}

/** JSON whose large numbers come out again as they were: a seed of 64 bits would lose its last digits. */
function parseExactly(text: string): unknown {
  const keepNumber = (_key: string, value: unknown, { source }: { source?: string } = {}): unknown =>
    typeof value === "number" && source !== undefined && Math.abs(value) > Number.MAX_SAFE_INTEGER ? rawJSON(source) : value;
  // With a function for each value it takes ten times as long, and most bodies hold no such number.
  return MAY_HOLD_LARGE_NUMBER.test(text) ? JSON.parse(text, keepNumber) : JSON.parse(text);
}

const MAY_HOLD_LARGE_NUMBER = /\d{16}|\d[eE]\+?\d/;

/** In every Node that is supported, but not in TypeScript's library yet. */
const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown };
