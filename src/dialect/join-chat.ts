/** The deltas of a chat joined into one message: text continued, tool calls apart, nothing lost of what a server adds of its own. */
import { Failure } from "../core/failure.ts";
import { bareObject, holdsSomething, isObject, type JsonObject, objectsOf } from "./json.ts";

/** Adds what one chunk's choice brings to the choice that has been joined so far. */
export function joinChatChoice(joined: JsonObject, part: JsonObject): void {
  if (!isObject(joined.message)) joined.message = bareObject({ role: "assistant", content: null });
  const message = joined.message as JsonObject;
  const delta = part.delta ?? part.message;
  if (!isObject(delta)) return;
  for (const [key, value] of Object.entries(delta)) {
    if (key === "tool_calls") joinToolCalls(message, value);
    else if (key === "content") message.content = joinContent(message.content, value);
    else if (key === "reasoning_details") joinNumbered(listIn(message, key), objectsOf(value));
    else message[key] = joinValues(message[key], value, NAMES.has(key));
  }
}

/** What comes whole, and may come again with every piece of what it names. */
const NAMES: ReadonlySet<string> = new Set(["role", "id", "type", "name", "index", "format"]);

/** Text is continued, lists grow, objects are joined field by field; the first of anything else stands. */
function joinValues(before: unknown, value: unknown, isName: boolean): unknown {
  if (before === undefined || before === null || (isName && before === "")) return value;
  if (value === undefined || value === null) return before;
  if (typeof before === "string" && typeof value === "string") return isName ? before : before + value;
  if (Array.isArray(before) && Array.isArray(value)) return [...before, ...value];
  if (isObject(before) && isObject(value)) return joinObjects(before, value);
  return before;
}

function joinObjects(before: JsonObject, value: JsonObject): JsonObject {
  const joined = bareObject(before);
  for (const [key, part] of Object.entries(value)) joined[key] = joinValues(joined[key], part, NAMES.has(key));
  return joined;
}

/** Text, or a list of parts, or first the one and then the other: Mistral thinks in parts and speaks in text. */
function joinContent(before: unknown, value: unknown): unknown {
  if (!Array.isArray(before) && !Array.isArray(value)) return joinValues(before, value, false);
  const parts = [...toParts(before)];
  for (const part of toParts(value)) {
    const last = parts.at(-1);
    if (isObject(last) && isObject(part) && last.type === part.type && CONTINUED.has(part.type)) {
      const thinking = Array.isArray(last.thinking) ? { thinking: joinContent(last.thinking, part.thinking) } : {};
      parts[parts.length - 1] = { ...joinObjects(last, part), ...thinking };
    } else parts.push(part);
  }
  return parts;
}

/** Parts that come in pieces; others come whole. */
const CONTINUED: ReadonlySet<unknown> = new Set(["text", "thinking"]);

function toParts(content: unknown): unknown[] {
  if (Array.isArray(content)) return content;
  return holdsSomething(content) ? [{ type: "text", text: content }] : [];
}

/** OpenRouter numbers the pieces of its reasoning. */
function joinNumbered(joined: JsonObject[], pieces: readonly JsonObject[]): void {
  for (const piece of pieces) {
    const isSame = ({ index, type }: JsonObject): boolean => index === piece.index && type === piece.type;
    const at = piece.index === undefined ? -1 : joined.findIndex(isSame);
    if (at === -1) add(joined, piece);
    else joined[at] = joinObjects(joined[at] as JsonObject, piece);
  }
}

/** No message has so many, and each piece that comes is looked for among them. */
const MAX_PIECES = 2_048;

function add(list: JsonObject[], piece: JsonObject): void {
  if (list.length >= MAX_PIECES) {
    throw new Failure("stream_corrupted", `the upstream's message is in more than ${MAX_PIECES} pieces`, { scope: "never" });
  }
  list.push(piece);
}

/** The list that is there, to be added to: a copy for each piece would take seconds. */
function listIn(message: JsonObject, key: string): JsonObject[] {
  const list = message[key];
  if (Array.isArray(list)) return list;
  const begun: JsonObject[] = [];
  message[key] = begun;
  return begun;
}

/** The parts of a tool call share its index; name and id come once, the arguments in pieces. */
function joinToolCalls(message: JsonObject, parts: unknown): void {
  const calls = objectsOf(message.tool_calls);
  for (const part of objectsOf(parts)) {
    let call = typeof part.index === "number" ? calls.findLast(({ index }) => index === part.index) : calls.at(-1);
    if (call === undefined || beginsAnother(call, part)) {
      call = bareObject();
      add(calls, call);
    }
    Object.assign(call, joinObjects(call, part));
  }
  message.tool_calls = calls;
}

/** Gemini's gateways give every call the index 0, others none: a call then begins with an id, or a name, of its own. */
function beginsAnother(call: JsonObject, part: JsonObject): boolean {
  const isNumbered = typeof part.index === "number";
  const named = holdsSomething(nameOf(part)) && holdsSomething(nameOf(call));
  if (holdsSomething(part.id) && holdsSomething(call.id)) return part.id !== call.id && (named || !isNumbered);
  return !isNumbered && (named || holdsSomething(part.id));
}

function nameOf({ function: called }: JsonObject): unknown {
  return isObject(called) ? called.name : undefined;
}

/** An answer does not number its tool calls: their order does. */
export function withoutIndexes(answer: JsonObject): JsonObject {
  for (const { message } of objectsOf(answer.choices)) {
    if (!isObject(message) || message.tool_calls === undefined) continue;
    const calls = objectsOf(message.tool_calls).sort((a, b) => Number(a.index ?? 0) - Number(b.index ?? 0));
    message.tool_calls = calls.map(({ index: _index, ...call }) => call);
  }
  return answer;
}
