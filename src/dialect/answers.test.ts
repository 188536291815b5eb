/** Answers that are not streamed, in each dialect: which are whole, and what the others are. */
import { expect, test } from "vitest";
import type { Dialect } from "../core/dialect.ts";
import { anthropicMessages } from "./anthropic-messages.ts";
import { chatchat, chatchatCompletions } from "./chatchat.ts";
import { openAiChat } from "./openai-chat.ts";
import { openAiResponses } from "./openai-responses.ts";

/** Asked for as it is; asked for so that a stream can be made of it; and with nothing in it being good enough. */
function verdicts(dialect: Dialect, answer: unknown): string[] {
  const request = (stream: boolean) => ({ ...openAiChat.parseRequest({ messages: [] }), stream });
  const says = (stream: boolean, acceptEmpty: boolean): string => {
    const failure = dialect.inspectAnswer(answer, acceptEmpty, request(stream));
    return failure === undefined ? "whole" : `${failure.code}${failure.formallyWhole ? " (formally whole)" : ""}`;
  };
  return [says(false, false), says(true, false), says(false, true)];
}

const all = (verdict: string): string[] => [verdict, verdict, verdict];
const WHOLE = all("whole");
const CUT = all("stream_truncated");
const ERROR = all("upstream_error_event");
const NOTHING = all("empty_stream");
const CORRUPT = all("stream_corrupted");
const EMPTY = ["empty_stream (formally whole)", "empty_stream (formally whole)", "whole"];
/** Whole by itself, but a stream of it would not end. */
const UNENDED = ["whole", "stream_truncated", "whole"];

const chat = (message: object, finish: object = { finish_reason: "stop" }) => ({ choices: [{ message, ...finish }] });
const SAYS = { role: "assistant", content: "Hi" };
const message = (content: unknown, stop: object = { stop_reason: "end_turn" }) => ({ type: "message", content, ...stop });
const BLOCKS = [{ type: "text", text: "Hi" }];
const response = (status: unknown, output: unknown = [{ type: "message", content: [{ text: "Hi" }] }], more: object = {}) => ({
  object: "response",
  ...(status === undefined ? {} : { status }),
  output,
  ...more,
});

test.each<[Dialect, unknown, string[]]>([
  ...[openAiChat, anthropicMessages, openAiResponses].flatMap((dialect): [Dialect, unknown, string[]][] => [
    [dialect, null, NOTHING],
    [dialect, [], CORRUPT],
    [dialect, "Hi", CORRUPT],
    [dialect, [{ error: { message: "no" } }], ERROR],
    [dialect, { error: { message: "no" } }, ERROR],
  ]),
  [openAiChat, chat(SAYS), WHOLE],
  [openAiChat, {}, NOTHING],
  [openAiChat, { choices: [] }, NOTHING],
  [openAiChat, { choices: ["Hi"] }, CORRUPT],
  [openAiChat, chat(SAYS, {}), UNENDED],
  [openAiChat, chat(SAYS, { finish_reason: null }), CUT],
  [openAiChat, chat({ content: "" }, {}), CUT],
  [openAiChat, chat({ content: "" }), EMPTY],
  [openAiChat, chat({ content: "" }, { finish_reason: "content_filter" }), WHOLE],
  [openAiChat, chat({ tool_calls: [{}] }, { finish_reason: "tool_calls" }), WHOLE],
  [openAiChat, chat(SAYS, { finish_reason: "error" }), ERROR],
  [openAiChat, { choices: [...chat({ content: "" }).choices, ...chat(SAYS).choices] }, WHOLE],
  [openAiChat, { choices: [...chat(SAYS).choices, ...chat(SAYS, { finish_reason: null }).choices] }, CUT],
  [anthropicMessages, message(BLOCKS), WHOLE],
  [anthropicMessages, message(undefined), NOTHING],
  [anthropicMessages, message(BLOCKS, {}), UNENDED],
  [anthropicMessages, message(BLOCKS, { stop_reason: null }), CUT],
  [anthropicMessages, message([], {}), CUT],
  [anthropicMessages, message([]), EMPTY],
  [anthropicMessages, message([{ type: "text", text: "" }]), EMPTY],
  [anthropicMessages, message([{ type: "tool_use" }]), WHOLE],
  [anthropicMessages, message([], { stop_reason: "refusal" }), WHOLE],
  [anthropicMessages, message(BLOCKS, { stop_reason: "error" }), ERROR],
  [openAiResponses, response("completed"), WHOLE],
  [openAiResponses, response("incomplete", []), WHOLE],
  [openAiResponses, response("completed", []), EMPTY],
  [openAiResponses, response("completed", [{ type: "message", content: [{ text: "" }] }]), EMPTY],
  [openAiResponses, response("completed", [{ type: "message", content: [{ refusal: "No." }] }]), WHOLE],
  [openAiResponses, response("completed", [{ type: "function_call" }]), WHOLE],
  [openAiResponses, response(undefined), UNENDED],
  [openAiResponses, response(undefined, []), CUT],
  [openAiResponses, response(null), CUT],
  [openAiResponses, response(""), CUT],
  [openAiResponses, response("queued", []), ["whole", "stream_truncated", "whole"]],
  [openAiResponses, response("in_progress"), ["whole", "stream_truncated", "whole"]],
  [openAiResponses, response("queued", [], { error: { message: "no" } }), ERROR],
  [openAiResponses, response("pending"), CUT],
  [openAiResponses, response("failed"), ERROR],
  [openAiResponses, response("a new word"), WHOLE],
  ...[chatchat, chatchatCompletions].flatMap((dialect): [Dialect, unknown, string[]][] => [
    [dialect, null, NOTHING],
    [dialect, [{ error: "no" }], ERROR],
    [dialect, { code: 500, msg: "no" }, ERROR],
    [dialect, { data: '{"code":500,"msg":"no"}' }, ERROR],
    [dialect, { status: -1, text: "no" }, ERROR],
    [dialect, { status: -1 }, ERROR],
    [dialect, { code: 200, data: "{}" }, WHOLE],
    [dialect, chat(SAYS), WHOLE],
    [dialect, chat({ ...SAYS, finish_reason: "stop" }, {}), WHOLE],
    [dialect, chat(SAYS, { finish_reason: null }), CUT],
    [dialect, chat({ content: "" }), EMPTY],
  ]),
  [chatchat, { text: "Hi" }, WHOLE],
  [chatchat, [], WHOLE],
  [chatchatCompletions, { text: "Hi" }, NOTHING],
])("%#: %o", (dialect, answer, expected) => {
  expect([dialect.name, verdicts(dialect, answer)]).toEqual([dialect.name, expected]);
});

test("what an answer says of its end", () => {
  const says = (dialect: Dialect, answer: unknown): unknown => [
    dialect.saysFinished?.(answer),
    dialect.warnOfAnswer?.(answer) !== undefined,
  ];
  expect(
    [chat(SAYS), chat(SAYS, {}), chat(SAYS, { finish_reason: "odd" }), null].map((answer) => says(openAiChat, answer)),
  ).toEqual([
    [true, false],
    [false, false],
    [true, true],
    [false, false],
  ]);
  expect(
    [message(BLOCKS), message(BLOCKS, {}), message(BLOCKS, { stop_reason: "odd" }), null].map((answer) =>
      says(anthropicMessages, answer),
    ),
  ).toEqual([
    [true, false],
    [false, false],
    [true, true],
    [false, false],
  ]);
  expect([chat(SAYS), chat(SAYS, {})].map((answer) => chatchatCompletions.saysFinished?.(answer))).toEqual([true, false]);
});
