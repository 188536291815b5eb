/** One whole stream and one whole answer for each dialect, and how to read them: what the shared suites run over. */
import { createParser } from "eventsource-parser";

export interface ReadDialectStream {
  readonly text: string;
  /** The dialect's own sign of a whole answer was seen. */
  readonly whole: boolean;
  readonly errorCode: string | undefined;
}

export interface DialectFixture {
  readonly name: string;
  /** Under the base URL that clients use. */
  readonly path: string;
  readonly upstream: Record<string, unknown>;
  /** Request fields beside model and stream. */
  readonly request: Record<string, unknown>;
  readonly text: string;
  /** A whole stream, event by event, in wire form. */
  readonly events: readonly string[];
  /** The same as one JSON answer; undefined where there is no such thing. */
  readonly answer: Record<string, unknown> | undefined;
  /** Where whole begins: the bytes after which a cut cannot matter. Undefined: only a clean end is whole. */
  readonly wholeAfter: string | undefined;
  /** What stands in an error's reply beside `error`, or in it, where the dialect has more than OpenAI. */
  readonly failureOf: (message: string) => object;
  /** What an upstream that is asked for a whole answer gets of the client's `stream_options`. */
  readonly wholeStreamOptions: object | undefined;
  /** Text of one parsed event. */
  // biome-ignore lint/suspicious/noExplicitAny: events of every shape
  readonly textOf: (json: any) => string;
  // biome-ignore lint/suspicious/noExplicitAny: as above
  readonly isWhole: (json: any, event: string | undefined) => boolean;
}

const WORDS = ["Hé ", "水🌊", "."];
const TEXT = WORDS.join("");
const data = (json: unknown, event?: string): string =>
  `${event === undefined ? "" : `event: ${event}\n`}data: ${JSON.stringify(json)}\n\n`;
const typed = (type: string, fields: object): string => data({ type, ...fields }, type);

let number = 0;
const numbered = (type: string, fields: object): string => typed(type, { sequence_number: number++, ...fields });
const item = {
  id: "msg_1",
  type: "message",
  role: "assistant",
  status: "completed",
  content: [{ type: "output_text", text: TEXT, annotations: [] }],
};
const response = {
  id: "resp_1",
  object: "response",
  status: "completed",
  model: "m",
  output: [item],
  error: null,
  usage: { output_tokens: 3 },
};

/** What Chatchat's clients read of an error, beside what OpenAI's do. */
const codeAndMessage = (msg: string): object => ({ code: 502, msg });

export const FIXTURES: readonly DialectFixture[] = [
  {
    name: "openai-chat",
    path: "/v1/chat/completions",
    upstream: {},
    request: { messages: [] },
    text: TEXT,
    events: [
      data({
        id: "c",
        object: "chat.completion.chunk",
        created: 1,
        model: "m",
        choices: [{ index: 0, delta: { role: "assistant", content: "" }, finish_reason: null }],
      }),
      ...WORDS.map((content) =>
        data({
          id: "c",
          object: "chat.completion.chunk",
          created: 1,
          model: "m",
          choices: [{ index: 0, delta: { content }, finish_reason: null }],
        }),
      ),
      data({
        id: "c",
        object: "chat.completion.chunk",
        created: 1,
        model: "m",
        choices: [{ index: 0, delta: {}, finish_reason: "stop" }],
      }),
      "data: [DONE]\n\n",
    ],
    answer: {
      id: "c",
      object: "chat.completion",
      created: 1,
      model: "m",
      choices: [{ index: 0, message: { role: "assistant", content: TEXT }, logprobs: null, finish_reason: "stop" }],
    },
    wholeAfter: '"finish_reason":"stop"',
    failureOf: codeAndMessage,
    wholeStreamOptions: undefined,
    textOf: (json) => json.choices?.[0]?.delta?.content ?? "",
    isWhole: (json) => json === "[DONE]",
  },
  {
    name: "openai-completions",
    path: "/v1/completions",
    upstream: {},
    request: { prompt: "p" },
    text: TEXT,
    events: [
      ...WORDS.map((text) =>
        data({ id: "c", object: "text_completion", created: 1, model: "m", choices: [{ index: 0, text, finish_reason: null }] }),
      ),
      data({
        id: "c",
        object: "text_completion",
        created: 1,
        model: "m",
        choices: [{ index: 0, text: "", finish_reason: "length" }],
      }),
      "data: [DONE]\n\n",
    ],
    answer: {
      id: "c",
      object: "text_completion",
      created: 1,
      model: "m",
      choices: [{ index: 0, text: TEXT, logprobs: null, finish_reason: "length" }],
    },
    wholeAfter: '"finish_reason":"length"',
    failureOf: codeAndMessage,
    wholeStreamOptions: undefined,
    textOf: (json) => json.choices?.[0]?.text ?? "",
    isWhole: (json) => json === "[DONE]",
  },
  {
    name: "openai-responses",
    path: "/v1/responses",
    upstream: {},
    request: { input: "p" },
    text: TEXT,
    events: [
      numbered("response.created", { response: { ...response, status: "in_progress", output: [] } }),
      numbered("response.output_item.added", { output_index: 0, item: { ...item, content: [] } }),
      numbered("response.content_part.added", {
        item_id: "msg_1",
        output_index: 0,
        content_index: 0,
        part: { type: "output_text", text: "" },
      }),
      ...WORDS.map((delta) =>
        numbered("response.output_text.delta", { item_id: "msg_1", output_index: 0, content_index: 0, delta }),
      ),
      numbered("response.output_item.done", { output_index: 0, item }),
      numbered("response.completed", { response }),
    ],
    answer: response,
    wholeAfter: JSON.stringify({ type: "response.completed", sequence_number: number - 1, response }),
    failureOf: codeAndMessage,
    wholeStreamOptions: undefined,
    textOf: (json) => (json.type === "response.output_text.delta" ? json.delta : ""),
    isWhole: (json) => json.type === "response.completed",
  },
  {
    name: "anthropic-messages",
    path: "/v1/messages",
    upstream: {},
    request: { messages: [], max_tokens: 9 },
    text: TEXT,
    events: [
      typed("message_start", {
        message: {
          id: "msg_1",
          type: "message",
          role: "assistant",
          model: "m",
          content: [],
          stop_reason: null,
          stop_sequence: null,
          usage: { input_tokens: 1, output_tokens: 1 },
        },
      }),
      typed("content_block_start", { index: 0, content_block: { type: "text", text: "" } }),
      typed("ping", {}),
      ...WORDS.map((text) => typed("content_block_delta", { index: 0, delta: { type: "text_delta", text } })),
      typed("content_block_stop", { index: 0 }),
      typed("message_delta", { delta: { stop_reason: "end_turn", stop_sequence: null }, usage: { output_tokens: 3 } }),
      typed("message_stop", {}),
    ],
    answer: {
      id: "msg_1",
      type: "message",
      role: "assistant",
      model: "m",
      content: [{ type: "text", text: TEXT }],
      stop_reason: "end_turn",
      stop_sequence: null,
      usage: { input_tokens: 1, output_tokens: 3 },
    },
    wholeAfter: JSON.stringify({
      type: "message_delta",
      delta: { stop_reason: "end_turn", stop_sequence: null },
      usage: { output_tokens: 3 },
    }),
    failureOf: () => ({ type: "error", error: { type: "api_error" } }),
    wholeStreamOptions: { include_usage: true },
    textOf: (json) => json.delta?.text ?? "",
    isWhole: (json) => json.type === "message_stop",
  },
  {
    name: "chatchat-completions",
    path: "/chat/chat/completions",
    upstream: { profile: "chatchat" },
    request: { messages: [] },
    text: TEXT,
    events: [
      ...WORDS.map((content) =>
        data({
          id: "c",
          object: "chat.completion.chunk",
          status: null,
          message_id: "1",
          choices: [{ delta: { content, tool_calls: [] }, role: "assistant" }],
        }),
      ),
      data({
        id: "c",
        object: "chat.completion.chunk",
        status: null,
        message_id: "1",
        choices: [{ index: 0, delta: {}, finish_reason: "stop" }],
      }),
    ],
    answer: undefined,
    wholeAfter: '"finish_reason":"stop"',
    failureOf: codeAndMessage,
    wholeStreamOptions: { include_usage: true },
    textOf: (json) => json.choices?.[0]?.delta?.content ?? "",
    isWhole: (json) => json.choices?.[0]?.finish_reason === "stop",
  },
  {
    name: "chatchat",
    path: "/chat/chat",
    upstream: { profile: "chatchat" },
    request: { query: "q" },
    text: TEXT,
    events: WORDS.map((text) => data({ text, message_id: "1" })),
    answer: undefined,
    wholeAfter: undefined,
    failureOf: codeAndMessage,
    wholeStreamOptions: { include_usage: true },
    textOf: (json) => json.text ?? "",
    isWhole: () => false,
  },
];

/** What a stream in this dialect said. @throws when an event is torn, or something follows the end. */
export function readDialectStream(fixture: DialectFixture, body: string): ReadDialectStream {
  if (body !== "" && !body.endsWith("\n\n"))
    throw new Error(`the body ends in the middle of an event: ${JSON.stringify(body.slice(-80))}`);
  let text = "";
  let whole = false;
  let errorCode: string | undefined;
  createParser({
    onEvent({ event, data }) {
      if (whole || errorCode !== undefined) throw new Error(`an event follows the end: ${data}`);
      const json = data === "[DONE]" ? data : JSON.parse(data);
      if (json.error) {
        errorCode = json.error.code;
        return;
      }
      text += fixture.textOf(json);
      whole = fixture.isWhole(json, event);
    },
  }).feed(body);
  return { text, whole, errorCode };
}
