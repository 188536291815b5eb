/** Checks that no other test would miss: each of these turns red when one check in a dialect, the gate, the decoder or the relay is gone. */
import type { Socket } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { chat, readStream, type Seen, type Sent, send } from "./support/client.ts";
import { FIXTURES, readDialectStream } from "./support/dialect-fixtures.ts";
import { startPerennial, type TestPerennial } from "./support/perennial.ts";
import {
  chatAnswer,
  chatEvents,
  jsonReply,
  type RawUpstream,
  SSE_HEAD,
  sendFramed,
  startRawUpstream,
} from "./support/raw-upstream.ts";

let upstream: RawUpstream;
let perennial: TestPerennial;

afterEach(async () => {
  await perennial.close();
  await upstream.close();
});

/** Events that arrive in one read, bytes as they are, or whatever a test does with its socket. */
type Reply = readonly (string | Buffer)[] | string | ((socket: Socket) => unknown);

/** Answers the requests in order, the last reply again and again. */
async function serve(replies: readonly Reply[], settings: Record<string, unknown> = {}): Promise<void> {
  upstream = await startRawUpstream((socket, { number }) => {
    const reply = replies[Math.min(number, replies.length) - 1] as Reply;
    if (typeof reply === "function") reply(socket);
    else if (typeof reply === "string") socket.write(reply);
    else sendFramed(socket, "content-length", reply);
  });
  const { profile } = (settings.upstream ?? {}) as { profile?: string };
  perennial = await startPerennial(profile === "chatchat" ? upstream.baseUrl.replace("/v1", "") : upstream.baseUrl, settings);
}

/** Sends events and then nothing more, on a connection that stays open. */
const open =
  (...events: string[]): Reply =>
  (socket) =>
    socket.write(`${SSE_HEAD}connection: close\r\n\r\n${events.join("")}`);

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const posted = {
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify({ model: "m", stream: true, messages: [] }),
};

function ask(path: string, fields: object = {}, sent: Omit<Sent, "body" | "method"> = {}): Promise<Seen> {
  return send(perennial.url + path, {
    method: "POST",
    ...sent,
    headers: { "content-type": "application/json", ...sent.headers },
    body: JSON.stringify({ model: "m", stream: true, messages: [], ...fields }),
  });
}

/** Asks, and leaves as soon as `text` has come. @returns whether it came soon, while the upstream was still sending. */
async function hears(path: string, text: string): Promise<boolean> {
  let seen = "";
  try {
    const response = await fetch(perennial.url + path, { ...posted, signal: AbortSignal.timeout(3_000) });
    for await (const read of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      seen += read;
      if (seen.includes(text)) return true;
    }
  } catch {}
  return false;
}

const codeOf = ({ body }: Seen): string => JSON.parse(body).error.code;
const line = (json: object): string => `data: ${JSON.stringify(json)}\n\n`;
const typed = (type: string, fields: object = {}): string => `event: ${type}\n${line({ type, ...fields })}`;
const choice = (delta: object, finish_reason: string | null = null, index = 0): string =>
  line({ id: "c", choices: [{ index, delta, finish_reason }] });
const call = (index = 0): object => ({ tool_calls: [{ index, id: "t", function: { name: "weather", arguments: '{"city":' } }] });

const WORDS = ["Hello", ", ", "world"];
const WHOLE = chatEvents(WORDS);
const STARTED = chatEvents(WORDS, { finish: null, done: false });
const DONE = "data: [DONE]\n\n";
const CHATCHAT = { upstream: { profile: "chatchat" } };

describe("an error inside a stream, before any text", () => {
  const inside = (error: object): string => line({ error: { message: "boom", ...error } });
  const rows: [what: string, event: string, status: number, requests: number][] = [
    ["FastChat's number 40001", line({ text: "boom", error_code: 40_001 }), 400, 1],
    ["a code in digits", inside({ code: "400" }), 400, 1],
    ["a type that says invalid request", inside({ type: "invalid_request_error", code: null }), 400, 1],
    ["a type in another spelling of upper and lower case", inside({ type: "BadRequestError" }), 400, 1],
    ["a field named status", inside({ status: 404 }), 404, 1],
    ["a field named status_code", inside({ status_code: 404 }), 404, 1],
    ["a code", inside({ code: 404 }), 404, 1],
    ["a status that may pass", inside({ code: 503 }), 503, 3],
    ["a code above every status", inside({ code: 1301 }), 502, 3],
    ["a code below every error", inside({ code: 200 }), 502, 3],
    ["no more than a flag", line({ error: true, message: "boom" }), 502, 3],
    ["its text in msg", line({ error: { msg: "boom" } }), 502, 3],
    ["its text in detail", line({ error: { detail: "boom" } }), 502, 3],
    ["its fields in an event named error", `event: error\n${line({ message: "boom", code: 400 })}`, 400, 1],
  ];

  test.each(rows)("that has %s is an HTTP error with that status", async (_what, event, status, requests) => {
    await serve([[event]]);
    const seen = await chat(perennial.baseUrl);
    expect([seen.status, codeOf(seen), upstream.requests.length]).toEqual([status, "upstream_error_event", requests]);
    if (!event.includes("true")) expect(JSON.parse(seen.body).error.message).toContain("boom");
  });
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

  test.each(rows)("when %s", async (_what, events) => {
    await serve([events]);
    const { body } = await chat(perennial.baseUrl);
    expect(body).toContain("world");
    expect(body).not.toContain("more");
    expect(readStream(body)).toMatchObject({ done: true, errorCode: undefined });
    expect(upstream.requests).toHaveLength(1);
  });

  test("when fewer choices came than were asked for, and then [DONE]", async () => {
    await serve([WHOLE]);
    expect(readStream((await chat(perennial.baseUrl, { n: 2 })).body)).toMatchObject({ done: true, errorCode: undefined });
  });

  test("when something is written behind [DONE], which is what requireDone asks for", async () => {
    await serve([[...WHOLE.slice(0, -1), "data: [DONE]\\n\\n\n\n"]], { upstream: { requireDone: true } });
    expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ done: true, errorCode: undefined });
  });

  test("when it is a completion of one prompt in tokens, without [DONE]", async () => {
    await serve([[line({ choices: [{ index: 0, text: "Hello", finish_reason: "stop" }] })]]);
    expect((await ask("/v1/completions", { prompt: [1, 2, 3] })).body).toContain(DONE);
  });

  test("but a completion of two prompts is cut when one of them came, without [DONE]", async () => {
    await serve([[line({ choices: [{ index: 0, text: "Hello", finish_reason: "stop" }] })]]);
    expect((await ask("/v1/completions", { prompt: ["a", "b"] })).body).toContain("stream_truncated");
  });
});

describe("text, and in the same read", () => {
  const big = choice({ content: "x".repeat(3_000) });
  const rows: [what: string, tail: string[], code: string][] = [
    ["an error and more text", [line({ error: "boom" }), choice({ content: "more" })], "upstream_error_event"],
    ["an error without its blank line", [line({ error: "boom" }).trimEnd()], "upstream_error_event"],
    ["half of a line that begins with error", ['error: {"message":"bo'], "stream_truncated"],
    ["an event over the limit and more text", [big, choice({ content: "more" })], "stream_corrupted"],
    ["an event over the limit and a line with an error", [big, "error: boom\n\n"], "stream_corrupted"],
    ["[DONE] without a finish and a line with an error", [DONE, "error: boom\n\n"], "stream_truncated"],
  ];

  test.each(rows)("%s: the text is handed on, the first failure told, and nothing follows", async (_what, tail, code) => {
    await serve([[...STARTED, ...tail]], { limits: { maxEventBytes: "1KiB" } });
    expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({
      text: "Hello, world",
      errorCode: code,
      done: false,
    });
    expect(upstream.requests).toHaveLength(1);
  });
});

test("a line that never ends is refused at limits.maxEventBytes, not kept until the memory is full", async () => {
  await serve([open(...STARTED, `data: ${"x".repeat(5_000)}`)], {
    limits: { maxEventBytes: "1KiB" },
    timeouts: { idle: "500ms" },
  });
  expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ errorCode: "stream_corrupted" });
});

test("a chunk size that is no number is corruption, not a cut", async () => {
  const chunk = STARTED.join("");
  await serve([
    (socket) => socket.end(`${SSE_HEAD}transfer-encoding: chunked\r\n\r\n${chunk.length.toString(16)}\r\n${chunk}\r\nzz\r\n`),
  ]);
  expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ errorCode: "stream_corrupted" });
});

test("pings that are named so are not for the client", async () => {
  await serve([["event: ping\ndata: {}\n\n", ...WHOLE]]);
  expect(readStream((await chat(perennial.baseUrl)).body).data).toHaveLength(WHOLE.length);
});

describe("an answer that is not streamed", () => {
  const chatWith = (fields: object): string =>
    JSON.stringify({ choices: [{ index: 0, message: { content: "Hi" }, finish_reason: "stop", ...fields }] });
  const silent = { message: { content: "" } };
  const response = (fields: object): string => JSON.stringify({ id: "r", output: [{ type: "message" }], ...fields });
  const message = (fields: object): string =>
    JSON.stringify({ type: "message", content: [{ type: "text", text: "Hi" }], stop_reason: "end_turn", ...fields });
  const rows: [path: string, what: string, body: string, result: number | string, requests: number][] = [
    ["chat/completions", "is a string", '"Hi"', "stream_corrupted", 3],
    ["chat/completions", "is an error", '{"error":{"message":"boom"}}', "upstream_error_event", 3],
    ["chat/completions", "has no choice at every attempt", '{"choices":[]}', "empty_stream", 3],
    ["chat/completions", "has a choice that is null", '{"choices":[null]}', "stream_corrupted", 3],
    ["chat/completions", "has an empty finish_reason", chatWith({ finish_reason: "" }), "stream_truncated", 3],
    ["chat/completions", "finished badly", chatWith({ finish_reason: "error" }), "upstream_error_event", 3],
    ["chat/completions", "only calls a tool", chatWith({ message: { content: null, ...call() } }), 200, 1],
    ["chat/completions", "was filtered", chatWith({ ...silent, finish_reason: "content_filter" }), 200, 1],
    ["chat/completions", "says nothing at every attempt", chatWith(silent), 200, 3],
    ["chat/completions", "is empty", "", "empty_stream", 3],
    ["chat/completions", "begins with a byte order mark", `\uFEFF${chatWith({})}`, 200, 1],
    ["responses", "is a list", "[]", "stream_corrupted", 3],
    ["responses", "is an error", '{"error":{"message":"boom","code":"invalid_api_key"}}', "upstream_error_event", 1],
    ["responses", "has failed", response({ status: "failed", error: null }), "upstream_error_event", 3],
    ["responses", "was cancelled", response({ status: "cancelled" }), "upstream_error_event", 3],
    ["responses", "is queued", response({ status: "queued", output: [] }), 200, 1],
    ["responses", "is in progress", response({ status: "in_progress", output: [] }), 200, 1],
    ["responses", "is incomplete without output", response({ status: "incomplete", output: [] }), 200, 1],
    ["responses", "has no output at every attempt", response({ status: "completed", output: [] }), 200, 3],
    ["responses", "has no status", response({}), "stream_truncated", 3],
    ["messages", "is a list", "[]", "stream_corrupted", 3],
    [
      "messages",
      "is an error",
      '{"type":"error","error":{"type":"invalid_request_error","message":"boom"}}',
      "upstream_error_event",
      1,
    ],
    ["messages", "is an error by its type alone", '{"type":"error","message":"boom"}', "upstream_error_event", 3],
    ["messages", "is an error by its field alone", '{"error":{"message":"boom"}}', "upstream_error_event", 3],
    ["messages", "has no content", message({ content: undefined }), "empty_stream", 3],
    ["messages", "has no stop_reason", message({ stop_reason: null }), "stream_truncated", 3],
    ["messages", "says nothing at every attempt", message({ content: [] }), 200, 3],
    ["messages", "refuses without a word", message({ content: [], stop_reason: "refusal" }), 200, 1],
  ];

  test.each(rows)("of /v1/%s that %s is judged by what it says", async (path, _what, body, result, requests) => {
    await serve([jsonReply(body)]);
    const seen = await ask(`/v1/${path}`, { stream: false });
    expect([seen.status === 200 ? 200 : codeOf(seen), upstream.requests.length]).toEqual([result, requests]);
    if (body.includes("boom")) expect(seen.body).toContain("boom");
  });

  test("is not an answer when it is no UTF-8", async () => {
    const body = Buffer.from(chatAnswer("caf\u00e9"), "latin1");
    await serve([
      (socket) => socket.write(Buffer.concat([Buffer.from(jsonReply("").replace("length: 0", `length: ${body.length}`)), body])),
    ]);
    expect(codeOf(await chat(perennial.baseUrl, { stream: false }))).toBe("stream_corrupted");
  });

  test("is refused over limits.maxBodyBytes, at once and via a stream", async () => {
    await serve(
      [jsonReply(chatAnswer("x".repeat(2_000))), open(...chatEvents(["x".repeat(900), "x".repeat(900)], { done: false }))],
      {
        limits: { maxBodyBytes: "1KiB" },
        retry: { maxAttempts: 1 },
      },
    );
    expect(codeOf(await chat(perennial.baseUrl, { stream: false }))).toBe("stream_corrupted");
    await perennial.close();
    perennial = await startPerennial(upstream.baseUrl, {
      limits: { maxBodyBytes: "1KiB" },
      retry: { maxAttempts: 1 },
      nonStreaming: "viaStream",
      timeouts: { idle: "1s" },
    });
    expect(codeOf(await chat(perennial.baseUrl, { stream: false }))).toBe("stream_corrupted");
  });

  test("may take longer than timeouts.firstToken to come", async () => {
    await serve([async (socket) => pause(150).then(() => socket.write(jsonReply(chatAnswer("Hi"))))], {
      timeouts: { firstToken: "50ms" },
    });
    expect((await chat(perennial.baseUrl, { stream: false })).status).toBe(200);
  });

  test("is stalled when only its head comes", async () => {
    await serve([(socket) => socket.write(jsonReply(chatAnswer("Hi")).split("{")[0] as string)], {
      timeouts: { idle: "60ms", total: "3s" },
      retry: { maxAttempts: 1 },
    });
    expect(codeOf(await chat(perennial.baseUrl, { stream: false }))).toBe("stream_stalled");
  });

  test("is never mixed with comments, however long it takes", async () => {
    await serve([async (socket) => pause(150).then(() => socket.write(jsonReply(chatAnswer("Hi"))))], {
      heartbeat: { after: "20ms", every: "20ms" },
    });
    expect(await chat(perennial.baseUrl, { stream: false })).toMatchObject({
      body: chatAnswer("Hi"),
      headers: { "content-type": "application/json" },
    });
  });

  test("needs no content-type", async () => {
    await serve([jsonReply(chatAnswer("Hi")).replace("content-type: application/json\r\n", "")]);
    expect((await chat(perennial.baseUrl, { stream: false })).body).toBe(chatAnswer("Hi"));
  });

  test.each([1, "true", "True", "on", "1"])(
    "becomes a stream for stream: %j, which many servers take for true",
    async (stream) => {
      await serve([jsonReply(chatAnswer("Hi"))]);
      expect(readStream((await chat(perennial.baseUrl, { stream })).body)).toMatchObject({ text: "Hi", done: true });
    },
  );

  test("via a stream has its own first-token clock, requireDone and outcome", async () => {
    const settings = { nonStreaming: "viaStream", retry: { maxAttempts: 1 }, timeouts: { firstToken: "60ms", total: "3s" } };
    await serve([() => {}, WHOLE.slice(0, -1), WHOLE.slice(0, -1)], settings);
    expect(codeOf(await chat(perennial.baseUrl, { stream: false }))).toBe("first_token_timeout");
    expect((await chat(perennial.baseUrl, { stream: false })).status).toBe(200);
    expect(await perennial.exchangeLog(2)).toMatchObject({ outcome: "repaired" });
    await perennial.close();
    perennial = await startPerennial(upstream.baseUrl, { ...settings, upstream: { requireDone: true } });
    expect(codeOf(await chat(perennial.baseUrl, { stream: false }))).toBe("stream_truncated");
  });
});

describe("the type of an answer", () => {
  const framed = (head: string, body = WHOLE.join("")): string =>
    `HTTP/1.1 200 OK\r\n${head}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;

  test.each(["content-type: Text/Event-Stream", "content-type: text/event-stream ; charset=utf-8"])(
    "%s is a stream",
    async (head) => {
      await serve([framed(head)]);
      expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ text: "Hello, world", done: true });
    },
  );

  test("may be encoded as identity, which is no encoding", async () => {
    await serve([framed("content-type: text/event-stream\r\ncontent-encoding: identity")]);
    const seen = await chat(perennial.baseUrl);
    expect(readStream(seen.body)).toMatchObject({ text: "Hello, world", done: true });
    expect(seen.headers["content-encoding"]).toBeUndefined();
  });

  test("tells the proxies in front neither to buffer nor to compress a stream", async () => {
    await serve([WHOLE]);
    expect((await chat(perennial.baseUrl)).headers).toMatchObject({
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-cache, no-transform",
      "x-accel-buffering": "no",
    });
  });
});

describe.each(FIXTURES)("$name", (fixture) => {
  test("that falls silent in mid-stream is told as stalled", async () => {
    const cut = fixture.events.findIndex((event) => event.includes("水")) + 1;
    await serve([open(...fixture.events.slice(0, cut))], { upstream: fixture.upstream, timeouts: { idle: "80ms" } });
    const seen = await ask(fixture.path, fixture.request);
    expect(readDialectStream(fixture, seen.body)).toMatchObject({ errorCode: "stream_stalled", whole: false });
  });
});

describe("responses", () => {
  const created = typed("response.created", { response: { output: [] } });
  const text = (delta: unknown, fields: object = {}): string =>
    typed("response.output_text.delta", { output_index: 0, delta, ...fields });
  const tool = typed("response.output_item.added", { output_index: 0, item: { type: "function_call", name: "weather" } });
  const toolDone = typed("response.output_item.done", { output_index: 0, item: { type: "function_call" } });
  const completed = (output: object[] = []): string => typed("response.completed", { response: { status: "completed", output } });
  const incomplete = typed("response.incomplete", { response: { status: "incomplete", output: [] } });
  const rows: [what: string, events: string[], code: string | undefined, requests: number][] = [
    ["blank lines and [DONE] among its events", ["data: \n\n", DONE, text("Hi"), DONE, completed([{}])], undefined, 1],
    ["an error in plain text", [text("Hi"), "event: error\ndata: boom\n\n"], "upstream_error_event", 1],
    ["an event that is not JSON", [text("Hi"), "data: boom\n\n"], "stream_corrupted", 1],
    ["a number left out", [text("Hi", { sequence_number: 1 }), text("Hi", { sequence_number: 3 })], "stream_corrupted", 1],
    ["an error without an event line", [text("Hi"), line({ type: "error", message: "boom" })], "upstream_error_event", 1],
    ["a failure without a reason", [text("Hi"), typed("response.failed", { response: {} })], "upstream_error_event", 1],
    ["a cancellation", [text("Hi"), typed("response.cancelled")], "upstream_error_event", 1],
    ["a line with an error", [text("Hi"), "error: boom\n\n"], "upstream_error_event", 1],
    ["its output only in its last event", [created, completed([{ type: "message", content: [{ text: "Hi" }] }])], undefined, 1],
    ["a message without a word at every attempt", [created, completed([{ type: "message" }])], undefined, 3],
    ["a tool call that its last event does not repeat", [tool, toolDone, completed()], undefined, 1],
    ["a tool call that is never done, but a last event", [tool, completed()], undefined, 1],
    ["no output at every attempt", [created, completed()], undefined, 3],
    ["no output because it is incomplete", [created, incomplete], undefined, 1],
    ["nothing but its beginning", [created], "empty_stream", 3],
    ["no more than an empty delta", [created, text("")], "empty_stream", 3],
    ["a delta where none belongs", [created, typed("response.queued", { delta: "x" })], "empty_stream", 3],
    ["a cut after its text", [text("Hi")], "stream_truncated", 1],
  ];

  test.each(rows)("with %s are judged by what came", async (_what, events, code, requests) => {
    await serve([events], { upstream: { emptyFallback: "off" } });
    const { body } = await ask("/v1/responses");
    expect([/"code":"(\w+)"/.exec(body)?.[1], upstream.requests.length]).toEqual([code, requests]);
    if (code === undefined) expect(body).toBe(events.filter((event) => event.startsWith("event:")).join(""));
  });

  test("pass on no pings, and end with their last event though the upstream leaves its socket open", async () => {
    await serve([open(line({ type: "ping" }), text("Hi"), completed([{}]))]);
    expect((await ask("/v1/responses")).body).toBe(text("Hi") + completed([{}]));
  });

  test.each([
    [
      "the text of a message item",
      [typed("response.output_item.added", { output_index: 0, item: { type: "message" } }), text("Hi")],
      '"Hi"',
    ],
    ["a tool call that is done", [tool, toolDone], "weather"],
  ])("hand on %s at once", async (_what, events, heard) => {
    await serve([open(created, ...events)]);
    expect(await hears("/v1/responses", heard)).toBe(true);
  });
});

test("the arguments of a tool call are no text of the answer", async () => {
  const tool = typed("response.output_item.added", { output_index: 0, item: { type: "function_call", name: "weather" } });
  await serve([[tool, typed("response.function_call_arguments.delta", { output_index: 0, delta: '{"city":' })]], {
    gate: { toolCalls: "stream" },
  });
  expect((await ask("/v1/responses")).body).toContain("No text had arrived");
});

describe("messages", () => {
  const begin = typed("message_start", { message: { id: "m", content: [] } });
  const block = (content_block: object): string => typed("content_block_start", { index: 0, content_block });
  const delta = (fields: object): string => typed("content_block_delta", { index: 0, delta: fields });
  const blockStop = typed("content_block_stop", { index: 0 });
  const text = [begin, block({ type: "text", text: "" }), delta({ type: "text_delta", text: "Hi" })];
  const reason = (stop_reason: string | null): string => typed("message_delta", { delta: { stop_reason } });
  const stop = typed("message_stop");
  const rows: [what: string, events: string[], code: string | undefined, requests: number][] = [
    ["a blank line among its events", [...text, "data: \n\n", blockStop, reason("end_turn"), stop], undefined, 1],
    ["an error in plain text", [...text, "event: error\ndata: boom\n\n"], "upstream_error_event", 1],
    ["an error without an object for it", [...text, typed("error", { message: "boom" })], "upstream_error_event", 1],
    ["an error without a type", [...text, line({ error: { message: "boom" } })], "upstream_error_event", 1],
    ["an error without an event line", [...text, line({ type: "error", error: { message: "boom" } })], "upstream_error_event", 1],
    ["an event that is not JSON", [...text, "data: boom\n\n"], "stream_corrupted", 1],
    [
      "its types only in the event lines",
      [...text, blockStop, reason("end_turn"), stop].map((event) => event.replace(/"type":"\w+",?/, "")),
      undefined,
      1,
    ],
    [
      "its types only in the data",
      [...text, blockStop, reason("end_turn"), stop].map((event) => event.replace(/^event: .*\n/, "")),
      undefined,
      1,
    ],
    ["a stop_reason that is null", [...text, blockStop, reason(null)], "stream_truncated", 1],
    ["a block that is never closed", [...text, reason("end_turn")], "stream_truncated", 1],
    ["a message_stop, and no word of a stop_reason", [...text, blockStop, stop], undefined, 1],
    [
      "a message_stop after a usage alone",
      [...text, blockStop, typed("message_delta", { delta: {}, usage: { output_tokens: 1 } }), stop],
      undefined,
      1,
    ],
    ["a message_stop after a stop_reason of null", [...text, blockStop, reason(null), stop], "stream_truncated", 1],
    ["neither stop_reason nor message_stop", [...text, blockStop], "stream_truncated", 1],
    ["nothing to say at every attempt", [begin, reason("end_turn"), stop], undefined, 3],
    ["a refusal without a word", [begin, reason("refusal"), stop], undefined, 1],
    ["no content and no stop_reason", [begin, stop], "empty_stream", 3],
    ["a block that is empty", [begin, block({ type: "text", text: "" })], "empty_stream", 3],
    ["a delta that is empty", [...text.slice(0, 2), delta({ type: "text_delta", text: "" })], "empty_stream", 3],
    [
      "a request that is wrong",
      [typed("error", { error: { type: "invalid_request_error", message: "boom" } })],
      "upstream_error_event",
      1,
    ],
    [
      "a server that is overloaded",
      [typed("error", { error: { type: "overloaded_error", message: "boom" } })],
      "upstream_error_event",
      3,
    ],
  ];

  test.each(rows)("with %s are judged by what came", async (_what, events, code, requests) => {
    await serve([events], { upstream: { emptyFallback: "off" } });
    const { body } = await ask("/v1/messages");
    expect([/"code":"(\w+)"/.exec(body)?.[1], upstream.requests.length]).toEqual([code, requests]);
    if (code === undefined) expect(body).toContain("message_stop");
    if (body.includes("upstream_error_event")) expect(body).toContain("boom");
  });

  test.each([
    ["invalid_request_error", 400],
    ["overloaded_error", 529],
  ])("with an error of type %s are an HTTP %i", async (type, status) => {
    await serve([[typed("error", { error: { type } })]]);
    expect((await ask("/v1/messages")).status).toBe(status);
  });

  test("without message_stop are cut under requireDone", async () => {
    await serve([[...text, blockStop, reason("end_turn")]], { upstream: { requireDone: true } });
    expect((await ask("/v1/messages")).body).toContain("stream_truncated");
  });

  test.each([
    ["thinking", [block({ type: "thinking" }), delta({ type: "thinking_delta", thinking: "Hm" })], "Hm"],
    ["a citation", [block({ type: "text", text: "" }), delta({ type: "citations_delta", citation: { title: "Hm" } })], "Hm"],
    ["a block that begins with text", [block({ type: "text", text: "Hm" })], "Hm"],
    ["a block that begins with thinking", [block({ type: "thinking", thinking: "Hm" })], "Hm"],
    ["a tool's result", [block({ type: "web_search_tool_result", content: [{ title: "Hm" }] })], "Hm"],
    ["a tool call that is complete", [block({ type: "tool_use", name: "weather" }), blockStop], "weather"],
  ])("hand on %s at once", async (_what, events, heard) => {
    await serve([open(begin, ...events)]);
    expect(await hears("/v1/messages", heard)).toBe(true);
  });

  test("are not stalled while the parts of a tool call come", async () => {
    const tool = [begin, block({ type: "tool_use", name: "weather", input: {} })];
    const end = [blockStop, reason("tool_use"), stop];
    await serve(
      [
        async (socket) => {
          socket.write(`${SSE_HEAD}connection: close\r\n\r\n${tool.join("")}`);
          for (let i = 0; i < 16; i++) {
            await pause(60);
            socket.write(delta({ type: "input_json_delta", partial_json: "x" }));
          }
          socket.end(end.join(""));
        },
      ],
      { timeouts: { idle: "600ms" }, retry: { maxAttempts: 1 } },
    );
    expect((await ask("/v1/messages")).body.endsWith(end.join(""))).toBe(true);
  });

  test("hold back the server's own tool calls as well, and count them as content", async () => {
    const used = [begin, block({ type: "server_tool_use", name: "weather" }), delta({ partial_json: "{}" }), blockStop];
    used.push(reason("end_turn"), stop);
    await serve([used.slice(0, 3), used]);
    expect((await ask("/v1/messages")).body).toBe(used.join(""));
  });
});

describe("Chatchat", () => {
  const native = "/chat/chat";
  const finishing = "/chat/chat/completions";
  const text = line({ text: "Hi" });
  const part = (delta: object, finish_reason?: string): string => line({ choices: [{ delta, finish_reason }] });
  const rows: [path: string, what: string, events: string[], code: string | undefined, requests: number][] = [
    [native, "an answer", [line({ answer: "Hi" })], undefined, 1],
    [native, "a final answer", [line({ final_answer: "Hi" })], undefined, 1],
    [native, "content", [line({ content: "Hi" })], undefined, 1],
    [native, "documents and no text", [line({ docs: ["Hi"] })], "empty_stream", 3],
    [native, "a blank line", [text, "data: \n\n"], undefined, 1],
    [native, "its model server's [DONE]", [text, DONE], undefined, 1],
    [native, "an event that is not JSON", [text, "data: boom\n\n"], "stream_corrupted", 1],
    [native, "an event named error", [text, "event: error\ndata: boom\n\n"], "upstream_error_event", 1],
    [native, "[ERROR]", [text, "data: [ERROR] boom\n\n"], "upstream_error_event", 1],
    [native, "a line with an error", [text, "error: boom\n\n"], "upstream_error_event", 1],
    [native, "an agent that failed", [text, line({ status: -1, text: "boom" })], "upstream_error_event", 1],
    [native, "a refusal", [line({ code: 404, msg: "boom" })], "upstream_error_event", 1],
    [native, "a refusal with a number of its own", [line({ code: 7, msg: "boom" })], "upstream_error_event", 3],
    [native, "a code that says that all is well", [line({ code: 200, msg: "ok" }), text], undefined, 1],
    [native, "a code without a message", [line({ code: 500, text: "Hi" })], undefined, 1],
    [finishing, "an agent that has finished", [part({ content: "Hi" }), line({ status: 5 })], undefined, 1],
    [finishing, "a tool's own result", [line({ content: "Hi", tool_output: "Hi", is_ref: false })], undefined, 1],
    [
      finishing,
      "is_ref, which every chunk has, and no finish",
      [part({ content: "Hi" }), line({ is_ref: false })],
      "stream_truncated",
      1,
    ],
    [finishing, "message for delta", [line({ choices: [{ message: { content: "Hi" }, finish_reason: "stop" }] })], undefined, 1],
    [finishing, "a role and no finish", [part({ role: "assistant" })], "empty_stream", 3],
    [finishing, "a bad finish", [part({ content: "Hi" }), part({}, "error")], "upstream_error_event", 1],
    [finishing, "an empty finish", [part({ content: "Hi" }, "")], "stream_truncated", 1],
    [finishing, "no finish", [part({ content: "Hi" })], "stream_truncated", 1],
    [finishing, "a finish and no text at every attempt", [part({ role: "assistant" }, "stop")], undefined, 3],
  ];

  test.each(rows)("at %s with %s is judged by what came", async (path, _what, events, code, requests) => {
    await serve([events], CHATCHAT);
    const { body } = await ask(path);
    expect([/"code":"(\w+)"/.exec(body)?.[1], upstream.requests.length]).toEqual([code, requests]);
    if (code === undefined) expect(body).toBe(events.filter((event) => event.includes("{")).join(""));
  });

  test.each([
    [404, 404],
    [7, 502],
  ])("that refuses with code %i is an HTTP %i", async (code, status) => {
    await serve([[line({ code, msg: "boom" })]], CHATCHAT);
    const seen = await ask(native);
    expect([seen.status, seen.body]).toEqual([status, expect.stringContaining("boom")]);
  });

  test("loses nothing of a last event without its blank line, and is cut when its connection is", async () => {
    await serve([[text, text.trimEnd()], (socket) => socket.end(`${SSE_HEAD}content-length: 999\r\n\r\n${text}`)], CHATCHAT);
    expect((await ask(native)).body).toBe(text + text);
    expect((await ask(native)).body).toContain("stream_truncated");
  });

  test("is not believed when it says nothing, even at the last attempt", async () => {
    await serve([[]], { ...CHATCHAT, retry: { maxAttempts: 1 } });
    expect(codeOf(await ask(native))).toBe("empty_stream");
  });

  test("sends its web UI one event at a time, whatever `stream` says, and never a comment", async () => {
    await serve([async (socket) => pause(120).then(() => sendFramed(socket, "content-length", [text, text, text]))], {
      ...CHATCHAT,
      heartbeat: { after: "20ms", every: "20ms" },
    });
    let reads = 0;
    const seen = await ask(native, { stream: false, model: undefined, model_name: "glm" }, { onRead: () => reads++ });
    expect([seen.body, reads]).toEqual([text + text + text, 3]);
    expect(await perennial.exchangeLog()).toMatchObject({ model: "glm" });
  });

  test.each([
    ["null", "null", "empty_stream"],
    ["a refusal", '{"code":404,"msg":"boom"}', "upstream_error_event"],
    ["unfinished", '{"choices":[{"message":{"content":"Hi"}}]}', "stream_truncated"],
    ["of another kind", '{"code":200,"msg":"ok","data":[1]}', undefined],
  ])("that is not asked to stream and answers %s is judged as well, and not asked via a stream", async (_what, body, code) => {
    await serve([jsonReply(body)], { ...CHATCHAT, nonStreaming: "viaStream" });
    const seen = await ask(finishing, { stream: false });
    expect(seen.status === 200 ? undefined : codeOf(seen)).toBe(code);
    expect(upstream.requests[0]?.json.stream).toBe(false);
  });

  test("is asked again as it was, even where others are asked whole", async () => {
    await serve([[], [text]], { upstream: { profile: "chatchat", emptyFallback: "next" } });
    expect((await ask(native)).body).toBe(text);
    expect(upstream.requests[1]?.body).toBe(upstream.requests[0]?.body);
  });
});

describe("tool calls of a chat", () => {
  test("are handed on at once when their choice has finished", async () => {
    await serve([open(choice(call()), choice(call()), choice({}, "tool_calls"))]);
    expect(await hears("/v1/chat/completions", "weather")).toBe(true);
  });

  test("are held though another choice has text in the same event", async () => {
    await serve(
      [
        [
          line({
            choices: [
              { index: 0, delta: call() },
              { index: 1, delta: { content: "Hi" } },
            ],
          }),
        ],
      ],
      {
        retry: { maxAttempts: 1 },
      },
    );
    expect(codeOf(await chat(perennial.baseUrl, { n: 2 }))).toBe("stream_truncated");
  });

  test("that are cut leave no text behind them, and the error says so", async () => {
    await serve([[choice(call()), choice({ content: "Hi" })]], { retry: { maxAttempts: 1 } });
    expect((await chat(perennial.baseUrl)).body).toContain("No text had arrived");
  });
});

describe("asking for the whole answer", () => {
  test("is not done at the first attempt, nor after failures of another kind", async () => {
    await serve([[], jsonReply("{}", "503 Busy")], { retry: { maxAttempts: 1 } });
    await chat(perennial.baseUrl);
    await perennial.close();
    perennial = await startPerennial(upstream.baseUrl);
    await chat(perennial.baseUrl);
    expect(upstream.requests.map(({ json }) => json.stream)).toEqual([true, true, true, true]);
  });

  test("with emptyFallback: next follows on text that is not SSE, and has no first token to wait for", async () => {
    await serve(
      [["Internal Server Error\n"], async (socket) => pause(1_500).then(() => socket.write(jsonReply(chatAnswer("Hi"))))],
      {
        upstream: { emptyFallback: "next" },
        timeouts: { firstToken: "1s" },
      },
    );
    expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ text: "Hi", done: true });
    expect(upstream.requests.map(({ json }) => json.stream)).toEqual([true, false]);
  });
});

describe("the gate", () => {
  test("opens by itself over limits.maxGateBytes, so that nothing is lost", async () => {
    const usage = line({ choices: [], usage: { note: "x".repeat(600) } });
    await serve([open(usage, usage, usage)], { limits: { maxGateBytes: "1KiB" } });
    expect(await hears("/v1/chat/completions", "note")).toBe(true);
  });

  test("that opened without a first token still waits for one in time", async () => {
    await serve([open(line({ choices: [], usage: { note: "x".repeat(300_000) } }))], {
      limits: { maxGateBytes: "1KiB" },
      timeouts: { firstToken: "200ms", total: "4s" },
    });
    expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ errorCode: "first_token_timeout" });
  });

  test("opens once: the first token is the first, not the last", async () => {
    await serve([
      async (socket) => {
        socket.write(`${SSE_HEAD}connection: close\r\n\r\n${STARTED.join("")}`);
        await pause(1_500);
        socket.end(WHOLE.slice(-2).join(""));
      },
    ]);
    await chat(perennial.baseUrl);
    expect((await perennial.exchangeLog()).firstTokenMs).toBeLessThan(1_400);
  });
});

describe("heartbeats", () => {
  const count = ({ body }: Seen): number => body.split(": keep-alive").length - 1;

  test("are not sent while text flows, and are when it pauses", async () => {
    await serve(
      [
        async (socket) => {
          socket.write(`${SSE_HEAD}connection: close\r\n\r\n`);
          for (let i = 0; i < 50; i++) {
            socket.write(choice({ content: "x" }));
            await pause(20);
          }
          socket.write(choice({ content: "pause" }));
          await pause(900);
          socket.end(WHOLE.slice(-2).join(""));
        },
      ],
      { heartbeat: { after: "400ms", every: "400ms" } },
    );
    const seen = await chat(perennial.baseUrl);
    const [flowing = "", pausing = ""] = seen.body.split('"pause"');
    expect([flowing.includes("keep-alive"), pausing.includes("keep-alive")]).toEqual([false, true]);
  });

  test("are not sent when they are off", async () => {
    await serve([async (socket) => pause(150).then(() => sendFramed(socket, "content-length", WHOLE))], { heartbeat: "off" });
    expect(count(await chat(perennial.baseUrl))).toBe(0);
  });
});

describe("a client that reads slowly", () => {
  const big = choice({ content: "x".repeat(60_000) });

  /** Writes for as long as somebody reads, up to 64 MB. @returns how much was taken. */
  function pour(socket: Socket, piece: string, head: string): () => number {
    socket.write(`${head}connection: close\r\n\r\n`);
    let taken = 0;
    const more = (): void => {
      if (taken > 64_000_000 || socket.destroyed) return;
      taken += piece.length;
      socket.write(piece, more);
    };
    more();
    return () => taken;
  }

  const slowly = (path: string): Promise<Response> => fetch(perennial.url + path, posted);

  test.each([
    ["/v1/chat/completions", SSE_HEAD, big],
    ["/v1/files", "HTTP/1.1 200 OK\r\n", big],
  ])("makes the upstream wait, so that no memory is filled (%s)", async (path, head, piece) => {
    let taken = (): number => 0;
    await serve([
      (socket) => {
        taken = pour(socket, piece, head);
      },
    ]);
    const response = await slowly(path);
    await pause(700);
    expect(taken()).toBeGreaterThan(100_000);
    expect(taken()).toBeLessThan(40_000_000);
    await response.body?.cancel();
  });

  test("gets no comments into a connection that is full already", async () => {
    await serve([(socket) => pour(socket, big, SSE_HEAD)], {
      heartbeat: { after: "20ms", every: "20ms" },
      timeouts: { total: "1s" },
    });
    const response = await slowly("/v1/chat/completions");
    await pause(900);
    expect((await response.text()).split(": keep-alive").length).toBeLessThan(12);
  });

  test("does not hide that the upstream has fallen silent since", async () => {
    await serve([open(choice({ content: "x".repeat(300_000) }))], { timeouts: { idle: "150ms", total: "4s" } });
    expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ errorCode: "stream_stalled" });
  });

  test("costs no connection when its answer is whole", async () => {
    const whole = chatEvents(["x".repeat(300_000)]);
    await serve([whole]);
    await chat(perennial.baseUrl);
    await chat(perennial.baseUrl);
    expect(upstream.connections).toBe(1);
  });
});

describe("time", () => {
  test("comments after the text do not put off the stall", async () => {
    await serve(
      [
        (socket) => {
          socket.write(`${SSE_HEAD}connection: close\r\n\r\n${STARTED.join("")}`);
          const timer = setInterval(() => socket.write(": ping\n\n"), 10);
          socket.on("close", () => clearInterval(timer));
        },
      ],
      { timeouts: { idle: "400ms", total: "4s" } },
    );
    expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ errorCode: "stream_stalled" });
  });

  test("a client may shorten the idle and the total time, not lengthen them", async () => {
    await serve([open(...STARTED)], { timeouts: { idle: "1s", total: "2s" } });
    const told = async (headers: Record<string, string>): Promise<string | undefined> =>
      readStream((await chat(perennial.baseUrl, {}, { headers })).body).errorCode;
    expect(await told({ "x-perennial-idle-timeout": "50ms", "x-perennial-total-timeout": "900ms" })).toBe("stream_stalled");
    expect(await told({ "x-perennial-total-timeout": "100ms" })).toBe("deadline_exceeded");
    await perennial.close();
    perennial = await startPerennial(upstream.baseUrl, { timeouts: { idle: "100ms", total: "2s" } });
    expect(await told({ "x-perennial-idle-timeout": "10m" })).toBe("stream_stalled");
    await perennial.close();
    perennial = await startPerennial(upstream.baseUrl, { timeouts: { idle: "2s", total: "100ms" } });
    expect(await told({ "x-perennial-total-timeout": "10m" })).toBe("deadline_exceeded");
  });

  test("that is up before any answer is an HTTP 504, and SDKs are told not to start over", async () => {
    await serve([() => {}], { timeouts: { total: "80ms" } });
    const seen = await chat(perennial.baseUrl);
    expect([seen.status, codeOf(seen), seen.headers["x-should-retry"]]).toEqual([504, "deadline_exceeded", "false"]);
  });

  test("a refusal may take longer than timeouts.firstToken to arrive, as long as it goes on", async () => {
    await serve(
      [
        async (socket) => {
          const reply = jsonReply('{"error":"a long story"}', "400 Bad");
          const at = reply.indexOf("{");
          socket.write(reply.slice(0, at));
          for (const character of reply.slice(at)) {
            socket.write(character);
            await pause(30);
          }
        },
      ],
      { timeouts: { firstToken: "400ms" }, retry: { maxAttempts: 1 } },
    );
    expect(await chat(perennial.baseUrl)).toMatchObject({ status: 400, body: '{"error":"a long story"}' });
  });
});

describe("connections to the upstream", () => {
  test("are closed when a stream fails, and when it stalls after its finish", async () => {
    await serve([open(...STARTED, line({ error: "boom" })), open(...WHOLE.slice(0, -1))], { timeouts: { idle: "80ms" } });
    expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ errorCode: "upstream_error_event" });
    await expect.poll(() => upstream.sockets.size).toBe(0);
    expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ done: true });
    await expect.poll(() => upstream.sockets.size).toBe(0);
  });

  test("that were kept and all die are tried twice, not one after the other for one attempt", async () => {
    let stale = false;
    await serve([(socket) => (stale ? socket.end() : pause(80).then(() => sendFramed(socket, "content-length", WHOLE)))], {
      retry: { maxAttempts: 1 },
    });
    await Promise.all([1, 2, 3, 4].map(() => chat(perennial.baseUrl)));
    stale = true;
    expect((await chat(perennial.baseUrl)).status).toBe(502);
    expect(upstream.requests).toHaveLength(6);
  });

  test("that were kept and break in mid-stream do not make the text begin again", async () => {
    const broken = `${SSE_HEAD}content-length: 9999\r\n\r\n${STARTED.join("")}`;
    await serve([WHOLE, (socket) => socket.end(broken), WHOLE]);
    await chat(perennial.baseUrl);
    expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({
      text: "Hello, world",
      errorCode: "stream_truncated",
    });
    expect(upstream.requests).toHaveLength(2);
  });

  test("that were kept and answer with what is not HTTP have answered: that is an attempt, and is told", async () => {
    await serve([WHOLE, (socket) => socket.end("SSH-2.0-OpenSSH_9.6\r\n"), WHOLE], { retry: { maxAttempts: 1 } });
    await chat(perennial.baseUrl);
    const seen = await chat(perennial.baseUrl);
    expect([seen.status, seen.body]).toEqual([502, expect.stringContaining("not HTTP")]);
  });

  test("are not asked for when the client has left the queue", async () => {
    let release = (): void => {};
    await serve([(socket) => (release = () => sendFramed(socket, "content-length", WHOLE)), WHOLE], {
      upstream: { maxConnections: 1 },
    });
    const first = chat(perennial.baseUrl);
    await expect.poll(() => upstream.requests.length).toBe(1);
    const second = new AbortController();
    const left = fetch(`${perennial.baseUrl}/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: '{"stream":true}',
      signal: second.signal,
    }).catch(() => {});
    await pause(100);
    second.abort();
    await left;
    await perennial.exchangeLog();
    release();
    expect(readStream((await first).body)).toMatchObject({ done: true });
    await pause(50);
    expect(upstream.requests).toHaveLength(1);
  });
});

describe("what is passed through", () => {
  const get = (path: string): Promise<Seen> => send(perennial.baseUrl + path);

  test("begins with its head, before there is a body", async () => {
    await serve(["HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"]);
    const response = await fetch(`${perennial.baseUrl}/models`);
    for (const socket of upstream.sockets) socket.write("{}");
    expect(await response.text()).toBe("{}");
  });

  test("is stalled when it falls silent after its head, and is not while bytes come", async () => {
    await serve(
      [
        (socket) => socket.write("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n"),
        async (socket) => {
          socket.write("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n");
          for (const character of "123456789") {
            socket.write(character);
            await pause(100);
          }
        },
      ],
      { timeouts: { idle: "600ms", total: "4s" } },
    );
    expect(await get("/a").catch(() => "broken")).toMatchObject({ end: "cut" });
    expect(await perennial.exchangeLog()).toMatchObject({ failure: "stream_stalled" });
    expect(await get("/b")).toMatchObject({ body: "123456789", end: "clean" });
  });

  test("is not sent a second time when it was a POST on a kept connection that died", async () => {
    await serve([jsonReply("{}"), (socket) => socket.end(), jsonReply("{}")]);
    await get("/models");
    const seen = await send(`${perennial.baseUrl}/embeddings`, { method: "POST", body: "{}" });
    expect([seen.status, upstream.requests.length, upstream.connections]).toEqual([502, 2, 1]);
  });

  test("keeps the length of what was sent", async () => {
    await serve([jsonReply("{}")]);
    // More than fits into one read: what has arrived as a whole has its length anyway.
    await send(`${perennial.baseUrl}/files`, { method: "POST", body: Buffer.alloc(500_000, "x") });
    expect(upstream.requests[0]?.head).toContain("content-length: 500000");
    expect(upstream.requests[0]?.head).not.toContain("chunked");
  });
});

test("a wait that makes no sense is not taken for none", async () => {
  await serve([jsonReply("{}", "503 Busy", "retry-after: soon GMT\r\n"), WHOLE], {
    retry: { backoff: { initial: "150ms", jitter: false } },
  });
  const began = Date.now();
  expect((await chat(perennial.baseUrl)).status).toBe(200);
  expect(Date.now() - began).toBeGreaterThanOrEqual(145);
});

test.each(["501 Never", "505 Never"])("%s will not change, and is passed on at once", async (status) => {
  await serve([jsonReply("{}", status)]);
  expect((await chat(perennial.baseUrl)).status).toBe(Number.parseInt(status, 10));
  expect(upstream.requests).toHaveLength(1);
});

test("an exchange that ends with the shutdown before it was answered is told to come back", async () => {
  await serve([() => {}], { drain: { timeout: "50ms" } });
  const seen = chat(perennial.baseUrl);
  await expect.poll(() => upstream.requests.length).toBe(1);
  await perennial.close();
  expect(await seen).toMatchObject({ status: 503, headers: { "retry-after": "1" } });
});
