import { expect, test } from "vitest";
import type { Dialect } from "../core/dialect.ts";
import { anthropicMessages } from "./anthropic-messages.ts";
import { chatchatCompletions } from "./chatchat.ts";
import { openAiChat } from "./openai-chat.ts";
import { openAiCompletions } from "./openai-completions.ts";

const choice = (fields: object, finish_reason: string | null = null, index = 0): object => ({
  choices: [{ index, ...fields, finish_reason }],
});
const says = (content: string, finish: string | null = null, index = 0): object => choice({ delta: { content } }, finish, index);
const ends = (index = 0, finish = "stop"): object => choice({ delta: {} }, finish, index);
const calls = (finish: string | null = null): object =>
  choice({ delta: { tool_calls: [{ index: 0, function: { arguments: "x" } }] } }, finish);

const block = (type = "text"): object => ({ type: "content_block_start", index: 0, content_block: { type, text: "x" } });
const piece = { type: "content_block_delta", index: 0, delta: { type: "input_json_delta", partial_json: "{}" } };
const closed = { type: "content_block_stop", index: 0 };
const reason = (stop_reason: string | null): object => ({ type: "message_delta", delta: { stop_reason } });

/** Whether the end of the body need not be waited for after these events. */
function isFinished(dialect: Dialect, events: readonly object[], n = 1): boolean {
  const inspector = dialect.inspectStream(dialect.parseRequest({ stream: true, n, prompt: "p", messages: [] }));
  for (const event of events) inspector.onEvent({ event: undefined, data: JSON.stringify(event) });
  return inspector.isFinished === true;
}

test.each<[string, boolean, Dialect, object[], number?]>([
  ["nothing", false, openAiChat, []],
  ["text alone", false, openAiChat, [says("a")]],
  ["a finish in an event of its own", true, openAiChat, [says("a"), ends()]],
  ["and a usage chunk behind it", true, openAiChat, [says("a"), ends(), { choices: [], usage: {} }]],
  ["a finish together with text", false, openAiChat, [says("a", "stop")]],
  ["a finish together with a call", false, openAiChat, [calls("tool_calls")]],
  ["a call, and a finish of its own", true, openAiChat, [calls(), ends(0, "tool_calls")]],
  ["text behind a finish", false, openAiChat, [says("a"), ends(), says("b")]],
  ["two finishes", false, openAiChat, [says("a"), ends(), ends()]],
  ["a finish on every chunk, the last without text", false, openAiChat, [says("a", "stop"), says("b", "stop"), ends()]],
  ["one of two choices", false, openAiChat, [says("a"), ends()], 2],
  ["one of two choices that were seen", false, openAiChat, [says("a"), says("b", null, 1), ends()], 2],
  ["both choices", true, openAiChat, [says("a"), says("b", null, 1), ends(), ends(1)], 2],
  ["text of the older API", true, openAiCompletions, [choice({ text: "a" }), choice({ text: "" }, "stop")]],
  ["text of the older API with its finish", false, openAiCompletions, [choice({ text: "a" }, "stop")]],
  ["a model behind Chatchat", true, chatchatCompletions, [says("a"), ends()]],
  ["a message with a reason", true, anthropicMessages, [block(), closed, reason("end_turn")]],
  ["a message with a block that is open", false, anthropicMessages, [block(), reason("end_turn")]],
  ["a message without a reason", false, anthropicMessages, [block(), closed, reason(null)]],
  ["a message that goes on behind its reason", false, anthropicMessages, [reason("end_turn"), block(), closed]],
  [
    "a message whose call goes on behind its reason",
    false,
    anthropicMessages,
    [block("tool_use"), reason("tool_use"), piece, closed],
  ],
  ["a message with two reasons", false, anthropicMessages, [block(), closed, reason("end_turn"), reason("end_turn")]],
])("%s: %s", (_what, expected, dialect, events, n) => {
  expect(isFinished(dialect, events, n)).toBe(expected);
});
