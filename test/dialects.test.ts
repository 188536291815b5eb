/** What every dialect owes its clients, and what only some of them have: one suite over all, then each one's own. */

import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { describe, expect } from "vitest";
import { askDialect, byName, serveDialect } from "./support/dialect-client.ts";
import { FIXTURES, readDialectStream } from "./support/dialect-fixtures.ts";
import { chatChunk, toolCall, typed } from "./support/events.ts";
import { jsonReply, NOBODY } from "./support/raw-upstream.ts";
import { open } from "./support/replies.ts";
import { test } from "./support/test.ts";

const withAnswer = FIXTURES.filter(({ answer }) => answer !== undefined);

describe.each(FIXTURES)("$name", (fixture) => {
  test("a whole stream comes through event by event, byte for byte", async ({ serve }) => {
    const { perennial } = await serveDialect(serve, fixture, () => fixture.events);
    const seen = await askDialect(perennial, fixture);
    expect(seen.body).toBe(fixture.events.filter((event) => !event.includes("event: ping")).join(""));
    expect(await perennial.exchangeLog()).toMatchObject({ outcome: "complete", dialect: fixture.name, model: "m" });
  });

  test("an empty stream is asked again, unseen", async ({ serve }) => {
    const { perennial } = await serveDialect(serve, fixture, ({ number }) => (number === 1 ? [] : fixture.events));
    expect(readDialectStream(fixture, (await askDialect(perennial, fixture)).body).text).toBe(fixture.text);
    expect(await perennial.exchangeLog()).toMatchObject({ outcome: "recovered" });
  });

  test("an error inside the stream is told in the dialect's own shape", async ({ serve }) => {
    const failed =
      fixture.name === "anthropic-messages"
        ? 'event: error\ndata: {"type":"error","error":{"type":"api_error","message":"boom"}}\n\n'
        : 'data: {"error":{"message":"boom"}}\n\n';
    const cut = fixture.events.findIndex((event) => event.includes("水")) + 1;
    const { perennial } = await serveDialect(serve, fixture, () => [...fixture.events.slice(0, cut), failed]);
    const seen = await askDialect(perennial, fixture);
    expect(readDialectStream(fixture, seen.body)).toEqual({ text: "Hé 水🌊", whole: false, errorCode: "upstream_error_event" });
    expect(seen.body).toContain("boom");
  });

  test.for(["", " data: ", "DATA: "])(
    "a part of the answer on a line that begins with %j is not dropped in silence",
    async (mark, { serve }) => {
      const lost = fixture.events.findIndex((event) => event.includes("水"));
      const events = fixture.events.map((event, at) => (at === lost ? event.replace(/^(event: .*\n)?data: /, mark) : event));
      const { perennial } = await serveDialect(serve, fixture, () => events);
      expect(readDialectStream(fixture, (await askDialect(perennial, fixture)).body)).toMatchObject({
        errorCode: "stream_corrupted",
        whole: false,
      });
    },
  );

  test("that falls silent in mid-stream is told as stalled", async ({ serve }) => {
    const cut = fixture.events.findIndex((event) => event.includes("水")) + 1;
    const { perennial } = await serve([open(...fixture.events.slice(0, cut))], {
      upstream: fixture.upstream,
      timeouts: { idle: "80ms" },
    });
    const seen = await askDialect(perennial, fixture);
    expect(readDialectStream(fixture, seen.body)).toMatchObject({ errorCode: "stream_stalled", whole: false });
  });

  test("an upstream that is down is an HTTP error in the dialect's own shape", async ({ startPerennial }) => {
    const perennial = await startPerennial(NOBODY, { upstream: fixture.upstream });
    const seen = await askDialect(perennial, fixture);
    expect(seen.status).toBe(502);
    const body = JSON.parse(seen.body);
    expect(body.error).toMatchObject({ code: "upstream_unreachable" });
    expect(body).toMatchObject(fixture.failureOf(body.error.message));
  });
});

describe.each(withAnswer)("$name, not streamed", (fixture) => {
  const answer = JSON.stringify(fixture.answer);

  test("a whole answer comes through byte for byte, null and half of one are asked again", async ({ serve }) => {
    const replies = [
      jsonReply("null"),
      jsonReply(answer)
        .replace(/content-length: \d+/, "connection: close")
        .slice(0, -9),
      jsonReply(answer),
    ];
    const { perennial } = await serveDialect(serve, fixture, ({ number }) => replies[number - 1] as string);
    expect((await askDialect(perennial, fixture, { stream: false })).body).toBe(answer);
    expect(await perennial.exchangeLog()).toMatchObject({
      outcome: "recovered",
      attempts: [{ failure: "empty_stream" }, { failure: "stream_truncated" }, {}],
    });
  });

  test("via a stream it equals the answer that the upstream would have given, and a cut is never noticed", async ({ serve }) => {
    const { perennial, upstream } = await serveDialect(
      serve,
      fixture,
      ({ number }) => (number === 1 ? fixture.events.slice(0, -3) : fixture.events),
      {
        nonStreaming: "viaStream",
      },
    );
    const seen = await askDialect(perennial, fixture, { stream: false });
    expect(seen.headers["content-type"]).toContain("application/json");
    expect(JSON.parse(seen.body)).toEqual(fixture.answer);
    expect(upstream.requests[0]?.json.stream).toBe(true);
    expect(await perennial.exchangeLog()).toMatchObject({ outcome: "recovered" });
  });

  test("a JSON answer to a stream request becomes a whole stream", async ({ serve }) => {
    const { perennial } = await serveDialect(serve, fixture, () => jsonReply(answer));
    expect(readDialectStream(fixture, (await askDialect(perennial, fixture)).body)).toEqual({
      text: fixture.text,
      whole: true,
      errorCode: undefined,
    });
    expect(await perennial.exchangeLog()).toMatchObject({ outcome: "repaired" });
  });

  test("when every streamed attempt was empty, the last asks for the whole answer", async ({ serve }) => {
    const { perennial, upstream } = await serveDialect(serve, fixture, ({ json }) => (json.stream ? [] : jsonReply(answer)));
    expect(
      readDialectStream(fixture, (await askDialect(perennial, fixture, { stream_options: { include_usage: true } })).body),
    ).toMatchObject({
      text: fixture.text,
      whole: true,
    });
    expect(upstream.requests.map(({ json }) => json.stream)).toEqual([true, true, false]);
    expect(upstream.requests[2]?.json.stream_options).toEqual(fixture.wholeStreamOptions);
    expect(await perennial.exchangeLog()).toMatchObject({ outcome: "repaired" });
  });

  test("unless emptyFallback is off; with next it does so at once", async ({ serve, startPerennial }) => {
    const { perennial, upstream } = await serveDialect(serve, fixture, ({ json }) => (json.stream ? [] : jsonReply(answer)), {
      upstream: { emptyFallback: "off" },
    });
    expect((await askDialect(perennial, fixture)).status).toBe(502);
    expect(upstream.requests.map(({ json }) => json.stream)).toEqual([true, true, true]);
    const second = await startPerennial(upstream.baseUrl, { upstream: { emptyFallback: "next" } });
    expect((await askDialect(second, fixture)).status).toBe(200);
    expect(upstream.requests.slice(3).map(({ json }) => json.stream)).toEqual([true, false]);
  });

  test("with next it does not wait first: it asks otherwise, not again", async ({ serve }) => {
    const patient = { upstream: { emptyFallback: "next" }, retry: { backoff: { initial: "30s" } } };
    const { perennial } = await serveDialect(serve, fixture, ({ json }) => (json.stream ? [] : jsonReply(answer)), patient);
    expect((await askDialect(perennial, fixture)).status).toBe(200);
  });

  test("and goes on to ask so after a failure of another kind", async ({ serve }) => {
    const replies = [[], jsonReply("{}", "503 Busy"), jsonReply(answer)];
    const { perennial, upstream } = await serveDialect(serve, fixture, () => replies.shift() ?? [], {
      upstream: { emptyFallback: "next" },
    });
    expect((await askDialect(perennial, fixture)).status).toBe(200);
    expect(upstream.requests.map(({ json }) => json.stream)).toEqual([true, false, false]);
  });

  test("a refusal of what the client has not asked for is not told as its own", async ({ serve }) => {
    const { perennial } = await serveDialect(serve, fixture, ({ json }) =>
      json.stream ? [] : jsonReply('{"error":"only streams"}', "400 Bad"),
    );
    const seen = await askDialect(perennial, fixture);
    expect(seen.status).toBe(502);
    expect(JSON.parse(seen.body).error).toMatchObject({ code: "empty_stream", message: expect.stringContaining("400") });
  });
});

test("reasoning, refusals, tool calls, logprobs, usage and several choices are joined into one answer", async ({ serve }) => {
  const events = [
    chatChunk({ role: "assistant", content: "" }),
    chatChunk({ reasoning_content: "Hm" }),
    chatChunk({ reasoning_content: "m." }),
    `data: ${JSON.stringify({ choices: [{ index: 1, delta: { role: "assistant", refusal: "I " }, finish_reason: null }] })}\n\n`,
    `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: "A" }, logprobs: { content: [{ token: "A" }] }, finish_reason: null }] })}\n\n`,
    `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: "B" }, logprobs: { content: [{ token: "B" }] }, finish_reason: null }] })}\n\n`,
    toolCall(0, "", "weather"),
    toolCall(0, '{"city":'),
    toolCall(0, '"Ulm"}'),
    `data: ${JSON.stringify({ choices: [{ index: 1, delta: { refusal: "won't." }, finish_reason: "stop" }] })}\n\n`,
    chatChunk({}, "tool_calls"),
    `data: ${JSON.stringify({ choices: [], usage: { total_tokens: 9 } })}\n\n`,
    "data: [DONE]\n\n",
  ];
  const fixture = byName("openai-chat");
  const { perennial, upstream } = await serveDialect(serve, fixture, () => events, { nonStreaming: "viaStream" });
  const answer = JSON.parse((await askDialect(perennial, fixture, { stream: false, n: 2 })).body);
  expect(upstream.requests[0]?.json).toMatchObject({ stream: true, stream_options: { include_usage: true } });
  expect(answer).toEqual({
    id: "c",
    object: "chat.completion",
    choices: [
      {
        index: 0,
        message: {
          role: "assistant",
          content: "AB",
          reasoning_content: "Hmm.",
          tool_calls: [{ id: "call_0", type: "function", function: { name: "weather", arguments: '{"city":"Ulm"}' } }],
        },
        logprobs: { content: [{ token: "A" }, { token: "B" }] },
        finish_reason: "tool_calls",
      },
      { index: 1, message: { role: "assistant", content: null, refusal: "I won't." }, logprobs: null, finish_reason: "stop" },
    ],
    usage: { total_tokens: 9 },
  });
});

test("a gap in the sequence numbers of a response is corruption", async ({ serve }) => {
  const fixture = byName("openai-responses");
  const { perennial } = await serveDialect(serve, fixture, () => fixture.events.filter((_event, at) => at !== 4));
  expect(readDialectStream(fixture, (await askDialect(perennial, fixture)).body)).toMatchObject({
    errorCode: "stream_corrupted",
  });
});

test.for([
  [
    "response.failed",
    typed("response.failed", { response: { status: "failed", error: { code: "server_error", message: "boom" } } }),
  ],
  ["error", typed("error", { code: "server_error", message: "boom", param: null })],
])("%s ends a response with an error", async ([_type, event], { serve }) => {
  const fixture = byName("openai-responses");
  const { perennial } = await serveDialect(serve, fixture, () => [
    ...fixture.events.slice(0, 4).map((text) => text.replace(/"sequence_number":\d+,/, "")),
    event,
  ]);
  const seen = await askDialect(perennial, fixture);
  expect(readDialectStream(fixture, seen.body)).toMatchObject({ errorCode: "upstream_error_event" });
  expect(seen.body).toContain("boom");
});

test("an incomplete response is whole: it says itself why it ends", async ({ serve }) => {
  const fixture = byName("openai-responses");
  const last = typed("response.incomplete", {
    response: { status: "incomplete", incomplete_details: { reason: "max_output_tokens" }, output: [] },
  });
  const { perennial } = await serveDialect(serve, fixture, () => [...fixture.events.slice(0, 4), last]);
  expect((await askDialect(perennial, fixture)).body.endsWith(last)).toBe(true);
  expect(await perennial.exchangeLog()).toMatchObject({ outcome: "complete" });
});

test("a message without its message_stop is repaired when its stop_reason came and its blocks are closed", async ({ serve }) => {
  const fixture = byName("anthropic-messages");
  const { perennial } = await serveDialect(serve, fixture, () => fixture.events.slice(0, -1));
  expect(readDialectStream(fixture, (await askDialect(perennial, fixture)).body)).toEqual({
    text: fixture.text,
    whole: true,
    errorCode: undefined,
  });
  expect(await perennial.exchangeLog()).toMatchObject({ outcome: "repaired" });
});

describe("the official clients", () => {
  test("openai: responses are whole, recovered, or raise an APIError with the code", async ({ serve }) => {
    const fixture = byName("openai-responses");
    const { perennial } = await serveDialect(serve, fixture, ({ number }) =>
      number === 1 ? [] : number === 2 ? fixture.events : fixture.events.slice(0, 5),
    );
    const client = new OpenAI({ baseURL: perennial.baseUrl, apiKey: "k", maxRetries: 0 });
    const read = async (): Promise<string> => {
      let text = "";
      for await (const event of await client.responses.create({ model: "m", input: "p", stream: true })) {
        if (event.type === "response.output_text.delta") text += event.delta;
      }
      return text;
    };
    expect(await read()).toBe(fixture.text);
    const error = await read().catch((thrown) => thrown);
    expect(error).toBeInstanceOf(OpenAI.APIError);
    expect(error.code).toBe("stream_truncated");
  });

  test("openai: completions are whole, or raise an APIError with the code", async ({ serve }) => {
    const fixture = byName("openai-completions");
    const { perennial } = await serveDialect(serve, fixture, ({ number }) =>
      number === 1 ? fixture.events : fixture.events.slice(0, 2),
    );
    const client = new OpenAI({ baseURL: perennial.baseUrl, apiKey: "k", maxRetries: 0 });
    const read = async (): Promise<string> => {
      let text = "";
      for await (const part of await client.completions.create({ model: "m", prompt: "p", stream: true }))
        text += part.choices[0]?.text ?? "";
      return text;
    };
    expect(await read()).toBe(fixture.text);
    await expect(read()).rejects.toMatchObject({ code: "stream_truncated" });
  });

  test("@anthropic-ai/sdk: messages are whole, recovered, or raise an APIError that names the code", async ({ serve }) => {
    const fixture = byName("anthropic-messages");
    const { perennial, upstream } = await serveDialect(serve, fixture, ({ number }) =>
      number === 1 ? [] : number === 2 ? fixture.events : fixture.events.slice(0, 5),
    );
    const client = new Anthropic({ baseURL: perennial.url, apiKey: "sk-ant", maxRetries: 0 });
    const read = async (): Promise<string> => {
      const stream = client.messages.stream({ model: "m", max_tokens: 9, messages: [{ role: "user", content: "p" }] });
      return stream.finalText();
    };
    expect(await read()).toBe(fixture.text);
    const error = await read().catch((thrown) => thrown);
    expect(error).toBeInstanceOf(Anthropic.APIError);
    expect(error.error.error).toMatchObject({ code: "stream_truncated" });
    expect(upstream.requests[0]?.head).toContain("sk-ant");
    expect(upstream.requests[0]?.head).toMatch(/anthropic-version: /);
  });

  test("@anthropic-ai/sdk: a failure without any text is a typed HTTP error", async ({ serve }) => {
    const { perennial } = await serveDialect(serve, byName("anthropic-messages"), () => []);
    const client = new Anthropic({ baseURL: perennial.url, apiKey: "sk-ant", maxRetries: 0 });
    const error = await client.messages.create({ model: "m", max_tokens: 9, messages: [] }).catch((thrown) => thrown);
    expect(error).toMatchObject({ status: 502, error: { type: "error", error: { code: "empty_stream" } } });
  });
});

describe("answers joined from odd streams", () => {
  const fixture = byName("openai-chat");
  const piece = (fields: object): string => chatChunk({ tool_calls: [fields] });
  const whole = { id: "call_a", type: "function", function: { name: "weather", arguments: '{"x":1}' } };

  test.for([
    [
      "that count from 1",
      [
        piece({ index: 1, id: "call_a", type: "function", function: { name: "weather", arguments: "" } }),
        piece({ index: 1, function: { arguments: '{"x":1}' } }),
      ],
    ],
    [
      "without a number",
      [
        piece({ id: "call_a", type: "function", function: { name: "weather", arguments: "" } }),
        piece({ function: { arguments: '{"x":1}' } }),
      ],
    ],
    [
      "with a number beyond reason",
      [
        piece({ index: 3e9, id: "call_a", type: "function", function: { name: "weather", arguments: "" } }),
        piece({ index: 3e9, function: { arguments: '{"x":1}' } }),
      ],
    ],
  ])("tool calls %s are one call", async ([_how, pieces], { serve }) => {
    const { perennial } = await serveDialect(serve, fixture, () => [...pieces, chatChunk({}, "tool_calls"), "data: [DONE]\n\n"], {
      nonStreaming: "viaStream",
    });
    const answer = JSON.parse((await askDialect(perennial, fixture, { stream: false })).body);
    expect(answer.choices[0].message.tool_calls).toEqual([whole]);
  });

  test("a message whose tool call max_tokens cut short is an error: nobody may act on half an input", async ({ serve }) => {
    const messages = byName("anthropic-messages");
    const events = [
      typed("message_start", { message: { id: "m", type: "message", role: "assistant", content: [] } }),
      typed("content_block_start", { index: 0, content_block: { type: "tool_use", id: "t", name: "weather", input: {} } }),
      typed("content_block_delta", { index: 0, delta: { type: "input_json_delta", partial_json: '{"city":' } }),
      typed("content_block_stop", { index: 0 }),
      typed("message_delta", { delta: { stop_reason: "max_tokens" } }),
      typed("message_stop", {}),
    ];
    const { perennial, upstream } = await serveDialect(serve, messages, () => events, { nonStreaming: "viaStream" });
    const seen = await askDialect(perennial, messages, { stream: false });
    expect(seen.status).toBe(502);
    expect(JSON.parse(seen.body).error.code).toBe("stream_truncated");
    expect(upstream.requests).toHaveLength(1);
  });

  test("a JSON reply that no stream can be made of is passed on as it is", async ({ serve }) => {
    const chatchat = byName("chatchat-completions");
    const { perennial } = await serveDialect(serve, chatchat, () => jsonReply('{"code":200,"msg":"ok","data":1}'));
    expect(await askDialect(perennial, chatchat)).toMatchObject({ status: 200, body: '{"code":200,"msg":"ok","data":1}' });
  });
});

test.for(["queued", "in_progress"])("a response that is only %s is never told as completed", async (status, { serve }) => {
  const fixture = byName("openai-responses");
  const { perennial } = await serveDialect(serve, fixture, () =>
    jsonReply(JSON.stringify({ ...fixture.answer, status, output: [] })),
  );
  const seen = await askDialect(perennial, fixture);
  expect(seen.status).toBe(502);
  expect(JSON.parse(seen.body).error.code).toBe("stream_truncated");
  // Not streamed, it is what a request with `background` asks for.
  expect((await askDialect(perennial, fixture, { stream: false, background: true })).status).toBe(200);
});

test.for([
  ["an error", '{"error":{"message":"boom"}}\n\n', "upstream_error_event"],
  ["a refusal", '{"code":500,"msg":"boom"}\n\n', "upstream_error_event"],
  ["a traceback", "Traceback (most recent call last):\n\n", "stream_corrupted"],
  ["more than anybody would keep", `${"x".repeat(20_000)}\n\n`, "stream_corrupted"],
  ["an error that lacks its line end", '{"error":{"message":"boom"}}', "stream_truncated"],
  ["half an event", 'data: {"text":"wor', "stream_truncated"],
])("Chatchat's text followed by a bare line with %s is no whole answer", async ([_what, line, code], { serve }) => {
  const fixture = byName("chatchat");
  const { perennial } = await serveDialect(serve, fixture, () => [...fixture.events, line]);
  expect(readDialectStream(fixture, (await askDialect(perennial, fixture)).body)).toMatchObject({ errorCode: code });
});

test("the bare JSON of a Chatchat before 0.2.10 is named for what it is", async ({ serve }) => {
  const fixture = byName("chatchat");
  const { perennial } = await serveDialect(serve, fixture, () => [
    '{"text":"Hel","message_id":"1"}{"text":"lo","message_id":"1"}',
  ]);
  const seen = await askDialect(perennial, fixture);
  expect(seen.status).toBe(502);
  expect(JSON.parse(seen.body)).toMatchObject({
    code: 502,
    msg: expect.stringContaining("0.2.10"),
    error: { code: "empty_stream" },
  });
});
