/** OpenAI chat completions, and everything that imitates them. */
import type { Dialect } from "../core/dialect.ts";
import { encodeData, encodeUnnamed } from "../sse/encode.ts";
import { continueChat } from "./continue-chat.ts";
import { choicesToEvents, eventsToChoices } from "./convert-choices.ts";
import { joinChatChoice, withoutIndexes } from "./join-chat.ts";
import { holdsSomething, isObject, type JsonObject } from "./json.ts";
import {
  askChoicesStreamed,
  type ChoiceContent,
  ChoicesInspector,
  DONE,
  inspectChoices,
  readRequest,
  saysFinished,
  warnOfChoices,
} from "./openai-choices.ts";
import { openAiErrorBody } from "./openai-error.ts";
import { QUESTION } from "./question.ts";
import { RawAnswerInspector } from "./raw-answer.ts";

export const openAiChat: Dialect = {
  name: "openai-chat",
  operation: "chat",
  question: { fields: { messages: [{ role: "user", content: QUESTION }], max_tokens: 32 }, headers: {} },
  terminator: encodeData(DONE),
  repairsTerminator: true,
  allowsComments: true,
  oneEventPerWrite: false,
  continuing: continueChat,

  parseRequest: (body) => readRequest(body).request,
  askStreamed: askChoicesStreamed,
  inspectStream: (request) => new ChoicesInspector(request, readChatChoice),
  repairRawAnswer: (inspector, push) => new RawAnswerInspector(inspector, push),
  inspectAnswer: (answer, acceptEmpty, request) => inspectChoices(answer, acceptEmpty, request, readChatChoice),
  warnOfAnswer: warnOfChoices,
  saysFinished,
  answerToEvents: (answer, request) => choicesToEvents(answer, request, "chat.completion.chunk", toChunkChoice, { delta: {} }),
  eventsToAnswer: (events) => withoutIndexes(eventsToChoices(events, "chat.completion", joinChatChoice)),
  // Named events are no part of this dialect: an `event` line makes some clients fail.
  encodeEvent: encodeUnnamed,
  encodeError: (failure, message) => encodeData(JSON.stringify(openAiErrorBody(failure, message))),
  errorBody: openAiErrorBody,
};

const TOOL_CALLS: ReadonlySet<string> = new Set(["tool_calls", "function_call"]);

/** What is known of an answer, and comes after its finish at some servers; no words of it. */
const ABOUT_THE_ANSWER: ReadonlySet<string> = new Set([
  "annotations",
  "citations",
  "references",
  "search_results",
  "extra_content",
  "provider_specific_fields",
  "metadata",
  "usage",
]);

/** Whatever a delta, or a message, holds beside its role is content, so that an unknown field is never taken for nothing. */
export function readChatChoice(choice: JsonObject): ChoiceContent {
  // Some servers send `message` where a stream has `delta`.
  const delta = choice.delta ?? choice.message;
  let characters = 0;
  let hasContent = false;
  let hasToolCall = false;
  let goesOn = false;
  let toolBytes = 0;
  if (isObject(delta)) {
    for (const key in delta) {
      if (key === "role" || !holdsSomething(delta[key])) continue;
      const value = delta[key];
      if (typeof value === "string") characters += value.length;
      if (TOOL_CALLS.has(key)) {
        hasToolCall = true;
        toolBytes += bytesOfCalls(value);
      } else {
        hasContent = true;
        if (!ABOUT_THE_ANSWER.has(key)) goesOn = true;
      }
    }
  }
  return { characters, hasContent, hasToolCall, goesOn, toolBytes };
}

/** What the model wrote of its calls, without what each chunk wraps around a few characters of it. */
function bytesOfCalls(calls: unknown): number {
  let bytes = 0;
  for (const call of Array.isArray(calls) ? calls : [{ function: calls }]) {
    const written = isObject(call) && (call.function ?? call.custom);
    if (!isObject(written)) continue;
    for (const key in written) if (typeof written[key] === "string") bytes += Buffer.byteLength(written[key]);
  }
  return bytes;
}

/** A message as one delta: the same fields, but that a stream numbers its tool calls. */
function toChunkChoice({ message, ...choice }: JsonObject): JsonObject {
  if (!isObject(message)) return { ...choice, delta: {} };
  if (!Array.isArray(message.tool_calls)) return { ...choice, delta: message };
  const calls = message.tool_calls.map((call: unknown, index) => (isObject(call) ? { ...call, index } : call));
  return { ...choice, delta: { ...message, tool_calls: calls } };
}
