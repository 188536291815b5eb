/** A stream that is asked for in another way, or comes in another form: what its client is given, or told. */
import { describe, expect, test } from "vitest";
import { chatAnswer, chatEvents } from "../../test/support/raw-upstream.ts";
import { type Answers, CHAT, fails, relayed, replies, streams } from "../../test/support/relayed.ts";
import { Failure } from "../core/failure.ts";

const empty = streams([]);
const refuses = (status: number, message = "no") => replies({ error: { message } }, status);

describe("asked for whole, since streams of its upstream are empty", () => {
  const EMPTY = "The upstream's streams are empty, and it refuses to answer without one (HTTP status 403).";
  test.each<[string, Answers, number, string, string]>([
    ["a refusal, which its client has not asked for", refuses(403), 502, "empty_stream", EMPTY],
    ["what may pass is told as it came", refuses(500, "down"), 500, "upstream_status", "down"],
    [
      "what is no refusal is told as what it is",
      fails(new Failure("stream_corrupted", "torn", { scope: "never" })),
      502,
      "stream_corrupted",
      "Torn.",
    ],
  ])("%s", async (_what, answer, status, failure, words) => {
    const { send, seen } = relayed(
      { a: [empty, answer] },
      { upstreams: { a: { emptyFallback: "next" } }, retry: { maxAttempts: 2 } },
    );
    const got = await send();
    expect([got.status, got.end.failure]).toEqual([status, failure]);
    expect(got.body).toContain(words);
    expect(seen.map(({ body }) => JSON.parse(body).stream)).toEqual([true, false]);
  });

  test("an alteration that is refused is not the client's to mend: it is asked as the client did, from then on", async () => {
    const answers = [empty, refuses(400, "stream must be true"), streams(chatEvents(["hi"])), empty, streams(chatEvents(["hi"]))];
    const { send, seen } = relayed({ a: answers }, { upstreams: { a: { emptyFallback: "next" } } });
    for (let count = 0; count < 2; count++) expect((await send()).end.outcome).toBe("recovered");
    expect(seen.map(({ body }) => JSON.parse(body).stream)).toEqual([true, false, true, true, true]);
  });
});

describe("that comes as JSON", () => {
  const toStream = chatEvents(["hi"]);

  test("is made the stream that it should have been", async () => {
    const got = await relayed({ a: replies(chatAnswer("hi")) }).send();
    expect([got.status, got.headers["content-type"], got.end.outcome]).toEqual([
      200,
      "text/event-stream; charset=utf-8",
      "repaired",
    ]);
    expect(got.exchange.stats.characters).toBe(2);
    expect([...got.body.matchAll(/"content":"(.*?)"/g)].map(([, text]) => text)).toEqual(["hi"]);
    expect(got.body.endsWith(toStream.at(-1) ?? "")).toBe(true);
  });

  test("shows it also where a whole answer is wanted, or a late one: it is whole", async () => {
    for (const gate of [{ open: "whole" }, { lag: "5s" }]) {
      const got = await relayed({ a: replies(chatAnswer("hi")) }, { gate }).send();
      expect([got.end.outcome, got.body.includes("[DONE]")]).toEqual(["repaired", true]);
    }
  });

  test.each<[string, string, number, string]>([
    ["an error is one", JSON.stringify({ error: { message: "no", code: 429 } }), 429, "upstream_error_event"],
    ["one that is not finished is none", chatAnswer("hi", null), 502, "stream_truncated"],
  ])("%s", async (_what, body, status, failure) => {
    const got = await relayed({ a: replies(body) }, { retry: { maxAttempts: 1 } }).send();
    expect([got.status, got.end.failure]).toEqual([status, failure]);
  });

  test("one without a word is asked for again; at the last attempt a model may have nothing to say", async () => {
    const { send, seen } = relayed({ a: replies(chatAnswer("")) }, { retry: { maxAttempts: 2 } });
    expect([(await send()).end.outcome, seen.length]).toEqual(["repaired", 2]);
  });

  test("a finish that is not known is told of, and ends it", async () => {
    const got = await relayed({ a: replies(chatAnswer("hi", "odd")) }).send();
    expect([got.end.outcome, got.exchange.attempts[0]?.warning]).toEqual(["repaired", expect.stringContaining('"odd"')]);
  });
});

describe("an answer that is not streamed", () => {
  const WHOLE = { body: { ...CHAT, stream: false } };
  const VIA = { upstreams: { a: { nonStreaming: "viaStream" } } };

  test.each<[string, Answers, object, string, string]>([
    ["comes as it is", replies(chatAnswer("hi"), 201, { "x-theirs": "1" }), {}, "complete", "hi"],
    [
      "comes as a stream that nobody asked for",
      streams(chatEvents(["h", "i"]), "well", { "x-theirs": "1" }),
      {},
      "repaired",
      "hi",
    ],
    [
      "is joined of a stream that was asked for",
      streams(chatEvents(["h", "i"]), "well", { "x-theirs": "1" }),
      VIA,
      "complete",
      "hi",
    ],
    [
      "is joined of one without its terminator",
      streams(chatEvents(["h", "i"], { done: false }), "well", { "x-theirs": "1" }),
      VIA,
      "repaired",
      "hi",
    ],
    ["comes in JSON where a stream was asked for", replies(chatAnswer("hi"), 201, { "x-theirs": "1" }), VIA, "complete", "hi"],
  ])("%s", async (_what, answer, config, outcome, words) => {
    const got = await relayed({ a: answer }, config as Record<string, unknown>).send(WHOLE);
    expect([got.end.outcome, JSON.parse(got.body).choices[0].message.content]).toEqual([outcome, words]);
    expect(got.headers).toMatchObject({ "content-type": "application/json", "x-theirs": "1" });
    expect(got.headers["content-length"]).toBe(String(got.body.length));
  });

  test.each<[string, object]>([
    ["in one piece", {}],
    ["joined of a stream", VIA],
  ])("larger than may be held is none, and no second one is: %s", async (_what, config) => {
    const long = "x".repeat(3_000);
    const answer = config === VIA ? streams(chatEvents([long])) : replies(chatAnswer(long));
    const { send, seen } = relayed({ a: answer }, { ...config, limits: { maxBodyBytes: "2KiB" } });
    const got = await send(WHOLE);
    expect([got.status, got.end.failure, seen.length]).toEqual([502, "stream_corrupted", 1]);
    expect(got.body).toContain("larger than limits.maxBodyBytes (2048 bytes)");
  });
});
