/** What an OpenAI response and an Anthropic message say, as their SDKs put them together, from events or as one object. */
import { type Answer, addField, emptyAnswer, isObject, isSame } from "./answer.ts";

/** What one event of a stream brought. */
export interface ReadEvent {
  /** The event that ends the stream. */
  readonly ended?: boolean;
  /** On which clients raise. */
  readonly error?: unknown;
}

type Json = Readonly<Record<string, unknown>>;

/** Words that end an answer well, in the words of chat completions. */
const RESPONSE_END: Readonly<Record<string, string>> = { completed: "stop", incomplete: "length" };
const MESSAGE_END: Readonly<Record<string, string>> = {
  end_turn: "stop",
  stop_sequence: "stop",
  max_tokens: "length",
  tool_use: "tool_calls",
  refusal: "content_filter",
};

export function addResponse(answer: Answer, json: unknown): void {
  if (!isObject(json) || !Array.isArray(json.output)) return;
  for (const [at, item] of json.output.entries()) if (isObject(item)) addItem(answer, at, item);
  finish(answer, RESPONSE_END, json.status);
}

export function readResponseEvent(answer: Answer, json: Json): ReadEvent {
  const { type, output_index: at = 0, content_index: part = 0, delta, item, response } = json;
  if (type === "response.output_text.delta") addField(answer.fields, `output[${at}].text[${part}]`, delta);
  else if (type === "response.function_call_arguments.delta") addField(answer.fields, `output[${at}].arguments`, delta);
  else if (type === "response.output_item.added" && isObject(item))
    addItem(answer, Number(at), { ...item, content: [], arguments: "" });
  else if (type === "error" || type === "response.failed") {
    return { error: (isObject(response) && response.error) || json.error || json };
  } else if (type === "response.completed" || type === "response.incomplete") {
    const said = emptyAnswer();
    addResponse(said, response);
    // A client may read the pieces, or the whole at the end.
    const pieces = { fields: answer.fields, finish: said.finish };
    if (answer.fields.size === 0) for (const [path, text] of said.fields) answer.fields.set(path, text);
    else if (said.fields.size > 0 && !isSame(said, pieces))
      addField(answer.fields, "differs", "the end says another answer than the pieces");
    for (const [choice, reason] of said.finish) answer.finish.set(choice, reason);
    return { ended: true };
  }
  return {};
}

function addItem(answer: Answer, at: number, item: Json): void {
  const { name, call_id: id, arguments: args, content } = item;
  addField(answer.fields, `output[${at}].name`, name);
  addField(answer.fields, `output[${at}].call.id`, id);
  addField(answer.fields, `output[${at}].arguments`, args);
  for (const [part, piece] of (Array.isArray(content) ? content : []).entries()) {
    if (isObject(piece)) addField(answer.fields, `output[${at}].text[${part}]`, piece.text ?? piece.refusal);
  }
}

export function addMessage(answer: Answer, json: unknown): void {
  if (!isObject(json) || !Array.isArray(json.content)) return;
  for (const [at, block] of json.content.entries()) if (isObject(block)) addBlock(answer, at, block, true);
  finish(answer, MESSAGE_END, json.stop_reason);
}

export function readMessageEvent(answer: Answer, json: Json): ReadEvent {
  const { type, index = 0, delta, content_block: block, error } = json;
  if (type === "content_block_start" && isObject(block)) addBlock(answer, Number(index), block, false);
  else if (type === "content_block_delta" && isObject(delta)) {
    addField(answer.fields, `content[${index}].text`, delta.text);
    addField(answer.fields, `content[${index}].thinking`, delta.thinking);
    addField(answer.fields, `content[${index}].input`, delta.partial_json);
  } else if (type === "message_delta" && isObject(delta)) finish(answer, MESSAGE_END, delta.stop_reason);
  else if (type === "error") return { error: error ?? json };
  return { ended: type === "message_stop" };
}

/** @param isWhole the input of a tool is all there, and not to come in pieces. */
function addBlock(answer: Answer, at: number, { text, thinking, name, id, input }: Json, isWhole: boolean): void {
  addField(answer.fields, `content[${at}].text`, text);
  addField(answer.fields, `content[${at}].thinking`, thinking);
  addField(answer.fields, `content[${at}].name`, name);
  addField(answer.fields, `content[${at}].id`, id);
  if (isWhole && input !== undefined) addField(answer.fields, `content[${at}].input`, JSON.stringify(input));
}

function finish(answer: Answer, words: Readonly<Record<string, string>>, word: unknown): void {
  if (typeof word === "string") answer.finish.set(0, words[word] ?? `${word}?`);
}
