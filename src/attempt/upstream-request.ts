/** The request that an attempt sends: the client's own bytes, or the same request asked in another way. */
import type { CallOptions } from "../call/call-upstream.ts";
import type { WatchdogOptions } from "../call/watchdog.ts";
import type { ExchangeRequest } from "../core/exchange.ts";
import { isObject } from "../dialect/json.ts";
import { watchUpstream } from "../upstream/watched-upstream.ts";
import type { AttemptContext, DialectAttempt } from "./attempt-context.ts";

/** A call for an answer that is judged: with the client's own body, or with `body` in its place. */
export function dialectCall(
  context: DialectAttempt,
  watchdog: Omit<WatchdogOptions, "pausedMs">,
  body = context.exchange.request.body,
  set: Readonly<Record<string, string>> = {},
): CallOptions {
  const { method, body: original, plain } = context.exchange.request;
  const { model } = context.plan.candidate;
  const asked = model === undefined ? body : withModel(body === original ? (plain ?? body) : body, model);
  // A body that was rewritten is sent plain, whatever the client's was.
  const { "content-encoding": encoding, ...others } = context.exchange.request.headers;
  const headers = encoding === undefined || asked === original ? context.exchange.request.headers : others;
  return {
    ...callOf(context),
    // Asked for identity: a compressor holds back events, and a proxy cannot judge what it cannot read.
    request: {
      method,
      path: pathOf(context),
      headers,
      body: asked,
      idempotent: true,
      set: { ...set, "accept-encoding": "identity" },
    },
    watchdog: { ...watchdog, pausedMs: context.plan.candidate.policy.timeouts.total },
    answersBelow: 300,
    inflates: true,
  };
}

/** Where this upstream is asked. */
export function pathOf({ exchange, plan }: Pick<AttemptContext, "exchange" | "plan">): string {
  return plan.candidate.path ?? exchange.request.path;
}

/** What the client asked, for what this upstream calls the model. */
export function upstreamBody({ plan }: Pick<AttemptContext, "plan">, parsed: unknown): unknown {
  const { model } = plan.candidate;
  return model === undefined || !isObject(parsed) ? parsed : { ...parsed, model };
}

/** The same request for what this upstream calls the model. */
function withModel(body: ExchangeRequest["body"], model: string): ExchangeRequest["body"] {
  if (!Buffer.isBuffer(body)) return body;
  const parsed = parseExactly(body.toString("utf8"));
  return isObject(parsed) ? Buffer.from(JSON.stringify({ ...parsed, model })) : body;
}

/** What all calls of an attempt have in common. */
export function callOf({ exchange, plan, attempt, signal, propagated, limits, held, output, onLimit }: AttemptContext) {
  const { upstream } = plan.candidate;
  return {
    upstream: exchange.recording === undefined ? upstream : watchUpstream(upstream, exchange.recording),
    attempt,
    signal,
    propagated,
    onDrain: output.onDrain,
    onTaken: output.onTaken,
    onLimit,
    maxReplyBytes: limits.maxBodyBytes,
    held,
  } satisfies Partial<CallOptions>;
}

/** The client's request, asked streamed or not, whichever way the client asked. Undefined for what can be asked in one way only. */
export function bodyAsked({ exchange, dialect, held }: DialectAttempt, stream: boolean): Buffer | undefined {
  const asked = dialect.askStreamed(parsedBody(exchange.request), stream);
  if (asked === undefined) return undefined;
  const altered = Buffer.from(JSON.stringify(asked));
  // Beside the client's own, which may have to be sent as well.
  held.add(altered.length);
  return altered;
}

/** What the client asked, ready to be asked in another way. */
export function parsedBody({ body, plain }: ExchangeRequest): unknown {
  const bytes = plain ?? (Buffer.isBuffer(body) ? body : Buffer.from("{}"));
  return parseExactly(bytes.toString("utf8"));
}

/** JSON whose large numbers come out again as they were: a seed of 64 bits would lose its last digits. */
export function parseExactly(text: string): unknown {
  const keepNumber = (_key: string, value: unknown, { source }: { source?: string } = {}): unknown =>
    typeof value === "number" && source !== undefined && Math.abs(value) > Number.MAX_SAFE_INTEGER ? rawJSON(source) : value;
  // With a function for each value it takes ten times as long, and most bodies hold no such number.
  return MAY_HOLD_LARGE_NUMBER.test(text) ? JSON.parse(text, keepNumber) : JSON.parse(text);
}

const MAY_HOLD_LARGE_NUMBER = /\d{16}|\d[eE]\+?\d/;

/** In every Node that is supported, but not in TypeScript's library yet. */
const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown };
