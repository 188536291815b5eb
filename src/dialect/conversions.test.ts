/** An answer as the stream that it would have been, and a stream as the answer that it stands for: to the letter, in each dialect. */
import { describe, expect, test } from "vitest";
import type { Dialect } from "../core/dialect.ts";
import { Failure } from "../core/failure.ts";
import type { StreamEvent } from "../core/stream-event.ts";
import { anthropicMessages } from "./anthropic-messages.ts";
import { openAiChat } from "./openai-chat.ts";
import { openAiCompletions } from "./openai-completions.ts";
import { openAiResponses } from "./openai-responses.ts";

const requestOf = (dialect: Dialect, more: object = {}) =>
  dialect.parseRequest({ model: "m", stream: true, messages: [], prompt: "x", input: "x", ...more });
const eventsOf = (dialect: Dialect, answer: unknown, more: object = {}) =>
  dialect.answerToEvents(answer, requestOf(dialect, more))?.map(({ event, data }) => [event, JSON.parse(data)]);
const joined = (dialect: Dialect, all: readonly (object | string)[]): unknown => {
  const events = all.map(
    (json): StreamEvent => ({ event: undefined, data: typeof json === "string" ? json : JSON.stringify(json) }),
  );
  // As it goes out.
  return JSON.parse(JSON.stringify(dialect.eventsToAnswer(events, requestOf(dialect))));
};
const back = (dialect: Dialect, answer: unknown): unknown =>
  dialect.eventsToAnswer(dialect.answerToEvents(answer, requestOf(dialect)) ?? [], requestOf(dialect));

describe("chat", () => {
  const head = { id: "c", created: 1, model: "m", system_fingerprint: "f" };
  const call = { id: "t", type: "function", function: { name: "f", arguments: "{}" } };
  const message = { role: "assistant", content: "Hi", tool_calls: [call] };
  const logprobs = { content: [{ token: "Hi" }] };
  const usage = { total_tokens: 3 };
  const answer = {
    ...head,
    object: "chat.completion",
    choices: [
      { index: 1, message, finish_reason: "tool_calls", logprobs },
      { message: { role: "assistant", content: "Ho" }, finish_reason: "stop" },
    ],
    usage,
  };
  const piece = (fields: object) => [undefined, { ...head, object: "chat.completion.chunk", ...fields }];

  test("an answer in chunks: its choices, each with its finish; its usage where that was asked for", () => {
    const events = eventsOf(openAiChat, answer, { stream_options: { include_usage: true } });
    expect(events).toEqual([
      piece({
        choices: [{ index: 1, delta: { ...message, tool_calls: [{ index: 0, ...call }] }, logprobs, finish_reason: null }],
      }),
      piece({ choices: [{ index: 1, delta: {}, finish_reason: "tool_calls" }] }),
      piece({ choices: [{ index: 1, delta: { role: "assistant", content: "Ho" }, finish_reason: null }] }),
      piece({ choices: [{ index: 1, delta: {}, finish_reason: "stop" }] }),
      piece({ choices: [], usage }),
    ]);
    expect(eventsOf(openAiChat, answer)).toEqual(events?.slice(0, -1));
  });

  const chunk = (delta: object, more: object = {}, fields: object = {}) => ({
    ...{ id: "c", object: "chat.completion.chunk", created: 1, model: "m" },
    choices: [{ index: 0, delta, finish_reason: null, ...more }],
    ...fields,
  });
  const whole = (message: object, choice: object = {}, fields: object = {}) => ({
    ...{ id: "c", created: 1, model: "m", object: "chat.completion" },
    choices: [
      { index: 0, message: { role: "assistant", content: null, ...message }, finish_reason: null, logprobs: null, ...choice },
    ],
    ...fields,
  });
  const tool = (fields: object, called?: object) => ({ tool_calls: [{ ...fields, ...(called && { function: called }) }] });
  const called = (...calls: [id: string, name: string, args: string][]) => ({
    tool_calls: calls.map(([id, name, args]) => ({ id, function: { name, arguments: args } })),
  });

  test.each<[string, readonly (object | string)[], object]>([
    [
      "text is continued",
      [chunk({ role: "assistant", content: "" }), chunk({ content: "a" }), chunk({ content: "b" })],
      whole({ content: "ab" }),
    ],
    [
      "the first finish stands",
      [chunk({ content: "a" }, { finish_reason: "stop" }), chunk({}, { finish_reason: "length" })],
      whole({ content: "a" }, { finish_reason: "stop" }),
    ],
    [
      "an empty one is none",
      [chunk({ content: "a" }, { finish_reason: "" }), chunk({}, { finish_reason: "length" })],
      whole({ content: "a" }, { finish_reason: "length" }),
    ],
    [
      "the last usage stands",
      [chunk({ content: "a" }, {}, { usage: { n: 1 } }), { choices: [], usage: { n: 2 } }, { usage: null }],
      whole({ content: "a" }, {}, { usage: { n: 2 } }),
    ],
    [
      "what is measured is right at the end, what it is called at the beginning",
      [
        chunk({ content: "a" }, {}, { id: "", timings: { ms: 1 } }),
        chunk({}, {}, { id: "d", timings: { ms: 2 } }),
        chunk({}, {}, { id: "e", timings: null }),
      ],
      whole({ content: "a" }, {}, { id: "d", timings: { ms: 2 } }),
    ],
    ["padding is no part of it", [chunk({ content: "a" }, {}, { obfuscation: "xyz" })], whole({ content: "a" })],
    [
      "what is no chunk says nothing",
      ["no", { choices: "odd" }, { choices: ["odd", null] }, chunk({ content: "a" })],
      whole({ content: "a" }),
    ],
    [
      "choices by their number",
      [chunk({ content: "b" }, { index: 1 }), chunk({ content: "a" })],
      {
        ...whole({ content: "a" }),
        choices: [...whole({ content: "a" }).choices, ...whole({ content: "b" }, { index: 1 }).choices],
      },
    ],
    [
      "a number in text, or none",
      [chunk({ content: "a" }, { index: "0" }), chunk({ content: "b" }, { index: null })],
      whole({ content: "ab" }),
    ],
    [
      "a message in place of a delta",
      [{ ...chunk({}), choices: [{ index: 0, message: { content: "a" } }] }],
      whole({ content: "a" }),
    ],
    [
      "logprobs go on",
      [
        chunk({ content: "a" }, { logprobs: { content: [1], refusal: null } }),
        chunk({ content: "b" }, { logprobs: { content: [2], refusal: null } }),
        chunk({}, { logprobs: null }),
      ],
      whole({ content: "ab" }, { logprobs: { content: [1, 2], refusal: null } }),
    ],
    [
      "fields of a server's own: the last that says something; lists go on",
      [
        chunk({ content: "a" }, { matched_stop: 1, filters: ["a"], results: { hate: 1 } }),
        chunk({}, { matched_stop: null, filters: ["b"], results: {} }),
      ],
      whole({ content: "a" }, { matched_stop: 1, filters: ["a", "b"], results: { hate: 1 } }),
    ],
    [
      "tool calls by their number",
      [
        chunk(tool({ index: 0, id: "t" }, { name: "f", arguments: "" })),
        chunk(tool({ index: 1, id: "u" }, { name: "g", arguments: "{" })),
        chunk(tool({ index: 0 }, { arguments: "{}" })),
        chunk(tool({ index: 1 }, { arguments: "}" })),
      ],
      whole(called(["t", "f", "{}"], ["u", "g", "{}"])),
    ],
    [
      "in the order of their numbers",
      [
        chunk(tool({ index: 1, id: "u" }, { name: "g", arguments: "{}" })),
        chunk(tool({ index: 0, id: "t" }, { name: "f", arguments: "{}" })),
      ],
      whole(called(["t", "f", "{}"], ["u", "g", "{}"])),
    ],
    [
      "of one number, each with an id and a name of its own",
      [
        chunk(tool({ index: 0, id: "t" }, { name: "f", arguments: "{}" })),
        chunk(tool({ index: 0, id: "u" }, { name: "g", arguments: "{" })),
        chunk(tool({ index: 0 }, { arguments: "}" })),
      ],
      whole(called(["t", "f", "{}"], ["u", "g", "{}"])),
    ],
    [
      "of one number and name: an id that changes alone begins no other",
      [chunk(tool({ index: 0, id: "t" }, { name: "f", arguments: "{" })), chunk(tool({ index: 0, id: "u" }, { arguments: "}" }))],
      whole(called(["t", "f", "{}"])),
    ],
    [
      "without a number, by their ids",
      [
        chunk(tool({ id: "t" }, { name: "f", arguments: "{" })),
        chunk(tool({}, { arguments: "}" })),
        chunk(tool({ id: "u" }, { name: "g", arguments: "{}" })),
      ],
      whole(called(["t", "f", "{}"], ["u", "g", "{}"])),
    ],
    [
      "names come whole, also with each piece",
      [
        chunk(tool({ index: 0, id: "t", type: "function" }, { name: "f", arguments: "{" })),
        chunk(tool({ index: 0, id: "t", type: "function" }, { name: "f", arguments: "}" })),
      ],
      whole({ tool_calls: [{ id: "t", type: "function", function: { name: "f", arguments: "{}" } }] }),
    ],
    [
      "thoughts and speech in parts and in text",
      [
        chunk({ content: [{ type: "thinking", thinking: [{ type: "text", text: "a" }] }] }),
        chunk({ content: [{ type: "thinking", thinking: [{ type: "text", text: "b" }] }] }),
        chunk({ content: "c" }),
        chunk({ content: "d" }),
        chunk({ content: [{ type: "image", url: "x" }] }),
        chunk({ content: [{ type: "image", url: "y" }] }),
      ],
      whole({
        content: [
          { type: "thinking", thinking: [{ type: "text", text: "ab" }] },
          { type: "text", text: "cd" },
          { type: "image", url: "x" },
          { type: "image", url: "y" },
        ],
      }),
    ],
    [
      "pieces of reasoning by their number and kind",
      [
        chunk({
          reasoning_details: [
            { index: 0, type: "text", text: "a" },
            { index: 0, type: "sum", text: "x" },
          ],
        }),
        chunk({ reasoning_details: [{ index: 0, type: "text", text: "b" }, { text: "c" }] }),
        chunk({ reasoning_details: [{ text: "d" }] }),
      ],
      whole({
        reasoning_details: [
          { index: 0, type: "text", text: "ab" },
          { index: 0, type: "sum", text: "x" },
          { text: "c" },
          { text: "d" },
        ],
      }),
    ],
    [
      "other fields: text is continued, lists grow, objects are joined, null takes nothing back",
      [
        chunk({ reasoning: "a", list: [1], audio: { id: "x", data: "p" }, n: 1 }),
        chunk({ reasoning: "b", list: [2], audio: { id: "x", data: "q" }, n: 2 }),
        chunk({ reasoning: null, list: null, audio: null }),
      ],
      whole({ reasoning: "ab", list: [1, 2], audio: { id: "x", data: "pq" }, n: 1 }),
    ],
  ])("%s", (_what, events, answer) => {
    expect(joined(openAiChat, events)).toEqual(answer);
  });

  test("and back", () => {
    const one = { ...answer, choices: [{ ...answer.choices[0], index: 0 }] };
    const { usage: _usage, ...told } = one;
    expect(back(openAiChat, one)).toEqual(told);
  });

  test("a message in more pieces than any is refused before it takes the machine's time", () => {
    const pieces = Array.from({ length: 2_049 }, (_, index) => chunk({ reasoning_details: [{ text: `${index}` }] }));
    expect(() => joined(openAiChat, pieces)).toThrow("the upstream's message is in more than 2048 pieces");
    expect(() => joined(openAiChat, pieces.slice(1))).not.toThrow();
  });
});

test("completions: text, and back", () => {
  const head = { id: "c", created: 1, model: "m" };
  const choice = { index: 0, text: "Hi", finish_reason: "stop", logprobs: { tokens: ["Hi"] } };
  const answer = { ...head, object: "text_completion", choices: [choice] };
  expect(eventsOf(openAiCompletions, answer)).toEqual([
    [undefined, { ...answer, choices: [{ ...choice, finish_reason: null }] }],
    [undefined, { ...answer, choices: [{ index: 0, text: "", finish_reason: "stop" }] }],
  ]);
  expect(back(openAiCompletions, answer)).toEqual(answer);
  const pieces = ["a", "b"].map((text) => ({ ...head, choices: [{ index: 0, text }] }));
  expect(joined(openAiCompletions, pieces)).toMatchObject({ ...head, choices: [{ index: 0, text: "ab" }] });
});

describe("messages", () => {
  const head = { id: "m", type: "message", role: "assistant", model: "m" };
  const usage = { input_tokens: 1, output_tokens: 2 };
  const blocks = [
    { type: "thinking", thinking: "hm", signature: "s" },
    { type: "text", text: "Hi", citations: [{ cited_text: "x" }] },
    { type: "tool_use", id: "t", name: "f", input: { a: 1 } },
    { type: "server_tool_use", id: "u", name: "g", input: {} },
    { type: "web_search_tool_result", content: [] },
    { type: "compaction", content: "short", encrypted_content: "e" },
  ];
  const answer = { ...head, content: blocks, stop_reason: "tool_use", stop_sequence: null, usage };

  test("an answer in events: each block begun blank, told once, ended", () => {
    const block = (index: number, start: object, ...deltas: object[]) => [
      ["content_block_start", { type: "content_block_start", index, content_block: start }],
      ...deltas.map((delta) => ["content_block_delta", { type: "content_block_delta", index, delta }]),
      ["content_block_stop", { type: "content_block_stop", index }],
    ];
    expect(eventsOf(anthropicMessages, answer)).toEqual([
      [
        "message_start",
        { type: "message_start", message: { ...head, content: [], stop_reason: null, stop_sequence: null, usage } },
      ],
      ...block(
        0,
        { type: "thinking", thinking: "", signature: "" },
        { type: "thinking_delta", thinking: "hm" },
        { type: "signature_delta", signature: "s" },
      ),
      ...block(
        1,
        { type: "text", text: "", citations: [] },
        { type: "text_delta", text: "Hi" },
        { type: "citations_delta", citation: { cited_text: "x" } },
      ),
      ...block(2, { type: "tool_use", id: "t", name: "f", input: {} }, { type: "input_json_delta", partial_json: '{"a":1}' }),
      ...block(3, { type: "server_tool_use", id: "u", name: "g", input: {} }, { type: "input_json_delta", partial_json: "{}" }),
      ...block(4, { type: "web_search_tool_result", content: [] }),
      ...block(
        5,
        { type: "compaction", content: null, encrypted_content: "e" },
        { type: "compaction_delta", content: "short", encrypted_content: "e" },
      ),
      ["message_delta", { type: "message_delta", delta: { stop_reason: "tool_use", stop_sequence: null }, usage }],
    ]);
    expect(back(anthropicMessages, answer)).toEqual(answer);
  });

  const start = {
    type: "message_start",
    message: { ...head, content: [], stop_reason: null, usage: { input_tokens: 1, output_tokens: 0 } },
  };
  const began = (index: number, content_block: object) => ({ type: "content_block_start", index, content_block });
  const delta = (index: number, fields: object) => ({ type: "content_block_delta", index, delta: fields });
  const text = (index: number, words: string) => delta(index, { type: "text_delta", text: words });
  const input = (index: number, partial_json: string) => delta(index, { type: "input_json_delta", partial_json });
  const tool = { type: "tool_use", id: "t", name: "f", input: {} };

  test.each<[string, readonly object[], object]>([
    [
      "text is continued",
      [began(0, { type: "text", text: "" }), text(0, "a"), text(0, "b")],
      { content: [{ type: "text", text: "ab" }] },
    ],
    [
      "blocks that are all 0",
      [began(0, { type: "text", text: "" }), text(0, "a"), began(0, tool), input(0, "{}")],
      { content: [{ type: "text", text: "a" }, tool] },
    ],
    ["text that never began", [text(0, "a"), text(0, "b")], { content: [{ type: "text", text: "ab" }] }],
    [
      "thoughts that never began; the last signature stands",
      [
        delta(0, { type: "thinking_delta", thinking: "a" }),
        delta(0, { type: "signature_delta", signature: "s" }),
        delta(0, { type: "signature_delta", signature: "t" }),
      ],
      { content: [{ type: "thinking", thinking: "a", signature: "t" }] },
    ],
    ["a delta that says nothing begins nothing", [delta(0, { type: "text_delta", text: "" })], { content: [] }],
    [
      "an input in pieces, and none at all",
      [began(0, tool), input(0, '{"a"'), input(0, ":1}"), began(1, tool), input(1, " ")],
      { content: [{ ...tool, input: { a: 1 } }, tool] },
    ],
    [
      "what is told later counts, null takes nothing back",
      [
        {
          type: "message_delta",
          delta: { stop_reason: "end_turn", stop_sequence: null },
          usage: { output_tokens: 7, input_tokens: null },
        },
        { type: "message_delta", delta: { stop_reason: null } },
      ],
      { content: [], stop_reason: "end_turn", stop_sequence: null, usage: { input_tokens: 1, output_tokens: 7 } },
    ],
    ["the model that finished it", [began(0, { type: "fallback", to: { model: "other" } })], { model: "other" }],
    [
      "citations",
      [
        began(0, { type: "text", text: "" }),
        text(0, "a"),
        delta(0, { type: "citations_delta", citation: { n: 1 } }),
        delta(0, { type: "citations_delta", citation: { n: 2 } }),
      ],
      { content: [{ type: "text", text: "a", citations: [{ n: 1 }, { n: 2 }] }] },
    ],
  ])("%s", (_what, events, answer) => {
    expect(joined(anthropicMessages, [start, ...events])).toMatchObject({ ...head, ...answer });
  });

  test.each<[string, readonly object[], string, string]>([
    [
      "a call that never began has lost its name",
      [input(0, "{}")],
      "stream_corrupted",
      "the upstream sent a piece of a block that never began",
    ],
    [
      "so has what is not known",
      [delta(0, { type: "odd_delta", odd: "x" })],
      "stream_corrupted",
      "the upstream sent a piece of a block that never began",
    ],
    [
      "an input that stops in the middle",
      [began(0, tool), input(0, '{"a"')],
      "stream_truncated",
      "the input of a tool call stops in the middle",
    ],
  ])("%s", (_what, events, code, message) => {
    const failure = (() => {
      try {
        return joined(anthropicMessages, [start, ...events]);
      } catch (thrown) {
        return thrown as Failure;
      }
    })();
    expect(failure).toBeInstanceOf(Failure);
    expect(failure).toMatchObject({ code, message, scope: code === "stream_truncated" ? "never" : "again" });
  });
});

test("responses: each item announced blank, told once, and repeated whole", () => {
  const message = {
    id: "i",
    type: "message",
    status: "completed",
    role: "assistant",
    content: [
      { type: "output_text", text: "Hi", annotations: [{ url: "x" }] },
      { type: "refusal", refusal: "No" },
    ],
  };
  const thought = {
    id: "r",
    type: "reasoning",
    summary: [{ type: "summary_text", text: "sum" }],
    content: [
      { type: "reasoning_text", text: "hm" },
      { type: "text", text: "so" },
    ],
  };
  const call = { id: "f", type: "function_call", status: "completed", name: "f", call_id: "t", arguments: "{}" };
  const code = { id: "c", type: "code_interpreter_call", status: "completed", code: "1", outputs: [1] };
  const odd = { id: "o", type: "image_generation_call", result: "xyz" };
  const answer = {
    id: "resp",
    object: "response",
    model: "m",
    status: "incomplete",
    output_text: "Hi",
    output: [message, thought, call, code, odd],
  };
  const events = eventsOf(openAiResponses, answer) ?? [];
  const begun = { ...answer, status: "in_progress", output_text: "", output: [] };
  expect(events.map(([name, json]) => name === json.type)).toEqual(events.map(() => true));
  expect(events.map(([, { sequence_number }]) => sequence_number)).toEqual(events.map((_, index) => index));
  const at = (output_index: number, item_id: string, more: object = {}) => ({ item_id, output_index, ...more });
  expect(events.map(([, { type, sequence_number: _, ...fields }]) => [type, fields])).toEqual([
    ["response.created", { response: begun }],
    ["response.in_progress", { response: begun }],
    ["response.output_item.added", { output_index: 0, item: { ...message, status: "in_progress", content: [] } }],
    ["response.content_part.added", at(0, "i", { content_index: 0, part: { type: "output_text", text: "", annotations: [] } })],
    ["response.output_text.delta", at(0, "i", { content_index: 0, delta: "Hi", logprobs: [] })],
    ["response.output_text.annotation.added", at(0, "i", { content_index: 0, annotation_index: 0, annotation: { url: "x" } })],
    ["response.output_text.done", at(0, "i", { content_index: 0, text: "Hi", logprobs: [] })],
    ["response.content_part.done", at(0, "i", { content_index: 0, part: message.content[0] })],
    ["response.content_part.added", at(0, "i", { content_index: 1, part: { type: "refusal", refusal: "" } })],
    ["response.refusal.delta", at(0, "i", { content_index: 1, delta: "No" })],
    ["response.refusal.done", at(0, "i", { content_index: 1, refusal: "No" })],
    ["response.content_part.done", at(0, "i", { content_index: 1, part: message.content[1] })],
    ["response.output_item.done", { output_index: 0, item: message }],
    ["response.output_item.added", { output_index: 1, item: { ...thought, summary: [], content: [] } }],
    ["response.reasoning_summary_part.added", at(1, "r", { summary_index: 0, part: { type: "summary_text", text: "" } })],
    ["response.reasoning_summary_text.delta", at(1, "r", { summary_index: 0, delta: "sum" })],
    ["response.reasoning_summary_text.done", at(1, "r", { summary_index: 0, text: "sum" })],
    ["response.reasoning_summary_part.done", at(1, "r", { summary_index: 0, part: thought.summary[0] })],
    ...["hm", "so"].flatMap((text, content_index) => [
      ["response.content_part.added", at(1, "r", { content_index, part: { ...thought.content[content_index], text: "" } })],
      ["response.reasoning_text.delta", at(1, "r", { content_index, delta: text })],
      ["response.reasoning_text.done", at(1, "r", { content_index, text })],
      ["response.content_part.done", at(1, "r", { content_index, part: thought.content[content_index] })],
    ]),
    ["response.output_item.done", { output_index: 1, item: thought }],
    ["response.output_item.added", { output_index: 2, item: { ...call, status: "in_progress", arguments: "" } }],
    ["response.function_call_arguments.delta", at(2, "f", { delta: "{}" })],
    ["response.function_call_arguments.done", at(2, "f", { arguments: "{}" })],
    ["response.output_item.done", { output_index: 2, item: call }],
    ["response.output_item.added", { output_index: 3, item: { ...code, status: "in_progress", code: "" } }],
    ["response.code_interpreter_call_code.delta", at(3, "c", { delta: "1" })],
    ["response.code_interpreter_call_code.done", at(3, "c", { code: "1" })],
    ["response.output_item.done", { output_index: 3, item: code }],
    ["response.output_item.added", { output_index: 4, item: odd }],
    ["response.output_item.done", { output_index: 4, item: odd }],
    ["response.incomplete", { response: answer }],
  ]);
  expect(back(openAiResponses, answer)).toEqual(answer);
  expect(eventsOf(openAiResponses, { ...answer, status: "completed" })?.at(-1)?.[0]).toBe("response.completed");
});
