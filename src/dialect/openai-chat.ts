/** OpenAI chat completions, and everything that imitates them. */
import type { Dialect } from "../core/dialect.ts";
import { encodeData } from "../sse/encode.ts";
import { holdsSomething, isObject, type JsonObject, objectsOf } from "./json.ts";
import {
  askChoicesStreamed,
  type ChoiceContent,
  ChoicesInspector,
  choicesToEvents,
  DONE,
  eventsToChoices,
  inspectChoices,
  readRequest,
} from "./openai-choices.ts";
import { openAiErrorBody } from "./openai-error.ts";

export const openAiChat: Dialect = {
  name: "openai-chat",
  terminator: encodeData(DONE),
  repairsTerminator: true,
  allowsComments: true,
  oneEventPerWrite: false,

  parseRequest: (body) => readRequest(body).request,
  askStreamed: askChoicesStreamed,
  inspectStream: (request) => new ChoicesInspector(request, readChatChoice),
  inspectAnswer: (answer, acceptEmpty) => inspectChoices(answer, acceptEmpty, readChatChoice),
  answerToEvents: (answer, request) => choicesToEvents(answer, request, "chat.completion.chunk", toChunkChoice, { delta: {} }),
  eventsToAnswer: (events) => withoutIndexes(eventsToChoices(events, "chat.completion", joinChatChoice)),
  // Named events are no part of this dialect: an `event` line makes some clients fail.
  encodeEvent: (event) => encodeData(event.data),
  encodeError: (failure, message) => encodeData(JSON.stringify(openAiErrorBody(failure, message))),
  errorBody: openAiErrorBody,
};

const TOOL_CALLS: ReadonlySet<string> = new Set(["tool_calls", "function_call"]);

/** Whatever a delta holds beside its role is content, so that a field nobody has heard of is never taken for nothing. */
function readChatChoice(choice: JsonObject): ChoiceContent {
  // Some servers send `message` where a stream has `delta`.
  const delta = choice.delta ?? choice.message;
  let characters = 0;
  let hasContent = false;
  let hasToolCall = false;
  if (isObject(delta)) {
    for (const key in delta) {
      if (key === "role" || !holdsSomething(delta[key])) continue;
      if (TOOL_CALLS.has(key)) hasToolCall = true;
      else hasContent = true;
      const value = delta[key];
      if (typeof value === "string") characters += value.length;
    }
  }
  return { characters, hasContent, hasToolCall };
}

/** A message as one delta: the same fields, but that a stream numbers its tool calls. */
function toChunkChoice({ message, ...choice }: JsonObject): JsonObject {
  if (!isObject(message)) return { ...choice, delta: {} };
  if (!Array.isArray(message.tool_calls)) return { ...choice, delta: message };
  const calls = message.tool_calls.map((call: unknown, index) => (isObject(call) ? { index, ...call } : call));
  return { ...choice, delta: { ...message, tool_calls: calls } };
}

function joinChatChoice(joined: JsonObject, part: JsonObject): void {
  if (!isObject(joined.message)) joined.message = { role: "assistant", content: null };
  const message = joined.message as JsonObject;
  const delta = part.delta ?? part.message;
  if (!isObject(delta)) return;
  for (const [key, value] of Object.entries(delta)) {
    if (key === "tool_calls") joinToolCalls(message, value);
    else message[key] = joinValues(message[key], value, key === "role");
  }
}

/** Text is continued, lists grow, objects are joined field by field; the first of anything else stands. */
function joinValues(before: unknown, value: unknown, isName: boolean): unknown {
  if (before === undefined || before === null) return value;
  if (value === undefined || value === null) return before;
  if (typeof before === "string" && typeof value === "string") return isName ? before : before + value;
  if (Array.isArray(before) && Array.isArray(value)) return [...before, ...value];
  if (isObject(before) && isObject(value)) {
    const joined: JsonObject = { ...before };
    for (const [key, part] of Object.entries(value)) joined[key] = joinValues(joined[key], part, key === "name");
    return joined;
  }
  return before;
}

/**
 * The parts of a tool call share its index, whatever that is; name and id come once, the arguments in pieces.
 * Where there is no index, an id begins the next call.
 */
function joinToolCalls(message: JsonObject, parts: unknown): void {
  const calls = objectsOf(message.tool_calls);
  for (const part of objectsOf(parts)) {
    let call = typeof part.index === "number" ? calls.find(({ index }) => index === part.index) : calls.at(-1);
    if (call === undefined || (part.index === undefined && holdsSomething(part.id))) {
      call = {};
      calls.push(call);
    }
    for (const [key, value] of Object.entries(part)) {
      call[key] = joinValues(call[key], value, key === "id" || key === "type" || key === "index");
    }
  }
  message.tool_calls = calls;
}

/** An answer does not number its tool calls: their order does. */
function withoutIndexes(answer: JsonObject): JsonObject {
  for (const { message } of objectsOf(answer.choices)) {
    if (!isObject(message) || message.tool_calls === undefined) continue;
    const calls = objectsOf(message.tool_calls).sort((a, b) => Number(a.index ?? 0) - Number(b.index ?? 0));
    message.tool_calls = calls.map(({ index: _index, ...call }) => call);
  }
  return answer;
}
