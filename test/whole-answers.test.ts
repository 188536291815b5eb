import { describe, expect } from "vitest";
import { ask, chat, codeOf, readStream } from "./support/client.ts";
import { call, WHOLE } from "./support/events.ts";
import { chatAnswer, chatEvents, jsonReply } from "./support/raw-upstream.ts";
import { atOnce, late, open } from "./support/replies.ts";
import { test } from "./support/test.ts";

describe("an answer that is not streamed", () => {
  const chatWith = (fields: object): string =>
    JSON.stringify({ choices: [{ index: 0, message: { content: "Hi" }, finish_reason: "stop", ...fields }] });
  const silent = { message: { content: "" } };
  const response = (fields: object): string => JSON.stringify({ id: "r", output: [{ type: "message" }], ...fields });
  const message = (fields: object): string =>
    JSON.stringify({ type: "message", content: [{ type: "text", text: "Hi" }], stop_reason: "end_turn", ...fields });
  const rows: [path: string, what: string, body: string, result: number | string, requests: number, says?: string][] = [
    ["chat/completions", "is a string", '"Hi"', "stream_corrupted", 2],
    ["chat/completions", "is an error", '{"error":{"message":"boom"}}', "upstream_error_event", 3, "boom"],
    ["chat/completions", "has no choice at every attempt", '{"choices":[]}', "empty_stream", 3],
    ["chat/completions", "has a choice that is null", '{"choices":[null]}', "stream_corrupted", 2],
    ["chat/completions", "has an empty finish_reason", chatWith({ finish_reason: "" }), "stream_truncated", 3],
    ["chat/completions", "has no finish_reason", chatWith({ finish_reason: undefined }), 200, 1],
    ["chat/completions", "finished badly", chatWith({ finish_reason: "error" }), "upstream_error_event", 3],
    ["chat/completions", "only calls a tool", chatWith({ message: { content: null, ...call() } }), 200, 1, "weather"],
    ["chat/completions", "was filtered", chatWith({ ...silent, finish_reason: "content_filter" }), 200, 1, "content_filter"],
    ["chat/completions", "says nothing at every attempt", chatWith(silent), 200, 3, '"content":""'],
    ["chat/completions", "is empty", "", "empty_stream", 3],
    ["chat/completions", "begins with a byte order mark", `\uFEFF${chatWith({})}`, 200, 1, '"Hi"'],
    ["responses", "is a list", "[]", "stream_corrupted", 2],
    ["responses", "is an error", '{"error":{"message":"boom","code":"invalid_api_key"}}', "upstream_error_event", 1, "boom"],
    ["responses", "has failed", response({ status: "failed", error: null }), "upstream_error_event", 3],
    ["responses", "was cancelled", response({ status: "cancelled" }), "upstream_error_event", 3],
    ["responses", "is queued", response({ status: "queued", output: [] }), 200, 1, "queued"],
    ["responses", "is in progress", response({ status: "in_progress", output: [] }), 200, 1, "in_progress"],
    ["responses", "is incomplete without output", response({ status: "incomplete", output: [] }), 200, 1, "incomplete"],
    ["responses", "has no output at every attempt", response({ status: "completed", output: [] }), 200, 3, "completed"],
    ["responses", "has no status", response({}), "stream_truncated", 3],
    ["messages", "is a list", "[]", "stream_corrupted", 2],
    [
      "messages",
      "is an error",
      '{"type":"error","error":{"type":"invalid_request_error","message":"boom"}}',
      "upstream_error_event",
      1,
      "boom",
    ],
    ["messages", "is an error by its type alone", '{"type":"error","message":"boom"}', "upstream_error_event", 3, "boom"],
    ["messages", "is an error by its field alone", '{"error":{"message":"boom"}}', "upstream_error_event", 3, "boom"],
    ["messages", "has no content", message({ content: undefined }), "empty_stream", 3],
    ["messages", "has null for a stop_reason", message({ stop_reason: null }), "stream_truncated", 3],
    ["messages", "has no stop_reason", message({ stop_reason: undefined }), 200, 1],
    ["messages", "says nothing at every attempt", message({ content: [] }), 200, 3, "end_turn"],
    ["messages", "refuses without a word", message({ content: [], stop_reason: "refusal" }), 200, 1, "refusal"],
  ];

  test.for(rows)(
    "of /v1/%s that %s is judged by what it says",
    async ([path, _what, body, result, requests, says = ""], { serve }) => {
      const { perennial, upstream } = await serve([jsonReply(body)]);
      const seen = await ask(perennial, `/v1/${path}`, { stream: false });
      expect([seen.status === 200 ? 200 : codeOf(seen), upstream.requests.length]).toEqual([result, requests]);
      expect(seen.body).toContain(says);
    },
  );

  test("is not an answer when it is no UTF-8", async ({ serve }) => {
    const body = Buffer.from(chatAnswer("caf\u00e9"), "latin1");
    const { perennial } = await serve([
      (socket) => socket.write(Buffer.concat([Buffer.from(jsonReply("").replace("length: 0", `length: ${body.length}`)), body])),
    ]);
    expect(codeOf(await chat(perennial.baseUrl, { stream: false }))).toBe("stream_corrupted");
  });

  test("is refused over limits.maxBodyBytes, at once and via a stream", async ({ serve, startPerennial }) => {
    const { perennial, upstream } = await serve(
      [jsonReply(chatAnswer("x".repeat(2_000))), open(...chatEvents(["x".repeat(900), "x".repeat(900)], { done: false }))],
      {
        limits: { maxBodyBytes: "1KiB" },
        retry: { maxAttempts: 1 },
      },
    );
    expect(codeOf(await chat(perennial.baseUrl, { stream: false }))).toBe("stream_corrupted");
    const second = await startPerennial(upstream.baseUrl, {
      limits: { maxBodyBytes: "1KiB" },
      retry: { maxAttempts: 1 },
      nonStreaming: "viaStream",
      timeouts: { idle: "1s" },
    });
    expect(codeOf(await chat(second.baseUrl, { stream: false }))).toBe("stream_corrupted");
  });

  test("may take longer than timeouts.firstToken to come", async ({ serve }) => {
    const { perennial } = await serve([late(150, jsonReply(chatAnswer("Hi")))], {
      timeouts: { firstToken: "50ms" },
    });
    expect((await chat(perennial.baseUrl, { stream: false })).status).toBe(200);
  });

  test("is stalled when only its head comes", async ({ serve }) => {
    const { perennial } = await serve([(socket) => socket.write(jsonReply(chatAnswer("Hi")).split("{")[0] as string)], {
      timeouts: { idle: "60ms", total: "3s" },
      retry: { maxAttempts: 1 },
    });
    expect(codeOf(await chat(perennial.baseUrl, { stream: false }))).toBe("stream_stalled");
  });

  test("is never mixed with comments, however long it takes", async ({ serve }) => {
    const { perennial } = await serve([late(150, jsonReply(chatAnswer("Hi")))], {
      heartbeat: { after: "20ms", every: "20ms" },
    });
    expect(await chat(perennial.baseUrl, { stream: false })).toMatchObject({
      body: chatAnswer("Hi"),
      headers: { "content-type": "application/json" },
    });
  });

  test("needs no content-type", async ({ serve }) => {
    const { perennial } = await serve([jsonReply(chatAnswer("Hi")).replace("content-type: application/json\r\n", "")]);
    expect((await chat(perennial.baseUrl, { stream: false })).body).toBe(chatAnswer("Hi"));
  });

  test.for([1, "true", "True", "on", "1"])(
    "becomes a stream for stream: %j, which many servers take for true",
    async (stream, { serve }) => {
      const { perennial } = await serve([jsonReply(chatAnswer("Hi"))]);
      expect(readStream((await chat(perennial.baseUrl, { stream })).body)).toMatchObject({ text: "Hi", done: true });
    },
  );

  test("via a stream has its own first-token clock, requireDone and outcome", async ({ serve, startPerennial }) => {
    const settings = { nonStreaming: "viaStream", retry: { maxAttempts: 1 }, timeouts: { firstToken: "60ms", total: "3s" } };
    const { perennial, upstream } = await serve([() => {}, atOnce(WHOLE.slice(0, -1)), atOnce(WHOLE.slice(0, -1))], settings);
    expect(codeOf(await chat(perennial.baseUrl, { stream: false }))).toBe("first_token_timeout");
    expect((await chat(perennial.baseUrl, { stream: false })).status).toBe(200);
    expect(await perennial.exchangeLog(2)).toMatchObject({ outcome: "repaired" });
    const second = await startPerennial(upstream.baseUrl, { ...settings, upstream: { requireDone: true } });
    expect(codeOf(await chat(second.baseUrl, { stream: false }))).toBe("stream_truncated");
  });
});

describe("asking for the whole answer", () => {
  test("is not done at the first attempt, nor after failures of another kind", async ({ serve, startPerennial }) => {
    const { perennial, upstream } = await serve([atOnce([]), jsonReply("{}", "500 Oops")], { retry: { maxAttempts: 1 } });
    await chat(perennial.baseUrl);
    const second = await startPerennial(upstream.baseUrl);
    await chat(second.baseUrl);
    expect(upstream.requests.map(({ json }) => json.stream)).toEqual([true, true, true, true]);
  });

  test("with emptyFallback: next follows on text that is not SSE, and has no first token to wait for", async ({ serve }) => {
    const { perennial, upstream } = await serve([atOnce(["Internal Server Error\n"]), late(1_500, jsonReply(chatAnswer("Hi")))], {
      upstream: { emptyFallback: "next" },
      timeouts: { firstToken: "1s" },
    });
    expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ text: "Hi", done: true });
    expect(upstream.requests.map(({ json }) => json.stream)).toEqual([true, false]);
  });
});

test("a JSON answer to a stream request becomes a stream", async ({ serve }) => {
  const { perennial } = await serve((socket) => socket.write(jsonReply(chatAnswer("Hello, world"))));
  const seen = await chat(perennial.baseUrl, { stream_options: { include_usage: true } });
  expect(seen.headers["content-type"]).toContain("text/event-stream");
  const stream = readStream(seen.body);
  expect(stream).toMatchObject({ text: "Hello, world", done: true, finish: "stop" });
  expect(JSON.parse(stream.data.at(-2) ?? "").usage.total_tokens).toBe(3);
  expect(await perennial.exchangeLog()).toMatchObject({ outcome: "repaired" });
});

test("an answer that is not streamed comes through byte for byte, with the upstream's headers", async ({ serve }) => {
  const odd = `${JSON.stringify(JSON.parse(chatAnswer("Grüße 细水长流")), null, 3)}\n`;
  const { perennial } = await serve([jsonReply(odd, "200 OK", "x-request-id: abc\r\nconnection: x-hop\r\nx-hop: 1\r\n")]);
  const seen = await chat(perennial.baseUrl, { stream: false });
  expect(seen.body).toBe(odd);
  expect(seen.headers).toMatchObject({ "x-request-id": "abc", "x-perennial-attempts": "1", "x-perennial-upstream": "main" });
  expect(seen.headers["x-hop"]).toBeUndefined();
});
