/** What a client is told by the bytes it got, read strictly; shares nothing with `src/`. */

// biome-ignore lint/suspicious/noExplicitAny: answers of every shape
type Json = any;

/** A reply as it came off the wire. */
export interface Got {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
  readonly end: "clean" | "cut";
}

/** What was read of an answer, streamed or not. */
export interface Said {
  text: string;
  reasoning: string;
  readonly tools: Map<string, string>;
  readonly finish: Map<number, unknown>;
  /** The error, as it was written. */
  error: string | undefined;
  ended: boolean;
  /** What no answer may hold. */
  readonly bad: string[];
}

export interface Told {
  readonly word: string;
  readonly why: string;
  readonly said: Said;
}

const nothing = (): Said => ({
  text: "",
  reasoning: "",
  tools: new Map(),
  finish: new Map(),
  error: undefined,
  ended: false,
  bad: [],
});

const BAD_FINISH = /^(error|abort(ed)?|failed|cancelled|in_progress|network_error|insufficient_system_resource)$|malformed/i;
const FIELD = /^(data:|event:|id:|retry:|:)/;

export function parseJson(text: string): Json {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const isObject = (value: unknown): boolean => typeof value === "object" && value !== null && !Array.isArray(value);

function textOf(content: Json): string {
  if (typeof content === "string") return content;
  return Array.isArray(content) ? content.map((part: Json) => part?.text ?? "").join("") : "";
}

function readStream(body: string): Said {
  const said = nothing();
  if (body !== "" && !/(\r?\n){2}$/.test(body)) said.bad.push("the last event lacks its blank line");
  for (const block of body.split(/(?:\r?\n){2}/)) {
    const lines = block.split(/\r?\n/).filter((line) => line !== "");
    said.bad.push(...lines.filter((line) => !FIELD.test(line)).map((line) => `a line that is no field: ${line.slice(0, 60)}`));
    const data = lines.filter((line) => line.startsWith("data:")).map((line) => line.slice(5).replace(/^ /, ""));
    if (data.length === 0) continue;
    const joined = data.join("\n");
    if (said.ended || said.error !== undefined) said.bad.push(`something after the end: ${joined.slice(0, 60)}`);
    if (joined === "[DONE]") said.ended = true;
    else readObject(joined, said);
  }
  return said;
}

/** An event, or a whole answer, of chat, completions, messages or responses: their fields do not collide. */
function readObject(source: string, said: Said): void {
  const json = parseJson(source);
  if (!isObject(json)) {
    said.bad.push(`no JSON object: ${source.slice(0, 60)}`);
    return;
  }
  if (json.error || json.type === "error" || json.type === "response.failed") said.error = source;
  for (const choice of json.choices ?? []) readChoice(choice, said);
  readTyped(json, said);
}

function addTool(said: Said, key: string, part: string | undefined): void {
  said.tools.set(key, (said.tools.get(key) ?? "") + (part ?? ""));
}

function readChoice({ index = 0, delta, message, text, finish_reason }: Json, said: Said): void {
  const part = delta ?? message;
  said.text += textOf(part?.content) + (text ?? "");
  said.reasoning += part?.reasoning_content ?? "";
  for (const call of part?.tool_calls ?? []) addTool(said, `${index} ${call.index ?? call.id}`, call.function?.arguments);
  if (finish_reason || !said.finish.has(index)) said.finish.set(index, finish_reason);
}

function readTyped(json: Json, said: Said): void {
  const { type, delta = {} } = json;
  if (type === "content_block_start" && json.content_block?.type === "tool_use") addTool(said, String(json.index), "");
  if (type === "content_block_delta") {
    if (delta.partial_json !== undefined) addTool(said, String(json.index), delta.partial_json);
    said.text += delta.text ?? "";
    said.reasoning += delta.thinking ?? "";
  }
  if (type === "message_delta" && delta.stop_reason) said.finish.set(0, delta.stop_reason);
  if (type === "message_stop") said.ended = true;
  if (type === "message") {
    said.text += textOf(json.content);
    said.finish.set(0, json.stop_reason);
  }
  if (type === "response.output_text.delta") said.text += delta;
  if (type === "response.function_call_arguments.delta") addTool(said, String(json.output_index), delta);
  if (type === "response.completed" || type === "response.incomplete") {
    said.finish.set(0, json.response?.status ?? type);
    said.ended = true;
  }
  if (json.object === "response") {
    said.text += (json.output ?? []).map((item: Json) => textOf(item.content)).join("");
    said.finish.set(0, json.status);
  }
}

/** What the client is told in one word, and why it is not told more. */
export function whatWasTold(got: Got, streamed: boolean, finishMatters: boolean): Told {
  if (got.end === "cut") {
    // Behind its error event a stream may end cleanly or be cut.
    const said = got.status === 200 && streamed ? readStream(got.body) : nothing();
    const isTold = said.error !== undefined && said.bad.length === 0;
    return { word: isTold ? "error-event" : "broken", why: isTold ? "" : "the body is cut", said };
  }
  if (got.status >= 400) return { word: "http-error", why: "", said: { ...nothing(), error: got.body } };
  if (got.status !== 200) return { word: `HTTP ${got.status}`, why: "", said: nothing() };
  const said = streamed ? readStream(got.body) : nothing();
  if (!streamed) readObject(got.body, said);
  if (said.bad.length > 0) return { word: "bad bytes", why: said.bad.join("; "), said };
  const label = String(got.headers["content-type"]);
  if (streamed && !label.startsWith("text/event-stream")) return { word: "no stream", why: `labelled ${label}`, said };
  if (said.error !== undefined) return { word: streamed ? "error-event" : "error in a 200", why: "", said };
  if (streamed && !said.ended) return { word: "half, silently", why: "no terminator", said };
  const finishes = [...said.finish.values()];
  const isGood = (word: unknown): boolean => typeof word === "string" && word !== "" && !BAD_FINISH.test(word);
  if (!finishMatters || (finishes.length > 0 && finishes.every(isGood))) return { word: "whole", why: "", said };
  return { word: "half, silently", why: `finish ${JSON.stringify(finishes)}`, said };
}
