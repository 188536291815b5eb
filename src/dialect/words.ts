/** The words of requests and answers in any dialect, for people to look at: nothing is judged by them. */
import { holdsSomething, isObject, type JsonObject, objectsOf, parseObject } from "./json.ts";

export interface Words {
  readonly kind: "text" | "reasoning" | "tool";
  readonly text: string;
}

export interface PromptMessage {
  readonly role: string;
  readonly text: string;
}

/** Fields that are words, wherever they stand within an answer, and of which kind. */
const WORDS: Readonly<Record<string, Words["kind"]>> = {
  content: "text",
  text: "text",
  refusal: "text",
  answer: "text",
  final_answer: "text",
  reasoning_content: "reasoning",
  reasoning: "reasoning",
  thinking: "reasoning",
  arguments: "tool",
  partial_json: "tool",
};

/** Fields that lead to words. */
const WAYS: ReadonlySet<string> = new Set([
  ...["choices", "delta", "message", "content", "content_block", "tool_calls", "function_call", "function", "output", "item"],
  "summary",
]);

/** What an event of a stream adds. */
export function wordsOfEvent(data: string): Words[] {
  const json = parseObject(data);
  if (json === undefined) return [];
  const { type, delta, item } = json;
  if (typeof type !== "string" || !type.startsWith("response.")) return wordsIn(json);
  // Of responses each piece comes once as it is made, and again when it is done.
  if (type.endsWith(".delta") && typeof delta === "string") return [{ kind: kindOf(type), text: delta }];
  return type === "response.output_item.added" && isObject(item) ? nameOf(item) : [];
}

/** What a whole answer says. @param body JSON */
export function wordsOfAnswer(body: string): Words[] {
  return wordsIn(parseObject(body) ?? {});
}

/** What a request asks, in its order. @param body parsed */
export function promptOf(body: unknown): PromptMessage[] {
  if (!isObject(body)) return [];
  const { system, instructions, messages, history, prompt, input, query } = body;
  const fixed = [
    ["system", system],
    ["system", instructions],
    ["prompt", prompt],
    ["user", typeof input === "string" ? input : undefined],
    ["user", query],
  ] as const;
  const listed = [messages, history, Array.isArray(input) ? input : undefined].flatMap(objectsOf);
  const [before, after] = [fixed.slice(0, 2), fixed.slice(2)].map((each) =>
    each.flatMap(([role, value]) => (value === undefined ? [] : [{ role, text: plain(value) }])),
  ) as [PromptMessage[], PromptMessage[]];
  const said = listed.map((message) => ({ role: String(message.role ?? message.type ?? ""), text: plain(message) }));
  return [...before, ...said, ...after].filter(({ text }) => text !== "");
}

/** A part that is no text is named, since a picture may be megabytes of base64. */
function plain(value: unknown): string {
  if (typeof value === "string") return value;
  if (Array.isArray(value)) return value.map(plain).filter(Boolean).join("\n");
  if (!isObject(value)) return "";
  const words = wordsIn(value)
    .map(({ text }) => text)
    .join("\n");
  return words === "" && typeof value.type === "string" ? `[${value.type}]` : words;
}

function wordsIn(json: JsonObject): Words[] {
  return [...nameOf(json), ...Object.entries(json).flatMap(([key, value]) => wordsAt(key, value))];
}

function wordsAt(key: string, value: unknown): Words[] {
  const kind = WORDS[key];
  if (kind !== undefined && typeof value === "string") return value === "" ? [] : [{ kind, text: value }];
  // What a tool of the messages API is to be called with.
  if (key === "input" && holdsSomething(value)) return [{ kind: "tool", text: JSON.stringify(value) }];
  if (!WAYS.has(key)) return [];
  // Of several choices the first: they come in turns, a few characters of each.
  const parts = objectsOf(Array.isArray(value) ? value : [value]).filter(({ index }) => key !== "choices" || (index ?? 0) === 0);
  return parts.flatMap((part) => {
    const words = wordsIn(part);
    return words.length === 0 && key === "content" && typeof part.type === "string" ? named(part.type) : words;
  });
}

/** A part of a message that is no text. Pieces of text may be empty. */
function named(type: string): Words[] {
  return /text|delta/.test(type) ? [] : [{ kind: "text", text: `[${type}]` }];
}

/** Of a tool that is called. */
function nameOf({ name, type, arguments: given, input }: JsonObject): Words[] {
  const isCall = given !== undefined || input !== undefined || /tool|function/.test(String(type));
  return isCall && typeof name === "string" && name !== "" ? [{ kind: "tool", text: `${name} ` }] : [];
}

function kindOf(type: string): Words["kind"] {
  if (/reasoning/.test(type)) return "reasoning";
  return /text|refusal/.test(type) ? "text" : "tool";
}
