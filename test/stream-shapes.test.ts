/** How upstreams end, fail and lie inside a stream: each shape from a real socket, and what the client is told. */
import { describe, expect } from "vitest";
import { ask, chat, readStream } from "./support/client.ts";
import { choice, DONE, line, STARTED, WHOLE, WORDS } from "./support/events.ts";
import { chatEvents, SSE_HEAD, sendFramed } from "./support/raw-upstream.ts";
import { atOnce } from "./support/replies.ts";
import { test } from "./support/test.ts";

const chunk = (fields: object): string => line({ id: "c", choices: [{ index: 0, delta: { content: "" }, ...fields }] });

const TRUNCATED: [how: string, events: readonly string[], code: string][] = [
  ["a clean end without a finish", STARTED, "stream_truncated"],
  ["[DONE] without a finish", [...STARTED, DONE], "stream_truncated"],
  ["an empty delta and a clean end (Ollama)", [...STARTED, chunk({ finish_reason: null })], "stream_truncated"],
  ["half an event at the end", [...STARTED, 'data: {"choices":[{"index":0,"delta":{"con'], "stream_truncated"],
  [
    "two choices with one unfinished",
    [...STARTED, line({ choices: [{ index: 1, delta: { content: "b" } }] }), chunk({ finish_reason: "stop" }), DONE],
    "stream_truncated",
  ],
  ["half a JSON in an event", [...STARTED, 'data: {"choices":[{"in\n\n', DONE], "stream_corrupted"],
  ["plain text in an event", [...STARTED, "data: Internal Server Error\n\n"], "stream_corrupted"],
];

test.for(TRUNCATED)("%s after some text becomes an error event", async ([_how, events, code], { serve }) => {
  const { perennial } = await serve([events]);
  const stream = readStream((await chat(perennial.baseUrl)).body);
  expect(stream).toMatchObject({ done: false, errorCode: code });
  expect(stream.text).toContain("Hello, world");
});

const EMPTY: [how: string, events: string[], code: string][] = [
  ["a body of zero bytes (ChatGLM3)", [], "empty_stream"],
  ["a role and nothing else", [STARTED[0] as string], "empty_stream"],
  ["only [DONE]", [DONE], "empty_stream"],
  ["only comments", [": ping\n\n", ": ping\n\n"], "empty_stream"],
  ["only Azure's filter results", [line({ id: "", choices: [], prompt_filter_results: [{}] })], "empty_stream"],
  ["text that is not SSE", ["Internal Server Error\n"], "stream_corrupted"],
];

test.for(EMPTY)("%s is retried, and told as an HTTP error when it stays so", async ([_how, events, code], { serve }) => {
  const { perennial, upstream } = await serve([events]);
  const seen = await chat(perennial.baseUrl);
  expect(seen.status).toBe(502);
  expect(JSON.parse(seen.body).error.code).toBe(code);
  // The same garbage twice will come a third time.
  expect(upstream.requests).toHaveLength(code === "stream_corrupted" ? 2 : 3);
});

test("a missing [DONE] is supplied when every choice has finished", async ({ serve }) => {
  const { perennial } = await serve([chatEvents(WORDS, { done: false })]);
  expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ text: "Hello, world", done: true, finish: "stop" });
  expect(await perennial.exchangeLog()).toMatchObject({ outcome: "repaired", status: 200 });
});

test("a missing [DONE] is a truncation under requireDone", async ({ serve }) => {
  const { perennial } = await serve([chatEvents(WORDS, { done: false })], { upstream: { requireDone: true } });
  expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ done: false, errorCode: "stream_truncated" });
});

test("a missing [DONE] is a truncation while a choice that was asked for has not begun", async ({ serve }) => {
  const { perennial } = await serve([chatEvents(WORDS, { done: false })]);
  expect(readStream((await chat(perennial.baseUrl, { n: 2 })).body)).toMatchObject({
    done: false,
    errorCode: "stream_truncated",
  });
});

test.for(["stop", "length", "tool_calls", "function_call", "content_filter"])(
  "finish_reason %s ends a whole answer",
  async (finish, { serve }) => {
    const { perennial } = await serve([chatEvents(WORDS, { finish })]);
    expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ done: true, finish, errorCode: undefined });
    expect(await perennial.exchangeLog()).toMatchObject({ outcome: "complete" });
  },
);

test.for([
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
])("finish_reason %s is a server's own word for a good end", async (reason, { serve }) => {
  const { perennial } = await serve([[...STARTED, chunk({ finish_reason: reason }), DONE]]);
  const { body } = await chat(perennial.baseUrl);
  expect(readStream(body)).toMatchObject({ text: "Hello, world", finish: reason, done: true, errorCode: undefined });
});

test.for(["abort", "network_error", "MALFORMED_FUNCTION_CALL"])(
  "finish_reason %s says failure, and is a bad end",
  async (reason, { serve }) => {
    const { perennial } = await serve([[...STARTED, chunk({ finish_reason: reason }), DONE]]);
    expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ errorCode: "upstream_error_event", done: false });
  },
);

describe("a choice that goes on after its finish", () => {
  const said = (content: string, finish_reason: string | null): string => chunk({ delta: { content }, finish_reason });

  const half = chunk({ delta: { tool_calls: [{ index: 1, function: { name: "rm", arguments: '{"path":"/ho' } }] } });

  test.for([
    ["finishes again", [said("One ", "stop"), said("two", "stop")], "One two"],
    ["finishes again, later", [said("One ", "tool_calls"), said("two", null), said("", "stop")], "One two"],
  ])("and %s is whole with [DONE] only: its finishes prove nothing any more", async ([_how, events, text], { serve }) => {
    const { perennial } = await serve([[...events, DONE]]);
    expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ text, errorCode: undefined, done: true });
    const cut = await serve([events]);
    expect(readStream((await chat(cut.perennial.baseUrl)).body)).toMatchObject({ text, errorCode: "stream_truncated" });
  });

  test("and does not finish again is whole with [DONE] only", async ({ serve }) => {
    const events = [said("One", "stop"), said(" two", null)];
    const { perennial } = await serve([events]);
    expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ errorCode: "stream_truncated", done: false });
    const second = await serve([[...events, DONE]]);
    expect(readStream((await chat(second.perennial.baseUrl)).body)).toMatchObject({
      text: "One two",
      errorCode: undefined,
      done: true,
    });
  });

  test.for([
    ["and [DONE]", [DONE]],
    ["and no [DONE]", []],
  ])("with half a tool call %s is not whole, and nobody gets that half", async ([_what, end], { serve }) => {
    const { perennial } = await serve([[said("One", "tool_calls"), half, ...end]]);
    const { body } = await chat(perennial.baseUrl);
    expect(readStream(body)).toMatchObject({ text: "One", errorCode: "stream_truncated", done: false });
    expect(body).not.toContain("arguments");
  });
});

describe("a part of the answer on a line that is no event", () => {
  const lost = JSON.stringify({ choices: [{ index: 0, delta: { content: "LOST" } }] });

  test.for([
    ["bare", lost],
    ["with a capital", `Data: ${lost}`],
    ["with a blank before it", ` data: ${lost}`],
  ])("%s is not dropped in silence", async ([_how, stray], { serve }) => {
    const { perennial } = await serve([[...STARTED, `${stray}\n\n`, chunk({ finish_reason: "stop" }), DONE]]);
    expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({
      text: "Hello, world",
      errorCode: "stream_corrupted",
      done: false,
    });
  });
});

test("choices that are numbered in text are told apart", async ({ serve }) => {
  const part = (index: string, finish_reason: string | null): string =>
    line({ id: "c", choices: [{ index, delta: { content: "Hi" }, finish_reason }] });
  const { perennial } = await serve([[part("0", null), part("1", null), part("0", "stop")]]);
  expect(readStream((await chat(perennial.baseUrl, { n: 2 })).body)).toMatchObject({
    errorCode: "stream_truncated",
    done: false,
  });
});

test.for(["null", "None"])("a finish_reason of %j in text is none", async (reason, { serve }) => {
  const { perennial } = await serve([
    [chunk({ delta: { content: "Hi" }, finish_reason: reason }), chunk({ finish_reason: "stop" }), DONE],
  ]);
  expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ text: "Hi", errorCode: undefined, done: true });
});

test("a model with nothing to say is asked again, and believed when it says so every time", async ({ serve }) => {
  const { perennial, upstream } = await serve([chatEvents([])]);
  const seen = await chat(perennial.baseUrl);
  expect(readStream(seen.body)).toMatchObject({ text: "", done: true, finish: "stop", errorCode: undefined });
  expect(upstream.requests).toHaveLength(3);
  expect(await perennial.exchangeLog()).toMatchObject({ outcome: "recovered" });
});

test("an empty answer is not believed when another attempt failed otherwise", async ({ serve }) => {
  const { perennial } = await serve((socket, { number }) => sendFramed(socket, "chunked", number === 1 ? [] : chatEvents([])));
  const seen = await chat(perennial.baseUrl);
  expect(seen.status).toBe(502);
  expect(JSON.parse(seen.body).error.code).toBe("empty_stream");
});

test("an answer that the content filter took is whole at once", async ({ serve }) => {
  const { perennial, upstream } = await serve([chatEvents([], { finish: "content_filter" })]);
  expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ done: true, finish: "content_filter" });
  expect(upstream.requests).toHaveLength(1);
});

test("a usage chunk after the finish, and ChatGLM3's second finish, are passed on", async ({ serve }) => {
  const usage = line({ choices: [], usage: { total_tokens: 3 } });
  const { perennial } = await serve([
    [...chatEvents(WORDS, { finish: "function_call", done: false }), chunk({ finish_reason: "stop" }), usage, DONE],
  ]);
  const stream = readStream((await chat(perennial.baseUrl)).body);
  expect(stream.done).toBe(true);
  expect(stream.data.at(-2)).toBe(usage.slice(6, -2));
});

test("a stream that ends with [DONE] ends for the client, though the upstream leaves its socket open", async ({ serve }) => {
  let closed = false;
  const { perennial, upstream } = await serve((socket) => {
    socket.on("close", () => {
      closed = true;
    });
    socket.write("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n");
    for (const event of chatEvents(WORDS)) socket.write(`${Buffer.byteLength(event).toString(16)}\r\n${event}\r\n`);
  });
  expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ done: true });
  expect(closed).toBe(false);
  // The connection is not kept: nobody knows when its response would have ended.
  await expect.poll(() => upstream.sockets.size).toBe(0);
});

test("an event over the limit is refused", async ({ serve }) => {
  const { perennial } = await serve([[...STARTED, chunk({ delta: { content: "x".repeat(100_000) } }), ...chatEvents([])]], {
    limits: { maxEventBytes: "64KiB" },
  });
  expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ text: "Hello, world", errorCode: "stream_corrupted" });
});

test("bytes that are no UTF-8 are refused", async ({ serve }) => {
  const { perennial } = await serve([
    [...STARTED, Buffer.from([...Buffer.from('data: {"choices":[{"index":0,"delta":{"content":"'), 0xff, 0xfe])],
  ]);
  expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ text: "Hello, world", errorCode: "stream_corrupted" });
});

describe("a whole answer stays whole", () => {
  const rows: [what: string, events: string[]][] = [
    ["its events say error_code 0", WHOLE.map((event) => event.replace('"id"', '"error_code":0,"id"'))],
    ["a blank data line is between its events", [...STARTED, "data: \n\n", ...WHOLE.slice(-2)]],
    ["an event has no choices", [...STARTED, line({ usage: {} }), ...WHOLE.slice(-2)]],
    ["a choice is null", [...STARTED, line({ choices: [null] }), ...WHOLE.slice(-2)]],
    ["some of its choices have no index", [...STARTED.map((event) => event.replace('"index":0,', "")), ...WHOLE.slice(-2)]],
    ["an empty finish_reason is in every event", [...STARTED.map((event) => event.replace("null", '""')), ...WHOLE.slice(-2)]],
    ["its last event lacks the blank line", [...WHOLE.slice(0, -2), (WHOLE.at(-2) as string).trimEnd()]],
    ["more text follows [DONE]", [...WHOLE, choice({ content: "more" })]],
    ["it uses message for delta", WHOLE.map((event) => event.replace('"delta"', '"message"'))],
  ];

  test.for(rows)("when %s", async ([_what, events], { serve }) => {
    const { perennial, upstream } = await serve([atOnce(events)]);
    const { body } = await chat(perennial.baseUrl);
    expect(body).toContain("world");
    expect(body).not.toContain("more");
    expect(readStream(body)).toMatchObject({ done: true, errorCode: undefined });
    expect(upstream.requests).toHaveLength(1);
  });

  test("when fewer choices came than were asked for, and then [DONE]", async ({ serve }) => {
    const { perennial } = await serve([atOnce(WHOLE)]);
    expect(readStream((await chat(perennial.baseUrl, { n: 2 })).body)).toMatchObject({ done: true, errorCode: undefined });
  });

  test("when something is written behind [DONE], which is what requireDone asks for", async ({ serve }) => {
    const { perennial } = await serve([atOnce([...WHOLE.slice(0, -1), "data: [DONE]\\n\\n\n\n"])], {
      upstream: { requireDone: true },
    });
    expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ done: true, errorCode: undefined });
  });

  test("when it is a completion of one prompt in tokens, without [DONE]", async ({ serve }) => {
    const { perennial } = await serve([atOnce([line({ choices: [{ index: 0, text: "Hello", finish_reason: "stop" }] })])]);
    expect((await ask(perennial, "/v1/completions", { prompt: [1, 2, 3] })).body).toContain(DONE);
  });

  test("but a completion of two prompts is cut when one of them came, without [DONE]", async ({ serve }) => {
    const { perennial } = await serve([atOnce([line({ choices: [{ index: 0, text: "Hello", finish_reason: "stop" }] })])]);
    expect((await ask(perennial, "/v1/completions", { prompt: ["a", "b"] })).body).toContain("stream_truncated");
  });
});

test("a chunk size that is no number is corruption, not a cut", async ({ serve }) => {
  const chunk = STARTED.join("");
  const { perennial } = await serve([
    (socket) => socket.end(`${SSE_HEAD}transfer-encoding: chunked\r\n\r\n${chunk.length.toString(16)}\r\n${chunk}\r\nzz\r\n`),
  ]);
  expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ errorCode: "stream_corrupted" });
});
