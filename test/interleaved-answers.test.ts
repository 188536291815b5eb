/** Answers whose parts come by turns: joined from their stream they are what they would have been at once, whatever the order of the pieces. */
import fc from "fast-check";
import { describe, expect } from "vitest";
import type { Dialect, DialectRequest } from "../src/core/dialect.ts";
import type { StreamEvent } from "../src/core/stream-event.ts";
import { anthropicMessages } from "../src/dialect/anthropic-messages.ts";
import { openAiChat } from "../src/dialect/openai-chat.ts";
import { openAiCompletions } from "../src/dialect/openai-completions.ts";
import { openAiResponses } from "../src/dialect/openai-responses.ts";
import { send } from "./support/client.ts";
import { DONE, line, typed } from "./support/events.ts";
import { test } from "./support/test.ts";

/** An answer, and its stream as parts, each of which keeps its own order. */
interface Interleaved {
  readonly name: string;
  readonly dialect: Dialect;
  readonly path: string;
  readonly request: Record<string, unknown>;
  readonly answer: Record<string, unknown>;
  readonly begin: readonly string[];
  readonly parts: readonly (readonly string[])[];
  readonly end: readonly string[];
}

const chunk = (index: number, delta: object, finish_reason: string | null = null): string =>
  line({ id: "c", object: "chat.completion.chunk", created: 1, model: "m", choices: [{ index, delta, finish_reason }] });
const words = (index: number, ...texts: string[]): string[] => texts.map((content) => chunk(index, { content }));
const piece = (choice: number, index: number, args: string, named: object = {}): string =>
  chunk(choice, {
    tool_calls: [{ index, ...named, function: { ...("id" in named ? { name: `f${index}` } : {}), arguments: args } }],
  });
const call = (index: number, args: string): object => ({
  id: `t${index}`,
  type: "function",
  function: { name: `f${index}`, arguments: args },
});
const named = (index: number): object => ({ id: `t${index}`, type: "function" });
const choiceOf = (index: number, message: object, finish_reason: string): object => ({
  index,
  message: { role: "assistant", ...message },
  logprobs: null,
  finish_reason,
});
const chatOf = (...choices: object[]): Record<string, unknown> => ({
  id: "c",
  object: "chat.completion",
  created: 1,
  model: "m",
  choices,
});
const textOf = (index: number, text: string, finish_reason: string | null = null): string =>
  line({ id: "c", object: "text_completion", created: 1, model: "m", choices: [{ index, text, finish_reason }] });

const block = (type: string, index: number, fields: object = {}): string => typed(`content_block_${type}`, { index, ...fields });
const blockDelta = (index: number, type: string, fields: object): string =>
  block("delta", index, { delta: { type: `${type}_delta`, ...fields } });
const message = { id: "m", type: "message", role: "assistant", model: "m", stop_sequence: null };

const item = (index: number, text: string): object => ({
  id: `i${index}`,
  type: "message",
  role: "assistant",
  status: "completed",
  content: [{ type: "output_text", text, annotations: [] }],
});
const itemDelta = (output_index: number, delta: string): string =>
  typed("response.output_text.delta", { item_id: `i${output_index}`, output_index, content_index: 0, delta });
const functionCall = (index: number, args: string): object => ({
  id: `i${index}`,
  type: "function_call",
  call_id: `t${index}`,
  name: `f${index}`,
  arguments: args,
  status: "completed",
});
const argsDelta = (output_index: number, delta: string): string =>
  typed("response.function_call_arguments.delta", { output_index, delta });
const added = (output_index: number, of: object): string => typed("response.output_item.added", { output_index, item: of });
const done = (output_index: number, of: object): string => typed("response.output_item.done", { output_index, item: of });
const response = { id: "r", object: "response", created_at: 1, model: "m", error: null };

const CASES: readonly Interleaved[] = [
  {
    name: "two choices of a chat",
    dialect: openAiChat,
    path: "/chat/completions",
    request: { n: 2 },
    answer: chatOf(choiceOf(0, { content: "Hé 水🌊" }, "stop"), choiceOf(1, { content: "Other" }, "length")),
    begin: [],
    parts: [
      [chunk(0, { role: "assistant", content: "" }), ...words(0, "Hé ", "水", "🌊"), chunk(0, {}, "stop")],
      [chunk(1, { role: "assistant", content: "" }), ...words(1, "Ot", "her"), chunk(1, {}, "length")],
    ],
    end: [DONE],
  },
  {
    name: "two tool calls of a chat, text and thoughts",
    dialect: openAiChat,
    path: "/chat/completions",
    request: { tools: [{}] },
    answer: chatOf(
      choiceOf(
        0,
        { content: "Text", reasoning_content: "Thought", tool_calls: [call(0, '{"city":"Ulm"}'), call(1, '{"city":"水"}')] },
        "tool_calls",
      ),
    ),
    begin: [chunk(0, { role: "assistant", content: null })],
    parts: [
      words(0, "Te", "xt"),
      ["Thou", "ght"].map((reasoning_content) => chunk(0, { reasoning_content })),
      [piece(0, 0, "", named(0)), piece(0, 0, '{"city"'), piece(0, 0, ':"Ulm"}')],
      [piece(0, 1, '{"ci', named(1)), piece(0, 1, 'ty":"水"}')],
    ],
    end: [chunk(0, {}, "tool_calls"), DONE],
  },
  {
    name: "tool calls of two choices of a chat, numbered alike",
    dialect: openAiChat,
    path: "/chat/completions",
    request: { n: 2, tools: [{}] },
    answer: chatOf(
      choiceOf(0, { content: null, tool_calls: [call(0, '{"a":1}')] }, "tool_calls"),
      choiceOf(1, { content: null, tool_calls: [call(0, '{"b":2}')] }, "tool_calls"),
    ),
    begin: [],
    parts: [
      [piece(0, 0, '{"a"', named(0)), piece(0, 0, ":1}"), chunk(0, {}, "tool_calls")],
      [piece(1, 0, "{", named(0)), piece(1, 0, '"b":2}'), chunk(1, {}, "tool_calls")],
    ],
    end: [DONE],
  },
  {
    name: "three choices of completions",
    dialect: openAiCompletions,
    path: "/completions",
    request: { prompt: ["p", "q", "r"] },
    answer: {
      ...chatOf(),
      object: "text_completion",
      choices: ["Hé 水", "Other", "3"].map((text, index) => ({
        index,
        text,
        logprobs: null,
        finish_reason: index === 1 ? "length" : "stop",
      })),
    },
    begin: [],
    parts: [
      [textOf(0, "Hé "), textOf(0, "水"), textOf(0, "", "stop")],
      [textOf(1, "Ot"), textOf(1, "her", "length")],
      [textOf(2, "3"), textOf(2, "", "stop")],
    ],
    end: [DONE],
  },
  {
    name: "blocks of a message: text, thoughts, two tools",
    dialect: anthropicMessages,
    path: "/messages",
    request: { max_tokens: 9 },
    answer: {
      ...message,
      content: [
        { type: "thinking", thinking: "Hmm 水", signature: "sig" },
        { type: "text", text: "Hé there" },
        { type: "tool_use", id: "t2", name: "f", input: { city: "Ulm" } },
        { type: "tool_use", id: "t3", name: "g", input: {} },
      ],
      stop_reason: "tool_use",
      usage: { input_tokens: 1, output_tokens: 9 },
    },
    begin: [
      typed("message_start", {
        message: { ...message, content: [], stop_reason: null, usage: { input_tokens: 1, output_tokens: 1 } },
      }),
      block("start", 0, { content_block: { type: "thinking", thinking: "", signature: "" } }),
      block("start", 1, { content_block: { type: "text", text: "" } }),
      block("start", 2, { content_block: { type: "tool_use", id: "t2", name: "f", input: {} } }),
      block("start", 3, { content_block: { type: "tool_use", id: "t3", name: "g", input: {} } }),
    ],
    parts: [
      [
        blockDelta(0, "thinking", { thinking: "Hmm " }),
        blockDelta(0, "thinking", { thinking: "水" }),
        blockDelta(0, "signature", { signature: "sig" }),
        block("stop", 0),
      ],
      [blockDelta(1, "text", { text: "Hé " }), blockDelta(1, "text", { text: "there" }), block("stop", 1)],
      [
        blockDelta(2, "input_json", { partial_json: '{"city":' }),
        blockDelta(2, "input_json", { partial_json: '"Ulm"}' }),
        block("stop", 2),
      ],
      [block("stop", 3)],
    ],
    end: [
      typed("message_delta", { delta: { stop_reason: "tool_use", stop_sequence: null }, usage: { output_tokens: 9 } }),
      typed("message_stop"),
    ],
  },
  ...[true, false].map(
    (isWhole): Interleaved => ({
      name: `two items and two calls of a response, whose last event ${isWhole ? "holds them" : "holds none of them"}`,
      dialect: openAiResponses,
      path: "/responses",
      request: { input: "p" },
      answer: {
        ...response,
        status: "completed",
        output: [item(0, "Hé 水"), functionCall(1, '{"a":1}'), item(2, "Other"), functionCall(3, "{}")],
      },
      begin: [typed("response.created", { response: { ...response, status: "in_progress", output: [] } })],
      parts: [
        [added(0, item(0, "")), itemDelta(0, "Hé "), itemDelta(0, "水"), done(0, item(0, "Hé 水"))],
        [added(1, functionCall(1, "")), argsDelta(1, '{"a"'), argsDelta(1, ":1}"), done(1, functionCall(1, '{"a":1}'))],
        [added(2, item(2, "")), itemDelta(2, "Other"), done(2, item(2, "Other"))],
        [added(3, functionCall(3, "")), argsDelta(3, "{}"), done(3, functionCall(3, "{}"))],
      ],
      end: [
        typed("response.completed", {
          response: {
            ...response,
            status: "completed",
            output: isWhole ? [item(0, "Hé 水"), functionCall(1, '{"a":1}'), item(2, "Other"), functionCall(3, "{}")] : [],
          },
        }),
      ],
    }),
  ),
];

/** Turns: which part speaks next. */
function interleave({ begin, parts, end }: Interleaved, turns: readonly number[]): string[] {
  const left = parts.map((part) => [...part]);
  const events = [...begin];
  for (const turn of turns) {
    const open = left.filter((part) => part.length > 0);
    const next = open[turn % Math.max(1, open.length)]?.shift();
    if (next !== undefined) events.push(next);
  }
  return [...events, ...left.flat(), ...end];
}

const toEvent = (wire: string): StreamEvent => ({
  event: /^event: (.*)$/m.exec(wire)?.[1],
  data: /^data: (.*)$/m.exec(wire)?.[1] ?? "",
});

const asked = ({ dialect, request }: Interleaved): DialectRequest => dialect.parseRequest({ model: "m", ...request });

describe.each(CASES)("$name", (each) => {
  const { dialect, answer } = each;

  test("by turns over the wire", async ({ serve }) => {
    const turns = Array.from({ length: 40 }, (_, index) => index);
    const { perennial } = await serve([interleave(each, turns)], { nonStreaming: "viaStream", retry: { maxAttempts: 1 } });
    const body = JSON.stringify({ model: "m", ...each.request });
    const seen = await send(perennial.baseUrl + each.path, { method: "POST", body });
    expect(JSON.parse(seen.body)).toEqual(answer);
  });

  test("in any order of the pieces", () => {
    const request = asked(each);
    fc.assert(
      fc.property(fc.array(fc.nat(11), { minLength: 20, maxLength: 20 }), (turns) => {
        const events = interleave(each, turns).filter((wire) => wire !== DONE && !wire.includes('"message_stop"'));
        const inspector = dialect.inspectStream(request);
        const verdicts = interleave(each, turns).map((wire) => inspector.onEvent(toEvent(wire)));
        expect(verdicts.filter((verdict) => typeof verdict !== "string")).toEqual([]);
        expect(
          inspector.onEnd({ terminated: true, cause: undefined, torn: false, requireTerminator: true, acceptEmpty: false }),
        ).toBeUndefined();
        const joined = JSON.parse(JSON.stringify(dialect.eventsToAnswer(events.map(toEvent), request)));
        expect(joined).toEqual(answer);
        expect(dialect.inspectAnswer(joined, false, request)).toBeUndefined();
      }),
      { numRuns: 30, seed: 20261126 },
    );
  });

  test("and cut before any of its last events it is no answer", () => {
    const request = asked(each);
    const events = interleave(each, [0, 1, 2, 3, 4, 5, 6, 7]);
    const last = each.end.length + (each.end.at(-1) === DONE && each.end.length === 1 ? 1 : 0);
    for (let length = 0; length <= events.length - last; length++) {
      const inspector = dialect.inspectStream(request);
      for (const wire of events.slice(0, length)) inspector.onEvent(toEvent(wire));
      const end = { terminated: false, cause: undefined, torn: false, requireTerminator: false, acceptEmpty: false };
      expect([length, inspector.onEnd(end)?.code]).toEqual([length, inspector.hasContent ? "stream_truncated" : "empty_stream"]);
    }
  });

  test("as a stream of the answer it says the same", () => {
    const request = { ...asked(each), stream: true };
    const events = dialect.answerToEvents(answer, request) ?? [];
    const inspector = dialect.inspectStream(request);
    for (const event of events) expect(inspector.onEvent(event)).toBeTypeOf("string");
    expect(JSON.parse(JSON.stringify(dialect.eventsToAnswer(events, request)))).toEqual(answer);
  });
});

test("a response whose last event holds none of its items, of which one was never done, is no answer", () => {
  const request = openAiResponses.parseRequest({ model: "m", input: "p" });
  const end = typed("response.completed", { response: { ...response, status: "completed", output: [] } });
  for (const open of [[added(1, functionCall(1, ""))], [itemDelta(1, "Other")]]) {
    const events = [added(0, item(0, "")), itemDelta(0, "Hi"), ...open, done(0, item(0, "Hi")), end];
    expect(() => openAiResponses.eventsToAnswer(events.map(toEvent), request)).toThrow(/does not hold what came before/);
  }
});
