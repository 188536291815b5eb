/** How upstreams end, fail and lie inside a stream: each shape from a real socket, and what the client is told. */
import { afterEach, describe, expect, test } from "vitest";
import { chat, readStream } from "./support/client.ts";
import { startPerennial, type TestPerennial } from "./support/perennial.ts";
import { chatAnswer, chatEvents, jsonReply, type RawUpstream, sendFramed, startRawUpstream } from "./support/raw-upstream.ts";

let upstream: RawUpstream;
let perennial: TestPerennial;

afterEach(async () => {
  await perennial.close();
  await upstream.close();
});

async function serve(events: readonly (string | Buffer)[], settings: Record<string, unknown> = {}): Promise<void> {
  upstream = await startRawUpstream((socket) => sendFramed(socket, "chunked", events));
  perennial = await startPerennial(upstream.baseUrl, settings);
}

const WORDS = ["Hello", ", ", "world"];
const started = chatEvents(WORDS, { finish: null, done: false });
const line = (json: object): string => `data: ${JSON.stringify(json)}\n\n`;
const choice = (fields: object): string => line({ id: "c", choices: [{ index: 0, delta: { content: "" }, ...fields }] });
const done = "data: [DONE]\n\n";

const ERRORS: [server: string, events: string[], says?: string][] = [
  ["OpenAI's error object", [line({ error: { message: "boom", type: "server_error", code: null } })], "boom"],
  [
    "vLLM's error object and [DONE]",
    [line({ error: { message: "boom", type: "InternalServerError", param: null, code: 500 } }), done],
    "boom",
  ],
  [
    "older vLLM's flat error and [DONE]",
    [line({ object: "error", message: "boom", type: "InternalServerError", code: 500 }), done],
    "boom",
  ],
  ["an error_code in text", [line({ text: "boom", error_code: "50002" }), done], "boom"],
  ["FastChat's error_code and [DONE]", [line({ text: "boom", error_code: 50_002 }), done], "boom"],
  [
    "SGLang's error, usage and [DONE]",
    [line({ error: { message: "boom", code: 500 } }), line({ choices: [], usage: {} }), done],
    "boom",
  ],
  ["SGLang's finish_reason abort", [choice({ finish_reason: "abort" }), done]],
  [
    "OpenRouter's error beside choices",
    [line({ error: { message: "boom", code: 502 }, choices: [{ index: 0, delta: { content: "" }, finish_reason: "error" }] })],
    "boom",
  ],
  ["a bare finish_reason error", [choice({ finish_reason: "error" }), done]],
  ["DeepSeek's insufficient_system_resource", [choice({ finish_reason: "insufficient_system_resource" }), done]],
  ["llama.cpp's error object without [DONE]", [line({ error: { code: 500, message: "boom", type: "server_error" } })], "boom"],
  ["llama.cpp's old error field", [`error: ${JSON.stringify({ code: 500, message: "boom" })}\n\n`], "boom"],
  ["Xinference's error string", [line({ error: "boom" })], "boom"],
  ["LM Studio's error and message", [line({ error: { message: "boom" }, message: "boom" })], "boom"],
  ["a named error event", [`event: error\n${line({ error: { message: "boom" } })}`], "boom"],
  ["a named error event in plain text", ["event: error\ndata: boom\n\n"], "boom"],
  ["data [ERROR]", ["data: [ERROR] boom\n\n"], "boom"],
  ["a bare JSON line with an error", [`${JSON.stringify({ error: { message: "boom" } })}\n\n`], "boom"],
];

describe.each(ERRORS)("%s", (_server, events, says) => {
  test("in mid-stream becomes one error event after the text so far", async () => {
    await serve([...started, ...events]);
    const seen = await chat(perennial.baseUrl);
    const stream = readStream(seen.body);
    expect(seen).toMatchObject({ status: 200, end: "clean" });
    expect(stream).toMatchObject({ text: "Hello, world", done: false, errorCode: "upstream_error_event", finish: null });
    const { error, code, msg } = JSON.parse(stream.data.at(-1) ?? "");
    expect(error).toEqual({ message: msg, type: "upstream_error", param: null, code: "upstream_error_event" });
    expect(code).toBeGreaterThanOrEqual(500);
    if (says !== undefined) expect(msg).toContain(says);
    expect(msg).toContain("12 characters");
    expect(upstream.requests).toHaveLength(1);
    expect(await perennial.exchangeLog()).toMatchObject({ outcome: "interrupted", failure: "upstream_error_event" });
  });

  test("before any text is retried, and the client never knows", async () => {
    upstream = await startRawUpstream((socket, { number }) =>
      sendFramed(socket, "chunked", number === 1 ? [started[0] as string, ...events] : chatEvents(WORDS)),
    );
    perennial = await startPerennial(upstream.baseUrl);
    const seen = await chat(perennial.baseUrl);
    expect(readStream(seen.body)).toMatchObject({ text: "Hello, world", done: true, errorCode: undefined });
    expect(seen.headers).toMatchObject({ "x-perennial-attempts": "2", "x-perennial-upstream": "main" });
    expect(await perennial.exchangeLog()).toMatchObject({
      outcome: "recovered",
      attempts: [{ failure: "upstream_error_event" }, {}],
    });
  });

  test("at every attempt becomes an HTTP error", async () => {
    await serve(events);
    const seen = await chat(perennial.baseUrl);
    expect(seen.status).toBeGreaterThanOrEqual(500);
    expect(seen.headers["x-should-retry"]).toBe("false");
    expect(JSON.parse(seen.body).error).toMatchObject({ type: "upstream_error", code: "upstream_error_event" });
    expect(upstream.requests).toHaveLength(3);
    expect(await perennial.exchangeLog()).toMatchObject({ outcome: "failed", failure: "upstream_error_event" });
  });
});

test("an error that names a status gives the client that status, and is not retried when it could not help", async () => {
  await serve([line({ error: { message: "context too long", type: "BadRequestError", code: 400 } }), done]);
  const seen = await chat(perennial.baseUrl);
  expect(seen.status).toBe(400);
  expect(seen.headers["x-should-retry"]).toBeUndefined();
  expect(upstream.requests).toHaveLength(1);
});

const TRUNCATED: [how: string, events: string[], code: string][] = [
  ["a clean end without a finish", started, "stream_truncated"],
  ["[DONE] without a finish", [...started, done], "stream_truncated"],
  ["an empty delta and a clean end (Ollama)", [...started, choice({ finish_reason: null })], "stream_truncated"],
  ["half an event at the end", [...started, 'data: {"choices":[{"index":0,"delta":{"con'], "stream_truncated"],
  [
    "two choices with one unfinished",
    [...started, line({ choices: [{ index: 1, delta: { content: "b" } }] }), choice({ finish_reason: "stop" }), done],
    "stream_truncated",
  ],
  ["half a JSON in an event", [...started, 'data: {"choices":[{"in\n\n', done], "stream_corrupted"],
  ["plain text in an event", [...started, "data: Internal Server Error\n\n"], "stream_corrupted"],
];

test.each(TRUNCATED)("%s after some text becomes an error event", async (_how, events, code) => {
  await serve(events);
  const stream = readStream((await chat(perennial.baseUrl)).body);
  expect(stream).toMatchObject({ done: false, errorCode: code });
  expect(stream.text).toContain("Hello, world");
});

const EMPTY: [how: string, events: string[], code: string][] = [
  ["a body of zero bytes (ChatGLM3)", [], "empty_stream"],
  ["a role and nothing else", [started[0] as string], "empty_stream"],
  ["only [DONE]", [done], "empty_stream"],
  ["only comments", [": ping\n\n", ": ping\n\n"], "empty_stream"],
  ["only Azure's filter results", [line({ id: "", choices: [], prompt_filter_results: [{}] })], "empty_stream"],
  ["text that is not SSE", ["Internal Server Error\n"], "stream_corrupted"],
];

test.each(EMPTY)("%s is retried, and told as an HTTP error when it stays so", async (_how, events, code) => {
  await serve(events);
  const seen = await chat(perennial.baseUrl);
  expect(seen.status).toBe(502);
  expect(JSON.parse(seen.body).error.code).toBe(code);
  // The same garbage twice will come a third time.
  expect(upstream.requests).toHaveLength(code === "stream_corrupted" ? 2 : 3);
});

test("a missing [DONE] is supplied when every choice has finished", async () => {
  await serve(chatEvents(WORDS, { done: false }));
  expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ text: "Hello, world", done: true, finish: "stop" });
  expect(await perennial.exchangeLog()).toMatchObject({ outcome: "repaired", status: 200 });
});

test("a missing [DONE] is a truncation under requireDone", async () => {
  await serve(chatEvents(WORDS, { done: false }), { upstream: { requireDone: true } });
  expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ done: false, errorCode: "stream_truncated" });
});

test("a missing [DONE] is a truncation while a choice that was asked for has not begun", async () => {
  await serve(chatEvents(WORDS, { done: false }));
  expect(readStream((await chat(perennial.baseUrl, { n: 2 })).body)).toMatchObject({
    done: false,
    errorCode: "stream_truncated",
  });
});

test.each(["stop", "length", "tool_calls", "function_call", "content_filter"])(
  "finish_reason %s ends a whole answer",
  async (finish) => {
    await serve(chatEvents(WORDS, { finish }));
    expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ done: true, finish, errorCode: undefined });
    expect(await perennial.exchangeLog()).toMatchObject({ outcome: "complete" });
  },
);

test.each([
  "eos",
  "eos_token",
  "stop_sequence",
  "model_length",
  "end_turn",
  "max_tokens",
  "tool_use",
  "sensitive",
  "STOP",
  "Length",
])("finish_reason %s is a server's own word for a good end", async (reason) => {
  await serve([...started, choice({ finish_reason: reason }), done]);
  const { body } = await chat(perennial.baseUrl);
  expect(readStream(body)).toMatchObject({ text: "Hello, world", finish: reason, done: true, errorCode: undefined });
});

test.each(["constructor", "network_error", "weird"])("finish_reason %s, which nobody knows, is a bad end", async (reason) => {
  await serve([...started, choice({ finish_reason: reason }), done]);
  expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ errorCode: "upstream_error_event", done: false });
});

describe("a choice that goes on after its finish", () => {
  const said = (content: string, finish_reason: string | null): string => choice({ delta: { content }, finish_reason });

  const half = choice({ delta: { tool_calls: [{ index: 1, function: { name: "rm", arguments: '{"path":"/ho' } }] } });

  test.each([
    ["finishes again", [said("One ", "stop"), said("two", "stop")], "One two"],
    ["finishes again, later", [said("One ", "tool_calls"), said("two", null), said("", "stop")], "One two"],
  ])("and %s is whole", async (_how, events, text) => {
    await serve(events);
    expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ text, errorCode: undefined, done: true });
  });

  test("and does not finish again is whole with [DONE] only", async () => {
    const events = [said("One", "stop"), said(" two", null)];
    await serve(events);
    expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ errorCode: "stream_truncated", done: false });
    await perennial.close();
    await upstream.close();
    await serve([...events, done]);
    expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ text: "One two", errorCode: undefined, done: true });
  });

  test.each([
    ["and [DONE]", [done]],
    ["and no [DONE]", []],
  ])("with half a tool call %s is not whole, and nobody gets that half", async (_what, end) => {
    await serve([said("One", "tool_calls"), half, ...end]);
    const { body } = await chat(perennial.baseUrl);
    expect(readStream(body)).toMatchObject({ text: "One", errorCode: "stream_truncated", done: false });
    expect(body).not.toContain("arguments");
  });
});

describe("a part of the answer on a line that is no event", () => {
  const lost = JSON.stringify({ choices: [{ index: 0, delta: { content: "LOST" } }] });

  test.each([
    ["bare", lost],
    ["with a capital", `Data: ${lost}`],
    ["with a blank before it", ` data: ${lost}`],
  ])("%s is not dropped in silence", async (_how, stray) => {
    await serve([...started, `${stray}\n\n`, choice({ finish_reason: "stop" }), done]);
    expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({
      text: "Hello, world",
      errorCode: "stream_corrupted",
      done: false,
    });
  });
});

test("choices that are numbered in text are told apart", async () => {
  const part = (index: string, finish_reason: string | null): string =>
    line({ id: "c", choices: [{ index, delta: { content: "Hi" }, finish_reason }] });
  await serve([part("0", null), part("1", null), part("0", "stop")]);
  expect(readStream((await chat(perennial.baseUrl, { n: 2 })).body)).toMatchObject({
    errorCode: "stream_truncated",
    done: false,
  });
});

test.each(["null", "None"])("a finish_reason of %j in text is none", async (reason) => {
  await serve([choice({ delta: { content: "Hi" }, finish_reason: reason }), choice({ finish_reason: "stop" }), done]);
  expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ text: "Hi", errorCode: undefined, done: true });
});

test("a model with nothing to say is asked again, and believed when it says so every time", async () => {
  await serve(chatEvents([]));
  const seen = await chat(perennial.baseUrl);
  expect(readStream(seen.body)).toMatchObject({ text: "", done: true, finish: "stop", errorCode: undefined });
  expect(upstream.requests).toHaveLength(3);
  expect(await perennial.exchangeLog()).toMatchObject({ outcome: "recovered" });
});

test("an empty answer is not believed when another attempt failed otherwise", async () => {
  upstream = await startRawUpstream((socket, { number }) => sendFramed(socket, "chunked", number === 1 ? [] : chatEvents([])));
  perennial = await startPerennial(upstream.baseUrl);
  const seen = await chat(perennial.baseUrl);
  expect(seen.status).toBe(502);
  expect(JSON.parse(seen.body).error.code).toBe("empty_stream");
});

test("an answer that the content filter took is whole at once", async () => {
  await serve(chatEvents([], { finish: "content_filter" }));
  expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ done: true, finish: "content_filter" });
  expect(upstream.requests).toHaveLength(1);
});

test("a usage chunk after the finish, and ChatGLM3's second finish, are passed on", async () => {
  const usage = line({ choices: [], usage: { total_tokens: 3 } });
  await serve([...chatEvents(WORDS, { finish: "function_call", done: false }), choice({ finish_reason: "stop" }), usage, done]);
  const stream = readStream((await chat(perennial.baseUrl)).body);
  expect(stream.done).toBe(true);
  expect(stream.data.at(-2)).toBe(usage.slice(6, -2));
});

test("an error after every choice has finished does not undo the answer", async () => {
  await serve([...chatEvents(WORDS, { done: false }), line({ error: { message: "usage failed" } })]);
  expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({
    text: "Hello, world",
    done: true,
    errorCode: undefined,
  });
});

test("a stream that ends with [DONE] ends for the client, though the upstream leaves its socket open", async () => {
  let closed = false;
  upstream = await startRawUpstream((socket) => {
    socket.on("close", () => {
      closed = true;
    });
    socket.write("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n");
    for (const event of chatEvents(WORDS)) socket.write(`${Buffer.byteLength(event).toString(16)}\r\n${event}\r\n`);
  });
  perennial = await startPerennial(upstream.baseUrl);
  expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ done: true });
  expect(closed).toBe(false);
  // The connection is not kept: nobody knows when its response would have ended.
  await expect.poll(() => upstream.sockets.size, { timeout: 4_000 }).toBe(0);
});

test("a JSON answer to a stream request becomes a stream", async () => {
  upstream = await startRawUpstream((socket) => socket.write(jsonReply(chatAnswer("Hello, world"))));
  perennial = await startPerennial(upstream.baseUrl);
  const seen = await chat(perennial.baseUrl, { stream_options: { include_usage: true } });
  expect(seen.headers["content-type"]).toContain("text/event-stream");
  const stream = readStream(seen.body);
  expect(stream).toMatchObject({ text: "Hello, world", done: true, finish: "stop" });
  expect(JSON.parse(stream.data.at(-2) ?? "").usage.total_tokens).toBe(3);
  expect(await perennial.exchangeLog()).toMatchObject({ outcome: "repaired" });
});

test("an event over the limit is refused", async () => {
  await serve([...started, choice({ delta: { content: "x".repeat(100_000) } }), ...chatEvents([])], {
    limits: { maxEventBytes: "64KiB" },
  });
  expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ text: "Hello, world", errorCode: "stream_corrupted" });
});

test("bytes that are no UTF-8 are refused", async () => {
  await serve([...started, Buffer.from([...Buffer.from('data: {"choices":[{"index":0,"delta":{"content":"'), 0xff, 0xfe])]);
  expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ text: "Hello, world", errorCode: "stream_corrupted" });
});

test.each([
  ["compressed, though identity was asked for", "content-type: text/event-stream\r\ncontent-encoding: gzip\r\n"],
  ["a web page", "content-type: text/html\r\n"],
])("a 200 that is %s is an error, not an answer", async (_what, head) => {
  upstream = await startRawUpstream((socket) => sendFramed(socket, "chunked", ["<html></html>"], `HTTP/1.1 200 OK\r\n${head}`));
  perennial = await startPerennial(upstream.baseUrl);
  for (const stream of [true, false]) {
    const seen = await chat(perennial.baseUrl, { stream });
    expect(seen.status).toBe(502);
    expect(JSON.parse(seen.body).error.code).toBe("stream_corrupted");
  }
});
