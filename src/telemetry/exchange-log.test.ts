import { Writable } from "node:stream";
import { describe, expect, it } from "vitest";
import type { Attempt } from "../core/attempt.ts";
import { createExchangeStats, type Exchange, type ExchangeEnd } from "../core/exchange.ts";
import { Failure } from "../core/failure.ts";
import type { Refusal } from "../core/observer.ts";
import { createExchangeLog } from "./exchange-log.ts";
import { createLogger, type LogOptions } from "./logger.ts";

const SECRET = "S3CRET";

function attempt(number: number, more: Partial<Attempt> = {}): Attempt {
  return { number, upstream: "main", startedAt: 0, durationMs: 12.4, failure: undefined, status: 200, ...more };
}

function exchange(attempts: Attempt[] = [attempt(1)], model = "gpt-x"): Exchange {
  return {
    id: "ex1",
    api: { dialect: { name: "chat" }, request: { model } } as unknown as NonNullable<Exchange["api"]>,
    request: { method: "POST", path: `/x?${SECRET}`, headers: { authorization: SECRET }, body: Buffer.from(SECRET) },
    overrides: {},
    startedAt: 0,
    arrivedAt: 0,
    readAt: 0,
    signal: new AbortController().signal,
    abort() {},
    attempts,
    stats: { ...createExchangeStats(), firstTokenMs: 3.6, events: 5, bytes: 99, characters: 7 },
  };
}

function end(more: Partial<ExchangeEnd> = {}): ExchangeEnd {
  return { outcome: "complete", failure: undefined, status: 200, durationMs: 20.2, defect: undefined, ...more };
}

function createLog(format: LogOptions["format"] = "json") {
  let text = "";
  const destination = new Writable({
    write(chunk, _encoding, done) {
      text += chunk;
      done();
    },
  });
  const logger = createLogger({ level: "debug", format }, destination);
  return { logger, log: createExchangeLog(logger), text: () => text, line: () => JSON.parse(text) };
}

describe("the line of a refusal", () => {
  const refusal: Refusal = {
    id: "ex1",
    method: "GET",
    path: "/elsewhere",
    failure: "not_found",
    status: 404,
    durationMs: 1.6,
    defect: undefined,
  };
  const unasked: Exchange = { ...exchange([]), api: undefined, stats: createExchangeStats() };

  it.each<[string, Refusal]>([
    ["one that was meant", refusal],
    ["a defect", { ...refusal, failure: "internal_error", status: 500, defect: new Error("x") }],
  ])("is that of an exchange without an attempt: %s", (_what, told) => {
    const { failure, status, durationMs, defect } = told;
    const [asRefusal, asExchange] = [createLog(), createLog()];
    asRefusal.log.onRejected?.(told);
    const outcome = failure === "internal_error" ? "failed" : "rejected";
    asExchange.log.onExchangeEnd?.(unasked, { outcome, failure, status, durationMs: Math.round(durationMs), defect });
    const line = asRefusal.line();
    expect({ ...line, time: 0 }).toEqual({ ...asExchange.line(), time: 0 });
    expect(Object.keys(line)).toEqual(Object.keys(asExchange.line()));
    expect(line).toMatchObject({ outcome, failure, status, durationMs: 2, msg: `${outcome}: ${failure}` });
  });
});

describe("the line of an exchange", () => {
  it("says in one place how it went", () => {
    const { log, line } = createLog();
    const attempts = [attempt(1, { failure: "upstream_status", status: 503 }), attempt(2)];
    log.onExchangeEnd?.(exchange(attempts), end({ outcome: "recovered" }));
    expect(line()).toEqual({
      level: "info",
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      id: "ex1",
      dialect: "chat",
      model: "gpt-x",
      upstream: "main",
      outcome: "recovered",
      status: 200,
      attempts: [
        { n: 1, upstream: "main", ms: 12, status: 503, failure: "upstream_status" },
        { n: 2, upstream: "main", ms: 12, status: 200 },
      ],
      firstTokenMs: 4,
      durationMs: 20,
      events: 5,
      bytes: 99,
      msg: "recovered after 2 attempts",
    });
  });

  it.each([
    [end(), "info", "complete"],
    [end({ outcome: "repaired" }), "info", "repaired"],
    [end({ outcome: "resumed" }), "info", "resumed"],
    [end({ outcome: "cancelled", failure: "client_gone" }), "info", "cancelled by the client"],
    [end({ outcome: "interrupted", failure: "stream_truncated" }), "warn", "interrupted: stream_truncated"],
    [end({ outcome: "failed", failure: "empty_stream" }), "warn", "failed: empty_stream"],
    [end({ outcome: "rejected", failure: "overloaded" }), "warn", "rejected: overloaded"],
    [end({ outcome: "failed", failure: "internal_error", defect: new Error("x") }), "error", "failed: internal_error"],
  ])("has a level and plain words for every outcome: %#", (ended, level, msg) => {
    const { log, line } = createLog();
    log.onExchangeEnd?.(exchange(), ended);
    expect(line()).toMatchObject({ level, msg });
  });

  it("calls an exchange without a dialect passthrough", () => {
    const { log, line } = createLog();
    log.onExchangeEnd?.({ ...exchange([]), api: undefined }, end());
    expect(line()).toMatchObject({ dialect: "passthrough", attempts: [] });
  });

  it("cuts a model name that a client made very long", () => {
    const { log, line } = createLog();
    log.onExchangeEnd?.(exchange(undefined, "m".repeat(5000)), end());
    expect(line().model).toHaveLength(200);
  });

  it("says of each retry why and what comes next, without what the upstream said", () => {
    const { log, line } = createLog();
    const failure = new Failure("upstream_status", "HTTP status 500", { upstreamMessage: SECRET });
    log.onRetry?.(exchange(), attempt(1, { status: 500 }), failure, 1000.4);
    expect(line()).toMatchObject({ level: "info", id: "ex1", n: 1, failure: "upstream_status", delayMs: 1000 });
    expect(line().msg).toBe("attempt 1 failed: HTTP status 500 (upstream_status); asked again in 1000 ms, unseen by the client");
  });

  it("says of an outage once a minute that requests wait for it", () => {
    const { log, text } = createLog();
    const failure = new Failure("upstream_unreachable", "refused", { outage: "connection" });
    for (let n = 1; n <= 3; n++) log.onRetry?.(exchange(), attempt(n), failure, 0);
    log.onRetry?.(exchange(), attempt(4, { upstream: "other" }), failure, 0);
    const levels = text()
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line).level);
    expect(levels).toEqual(["info", "debug", "debug", "info"]);
  });
});

describe("secrets", () => {
  it("keeps headers, bodies and paths out of the line", () => {
    const { log, text } = createLog();
    log.onExchangeEnd?.(exchange(), end());
    expect(text()).not.toContain(SECRET);
  });

  it("logs where a defect arose, but not its message, which may quote the prompt", () => {
    const { log, line, text } = createLog();
    let defect: unknown;
    try {
      JSON.parse(`${SECRET}\n    at ${SECRET} (a.ts:1:1)`);
    } catch (error) {
      defect = error;
    }
    log.onExchangeEnd?.(exchange(), end({ outcome: "failed", failure: "internal_error", defect }));
    expect(line().err).toEqual({ name: "SyntaxError", stack: expect.stringMatching(/^SyntaxError\n\s+at /) });
    expect(text()).not.toContain(SECRET);
  });

  it("does not log what was thrown when that is no error", () => {
    const { log, line } = createLog();
    log.onExchangeEnd?.(exchange(), end({ defect: SECRET }));
    expect(line().err).toEqual({ name: "string", stack: "string was thrown" });
  });

  it("masks headers and keys that somebody logs by mistake", () => {
    const { logger, text } = createLog();
    const headers = {
      authorization: SECRET,
      Authorization: SECRET,
      cookie: SECRET,
      "x-api-key": SECRET,
      "api-key": SECRET,
      ok: "shown",
    };
    logger.info(headers);
    logger.info({ headers });
    logger.info({ req: { headers } });
    logger.info({ exchange: { request: { headers } } });
    logger.child({ headers }).info("child");
    logger.info({ apiKey: SECRET, auth: { keys: [SECRET] } });
    logger.info({ config: { upstreams: [{ apiKey: SECRET }], auth: { keys: [SECRET] } } });
    logger.info({ upstreams: [{ apiKey: SECRET }] });
    expect(text()).not.toContain(SECRET);
    expect(text()).toContain("shown");
  });
});

describe("on a terminal", () => {
  it("is one readable line", () => {
    const { log, text } = createLog("pretty");
    log.onExchangeEnd?.(
      exchange([attempt(1, { failure: "upstream_status", status: 503 }), attempt(2)]),
      end({ outcome: "recovered" }),
    );
    expect(text()).toMatch(
      /^\[\d\d:\d\d:\d\d\.\d{3}\] INFO: ↻ recovered {4}gpt-x {2}20 ms \(first word 4 ms\) {2}saved from HTTP 503 at attempt 2 {2}ex1\n$/,
    );
    expect(text().trimEnd()).not.toContain("\n");
  });

  it.each([
    [end(), undefined, "● complete     gpt-x  20 ms (first word 4 ms)  ex1"],
    [end({ outcome: "repaired" }), undefined, "✚ repaired     gpt-x  20 ms (first word 4 ms)  what it lacked was supplied  ex1"],
    [
      end({ outcome: "failed", failure: "empty_stream", status: 502, durationMs: 3_210 }),
      "empty_stream",
      "✖ failed       gpt-x  3.2 s (first word 4 ms)  empty_stream 502  2 attempts: empty_stream  ex1",
    ],
    [
      end({ outcome: "interrupted", failure: "stream_truncated" }),
      undefined,
      "▲ interrupted  gpt-x  20 ms (first word 4 ms)  stream_truncated 200  ex1",
    ],
  ] as const)("has a mark for how it ended, and says what was tried: %#", (ended, failure, words) => {
    const { log, text } = createLog("pretty");
    const attempts = failure === undefined ? [attempt(1)] : [attempt(1, { failure }), attempt(2, { failure })];
    log.onExchangeEnd?.(exchange(attempts), ended);
    expect(text()).toContain(words);
  });

  it("shows a client's odd model name harmlessly", () => {
    const { log, text } = createLog("pretty");
    log.onExchangeEnd?.(exchange(undefined, "\x1b[2J\n\u202e x=y"), end());
    expect(text()).toContain(String.raw`"\u001b[2J\n\u202e x=y"`);
  });

  it("shows the stack of a defect below", () => {
    const { log, text } = createLog("pretty");
    log.onExchangeEnd?.(exchange(), end({ outcome: "failed", failure: "internal_error", defect: new TypeError(SECRET) }));
    expect(text()).toMatch(/ERROR: ✖ failed .*internal_error.*\n\s*TypeError\n\s+at /);
    expect(text()).not.toContain(SECRET);
  });
});
