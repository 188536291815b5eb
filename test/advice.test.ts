/** The advice of each failure: a sentence for every code, so that a new code is given one; and for every limit the name under which it is raised. */
import { describe, expect, test } from "vitest";
import type { Attempt } from "../src/core/attempt.ts";
import { createExchangeStats, type Exchange } from "../src/core/exchange.ts";
import { FAILURES, Failure, type FailureCode, type FailureDetails } from "../src/core/failure.ts";
import { openAiChat } from "../src/dialect/openai-chat.ts";
import { failureMessage } from "../src/relay/failure-message.ts";

const ATTEMPT: Attempt = { number: 1, upstream: "a", startedAt: 0, durationMs: 1, failure: undefined, status: undefined };

function exchangeOf(more: Partial<Exchange> = {}, stream = true): Exchange {
  const controller = new AbortController();
  return {
    id: "x",
    api: { dialect: openAiChat, request: { stream, model: "m", choices: 1, includeUsage: false } },
    request: { method: "POST", path: "/chat/completions", headers: {}, body: null },
    overrides: {},
    startedAt: 0,
    arrivedAt: 0,
    readAt: 0,
    signal: controller.signal,
    abort: () => {},
    attempts: [ATTEMPT],
    stats: createExchangeStats(),
    ...more,
  };
}

const BEFORE = "What happened. No text had arrived, after 1 attempt.";
const AGAIN = " Send the request again.";
const NEVER = " The same request would fail again.";
const ELSEWHERE = " This upstream would refuse the same request again.";

/** What is said behind the failure's own words and how far it had come. A new code does not compile before it is here. */
const ADVICE: Readonly<Record<FailureCode, string>> = {
  upstream_unreachable: AGAIN,
  upstream_status: AGAIN,
  first_token_timeout: AGAIN,
  stream_stalled: AGAIN,
  deadline_exceeded: NEVER,
  empty_stream: AGAIN,
  stream_truncated: AGAIN,
  stream_corrupted: AGAIN,
  upstream_error_event: AGAIN,
  overloaded: "",
  circuit_open: "",
  rate_limited: "",
  draining: " Send the request again in a moment.",
  unauthorized: NEVER,
  invalid_request: NEVER,
  body_too_large: NEVER,
  not_found: NEVER,
  stream_gone: NEVER,
  client_gone: "",
  internal_error: "",
};

/** The first words of each; people's programs look for some. */
const BEGINS = (code: FailureCode): string =>
  code === "stream_truncated" ? "Incomplete stream: what happened." : "What happened.";
const messageOf = (code: FailureCode, details: FailureDetails = {}, exchange = exchangeOf()): string =>
  failureMessage(new Failure(code, "what happened", details), exchange);

describe("every failure code", () => {
  test("has its advice here", () => {
    expect(Object.keys(ADVICE).sort()).toEqual(Object.keys(FAILURES).sort());
  });

  test.each(Object.entries(ADVICE) as [FailureCode, string][])("%s", (code, advice) => {
    expect(messageOf(code)).toBe(BEFORE.replace("What happened.", BEGINS(code)) + advice);
  });

  test.each(Object.keys(ADVICE) as FailureCode[])("%s, before anything was asked, says what happened", (code) => {
    const advice = code === "deadline_exceeded" ? NEVER : "";
    expect(messageOf(code, {}, exchangeOf({ attempts: [] }))).toBe(BEGINS(code) + advice);
  });

  const UNADVISED: ReadonlySet<FailureCode> = new Set([
    "overloaded",
    "circuit_open",
    "rate_limited",
    "internal_error",
    "draining",
    "client_gone",
  ]);
  test.each((Object.keys(ADVICE) as FailureCode[]).filter((code) => !UNADVISED.has(code)))(
    "%s is advised by what may still help",
    (code) => {
      expect(messageOf(code, { scope: "again" })).toMatch(/attempt\. Send the request again\.$/);
      expect(messageOf(code, { scope: "elsewhere" })).toBe(BEFORE.replace("What happened.", BEGINS(code)) + ELSEWHERE);
      expect(messageOf(code, { scope: "never" })).toBe(BEFORE.replace("What happened.", BEGINS(code)) + NEVER);
    },
  );
});

describe("a limit that was met is named", () => {
  test.each(["timeouts.firstToken", "timeouts.alive", "x-perennial-idle-timeout"])("%s", (setting) => {
    expect(messageOf("stream_stalled", { setting })).toBe(
      `${BEFORE}${AGAIN.slice(0, -1)}; if that happens each time, raise ${setting}.`,
    );
  });

  test("the deadline's is to be raised, or left by streaming, and not met again", () => {
    const details = { setting: "timeouts.total" };
    expect(messageOf("deadline_exceeded", details)).toBe(`${BEFORE} To get it whole, raise timeouts.total.`);
    const unstreamed = "What happened. No answer had arrived, after 1 attempt. To get it whole, raise timeouts.total, or stream.";
    expect(messageOf("deadline_exceeded", details, exchangeOf({}, false))).toBe(unstreamed);
  });
});

describe("how far it had come", () => {
  const come = (characters: number, bytes: number): Partial<Exchange> => ({
    stats: { ...createExchangeStats(), characters, bytes },
  });
  const NO_API = { api: undefined, request: { method: "POST", path: "/files", headers: {}, body: Buffer.from("") } };
  test.each<[string, Exchange, string]>([
    ["two attempts", exchangeOf({ attempts: [ATTEMPT, { ...ATTEMPT, number: 2 }] }), " No text had arrived, after 2 attempts."],
    ["some text", exchangeOf(come(7, 90)), " The answer is incomplete: 7 characters had arrived, after 1 attempt."],
    ["not streamed", exchangeOf({}, false), " No answer had arrived, after 1 attempt."],
    ["passed through, nothing", exchangeOf(NO_API), " No answer had arrived, after 1 attempt."],
    ["passed through, a part", exchangeOf({ ...NO_API, ...come(0, 5) }), " The answer is incomplete, after 1 attempt."],
  ])("%s", (_what, exchange, progress) => {
    const twice = exchange.api === undefined ? ", if it may be done twice" : "";
    expect(messageOf("empty_stream", {}, exchange)).toBe(`What happened.${progress} Send the request again${twice}.`);
  });

  test.each([
    ["", "What happened: . No"],
    ["no", "What happened: no. No"],
    ["no!", "What happened: no! No"],
    ["不行。", "What happened: 不行。 No"],
    ["really?", "What happened: really? No"],
  ])("the upstream's own words end as a sentence: %j", (upstreamMessage, expected) => {
    expect(messageOf("upstream_status", { upstreamMessage })).toContain(expected);
  });

  test("and why it could not go on", () => {
    expect(messageOf("stream_stalled", { seam: "tools" })).toBe(
      `What happened. It could not be continued (tools). No text had arrived, after 1 attempt.${AGAIN}`,
    );
  });
});
