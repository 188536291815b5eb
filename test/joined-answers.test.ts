/** An answer that was watched as a stream, or a stream made of an answer: nothing of what the upstream said is lost or doubled. */

import OpenAI from "openai";
import { expect } from "vitest";
import { chat, send } from "./support/client.ts";
import { chatAnswer, chatEvents, jsonReply, sendFramed } from "./support/raw-upstream.ts";
import { type Serve, test } from "./support/test.ts";

const chunk = (delta: object, fields: object = {}, top: object = {}): string =>
  `data: ${JSON.stringify({ id: "c", object: "chat.completion.chunk", created: 1, model: "m", choices: [{ index: 0, delta, finish_reason: null, ...fields }], ...top })}\n\n`;
const call = (part: object): string => chunk({ tool_calls: [part] });
const END = [chunk({}, { finish_reason: "stop" }), "data: [DONE]\n\n"];
const CALLED = [chunk({}, { finish_reason: "tool_calls" }), "data: [DONE]\n\n"];

// biome-ignore lint/suspicious/noExplicitAny: answers of every shape
async function joined(serve: Serve, events: readonly string[]): Promise<any> {
  const { perennial } = await serve([events], { nonStreaming: "viaStream" });
  const seen = await chat(perennial.baseUrl, { stream: false });
  expect(seen.status).toBe(200);
  return JSON.parse(seen.body);
}

const weather = { id: "call_a", type: "function", function: { name: "weather", arguments: '{"city":"Ulm"}' } };
const time = { id: "call_b", type: "function", function: { name: "time", arguments: '{"city":"Bonn"}' } };
const { id: _a, ...weatherWithoutId } = weather;
const { id: _b, ...timeWithoutId } = time;

test.for([
  [
    "share an index, as Gemini's gateways send them",
    [call({ index: 0, ...weather }), call({ index: 0, ...time })],
    [weather, time],
  ],
  [
    "share an index and come in pieces",
    [
      call({ index: 0, ...weather, function: { name: "weather", arguments: '{"city"' } }),
      call({ index: 0, function: { arguments: ':"Ulm"}' } }),
      call({ index: 0, ...time, function: { name: "time", arguments: '{"city"' } }),
      call({ index: 0, function: { arguments: ':"Bonn"}' } }),
    ],
    [weather, time],
  ],
  ["have no index", [call(weather), call(time)], [weather, time]],
  ["have no index, in one event", [chunk({ tool_calls: [weather, time] })], [weather, time]],
  ["have neither index nor id", [call(weatherWithoutId), call(timeWithoutId)], [weatherWithoutId, timeWithoutId]],
  [
    "begin with empty names",
    [call({ index: 0, id: "", type: "function", function: { name: "", arguments: "" } }), call({ index: 0, ...weather })],
    [weather],
  ],
  [
    "repeat id and name with every piece",
    [
      call({ index: 0, ...weather, function: { name: "weather", arguments: '{"city"' } }),
      call({ index: 0, ...weather, function: { name: "weather", arguments: ':"Ulm"}' } }),
    ],
    [weather],
  ],
  [
    "get another id with every piece",
    [
      call({ index: 0, ...weather, function: { name: "weather", arguments: '{"city"' } }),
      call({ index: 0, id: "call_x", function: { arguments: ':"Ulm"}' } }),
    ],
    [weather],
  ],
  [
    "come in pieces without an index",
    [
      call({ ...weather, function: { name: "weather", arguments: '{"city"' } }),
      call({ function: { arguments: ':"Ulm"}' } }),
      call(time),
    ],
    [weather, time],
  ],
])("tool calls that %s stay what they are", async ([_what, events, calls], { serve }) => {
  expect((await joined(serve, [...events, ...CALLED])).choices[0].message.tool_calls).toEqual(calls);
});

const thought = (text: string): object => ({ type: "thinking", thinking: [{ type: "text", text }] });

test.for([
  ["text after an empty text", ["", "Hi"], "Hi"],
  [
    "thoughts in parts, then text",
    ["", [thought("2+2")], [thought(" is easy")], "The answer ", "is 4"],
    [thought("2+2 is easy"), { type: "text", text: "The answer is 4" }],
  ],
  ["parts, then text", [[thought("Hm")], "Four"], [thought("Hm"), { type: "text", text: "Four" }]],
  [
    "parts that come whole",
    [[{ type: "image_url", image_url: { url: "a" } }], [{ type: "image_url", image_url: { url: "b" } }]],
    [
      { type: "image_url", image_url: { url: "a" } },
      { type: "image_url", image_url: { url: "b" } },
    ],
  ],
])("content that is %s is joined without a loss", async ([_what, contents, expected], { serve }) => {
  const answer = await joined(serve, [...contents.map((content) => chunk({ content })), ...END]);
  expect(answer.choices[0].message.content).toEqual(expected);
});

test("a server's own fields are in the answer, padding is not, and what is measured is the last measure", async ({ serve }) => {
  const answer = await joined(serve, [
    chunk({ content: "Hi" }, { matched_stop: null }, { obfuscation: "xyz", timings: { n: 1 } }),
    chunk({}, { finish_reason: "stop", matched_stop: 7, stop_reason: "###" }, { timings: { n: 2 }, model: "other" }),
    "data: [DONE]\n\n",
  ]);
  expect(answer).toEqual({
    id: "c",
    object: "chat.completion",
    created: 1,
    model: "m",
    timings: { n: 2 },
    choices: [
      {
        index: 0,
        message: { role: "assistant", content: "Hi" },
        finish_reason: "stop",
        logprobs: null,
        matched_stop: 7,
        stop_reason: "###",
      },
    ],
  });
});

test("a server's own lists go on from chunk to chunk, and what is empty takes nothing back", async ({ serve }) => {
  const filter = { hate: { filtered: false } };
  const answer = await joined(serve, [
    chunk({ content: "a" }, { token_ids: [1, 2], content_filter_results: filter }),
    chunk({ content: "b" }, { token_ids: [3] }),
    chunk({}, { finish_reason: "stop", token_ids: [], content_filter_results: {} }),
    "data: [DONE]\n\n",
  ]);
  expect(answer.choices[0]).toMatchObject({ token_ids: [1, 2, 3], content_filter_results: filter });
});

test.for(['"best_of":1.0', '"stream_options":5.0', '"stream":{"toString":1}', '"stream":["true"]'])(
  "a request with %s is asked like any other",
  async (field, { serve }) => {
    const { perennial, upstream } = await serve((socket) => sendFramed(socket, "chunked", chatEvents(["Hi"])), {
      nonStreaming: "viaStream",
    });
    const body = `{"model":"m","messages":[],${field}}`;
    expect((await send(`${perennial.baseUrl}/chat/completions`, { method: "POST", body })).status).toBe(200);
    expect(upstream.requests[0]?.json).toMatchObject({ stream: true, stream_options: { include_usage: true } });
  },
);

test("pieces of reasoning are joined by their number, and an id is not doubled", async ({ serve }) => {
  const detail = (text: string, fields: object = {}): object => ({ type: "reasoning.text", index: 0, text, ...fields });
  const answer = await joined(serve, [
    chunk({ reasoning_details: [detail("Let ")], audio: { id: "audio_1", data: "AAAA" } }),
    chunk({ reasoning_details: [detail("me", { signature: "s" })], audio: { id: "audio_1", data: "BBBB" } }),
    chunk({ content: "Hi" }),
    ...END,
  ]);
  expect(answer.choices[0].message).toMatchObject({
    reasoning_details: [{ type: "reasoning.text", index: 0, text: "Let me", signature: "s" }],
    audio: { id: "audio_1", data: "AAAABBBB" },
  });
});

test("the best of several cannot be streamed, and is asked for as it is", async ({ serve }) => {
  const answer = JSON.stringify({
    id: "c",
    object: "text_completion",
    choices: [{ index: 0, text: "Hi", finish_reason: "stop" }],
  });
  const { perennial, upstream } = await serve((socket) => socket.write(jsonReply(answer)), { nonStreaming: "viaStream" });
  const body = JSON.stringify({ model: "m", prompt: "p", best_of: 3 });
  const seen = await send(`${perennial.baseUrl}/completions`, { method: "POST", body });
  expect(seen.body).toBe(answer);
  expect(upstream.requests.map(({ json }) => json.stream)).toEqual([undefined]);
});

test("what goes on in the background is asked for as it is", async ({ serve }) => {
  const answer = JSON.stringify({ id: "r", object: "response", status: "queued", output: [] });
  const { perennial } = await serve((socket) => socket.write(jsonReply(answer)), { nonStreaming: "viaStream" });
  const body = JSON.stringify({ model: "m", input: "hi", background: true });
  expect((await send(`${perennial.baseUrl}/responses`, { method: "POST", body })).body).toBe(answer);
});

test("a number in the request reaches the upstream with all of its digits", async ({ serve }) => {
  const { perennial, upstream } = await serve((socket) => sendFramed(socket, "chunked", chatEvents(["Hi"])), {
    nonStreaming: "viaStream",
  });
  const body = '{"model":"m","messages":[],"seed":9223372036854775807,"temperature":1.0}';
  expect((await send(`${perennial.baseUrl}/chat/completions`, { method: "POST", body })).status).toBe(200);
  expect(upstream.requests[0]?.body).toContain('"seed":9223372036854775807');
});

test.for([[null], [0]])(
  "tool calls that an answer numbers %j have numbers of their own in its stream",
  async ([index], { serve }) => {
    const message = { role: "assistant", content: null, tool_calls: [weather, time].map((each) => ({ ...each, index })) };
    const answer = JSON.parse(chatAnswer(""));
    answer.choices[0] = { index: 0, message, finish_reason: "tool_calls" };
    const { perennial } = await serve((socket) => socket.write(jsonReply(JSON.stringify(answer))));
    const client = new OpenAI({ baseURL: perennial.baseUrl, apiKey: "sk-test", maxRetries: 0 });
    const stream = client.chat.completions.stream({ model: "m", messages: [] });
    const final = await stream.finalChatCompletion();
    expect(final.choices[0]?.message.tool_calls).toMatchObject([weather, time]);
  },
);
