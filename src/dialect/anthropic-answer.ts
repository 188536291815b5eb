/** Anthropic messages in one piece: the stream that an answer would have been, and the answer that a stream stands for. */
import { Failure } from "../core/failure.ts";
import type { StreamEvent } from "../core/stream-event.ts";
import { holdsSomething, isObject, type JsonObject, objectsOf, parseObject } from "./json.ts";

function named(type: string, fields: JsonObject): StreamEvent {
  return { event: type, data: JSON.stringify({ type, ...fields }) };
}

/** How each kind of block begins, and what its deltas say. Kinds that are not here come whole in their start. */
function splitBlock(block: JsonObject): { start: JsonObject; deltas: readonly JsonObject[] } {
  switch (block.type) {
    case "text": {
      const citations = objectsOf(block.citations).map((citation) => ({ type: "citations_delta", citation }));
      return {
        start: { ...block, text: "", ...(citations.length > 0 ? { citations: [] } : {}) },
        deltas: [{ type: "text_delta", text: block.text }, ...citations],
      };
    }
    case "thinking": {
      const signed = typeof block.signature === "string" ? [{ type: "signature_delta", signature: block.signature }] : [];
      return {
        start: { ...block, thinking: "", signature: "" },
        deltas: [{ type: "thinking_delta", thinking: block.thinking }, ...signed],
      };
    }
    case "tool_use":
    case "server_tool_use":
      return {
        start: { ...block, input: {} },
        deltas: [{ type: "input_json_delta", partial_json: JSON.stringify(block.input ?? {}) }],
      };
    case "compaction": {
      const { content, encrypted_content } = block;
      return { start: { ...block, content: null }, deltas: [{ type: "compaction_delta", content, encrypted_content }] };
    }
    default:
      return { start: block, deltas: [] };
  }
}

export function answerToEvents(answer: unknown): StreamEvent[] {
  const { content, stop_reason, stop_sequence = null, stop_details, ...message } = answer as JsonObject;
  // Clients count on a usage in both places.
  const usage = message.usage ?? {};
  const begun = { ...message, content: [], stop_reason: null, stop_sequence: null, usage };
  const events = [named("message_start", { message: begun })];
  for (const [index, block] of objectsOf(content).entries()) {
    const { start, deltas } = splitBlock(block);
    events.push(named("content_block_start", { index, content_block: start }));
    for (const delta of deltas) events.push(named("content_block_delta", { index, delta }));
    events.push(named("content_block_stop", { index }));
  }
  // Where clients take them from, even if message_start had them: they set what is not here to nothing.
  const { container, context_management } = message;
  const delta = { stop_reason, stop_sequence, stop_details, container };
  events.push(named("message_delta", { delta, usage, context_management }));
  return events;
}

/** @throws Failure when the stream cannot be told as an answer without a loss. */
export function eventsToAnswer(events: readonly StreamEvent[]): JsonObject {
  let message: JsonObject = {};
  const blocks: JsonObject[] = [];
  // By number the newest block: some servers number each of theirs 0.
  const newest = new Map<unknown, JsonObject>();
  const toolJson = new Map<JsonObject, string>();

  function begin(index: unknown, block: JsonObject): JsonObject {
    blocks.push(block);
    newest.set(index, block);
    return block;
  }

  for (const { event, data } of events) {
    const { type = event, ...json } = parseObject(data) ?? {};
    if (type === "message_start" && isObject(json.message)) {
      message = { ...json.message };
    } else if (type === "content_block_start" && isObject(json.content_block)) {
      const block = begin(json.index, { ...json.content_block });
      // The answer is told under the name of the model that finished it.
      if (block.type === "fallback" && isObject(block.to)) message.model = block.to.model;
    } else if (type === "content_block_delta" && isObject(json.delta)) {
      const { delta, index } = json;
      if (!Object.entries(delta).some(([field, value]) => field !== "type" && holdsSomething(value))) continue;
      const block = newest.get(index) ?? begin(index, { type: kindOf(delta) });
      if (typeof delta.partial_json === "string") toolJson.set(block, (toolJson.get(block) ?? "") + delta.partial_json);
      else join(block, delta);
    } else if (type === "message_delta") {
      const { delta, usage, ...fields } = json;
      const known = isObject(message.usage) ? message.usage : {};
      message = { ...update(update(message, delta), fields), ...(isObject(usage) ? { usage: update(known, usage) } : {}) };
    }
  }
  for (const [block, text] of toolJson) block.input = toolInput(text);
  return { ...message, content: blocks };
}

/**
 * What a block is, of which only a piece came: some servers do not say where their blocks begin.
 * @throws Failure for a tool call, whose name is lost, and for what is not known.
 */
function kindOf(delta: JsonObject): string {
  const kind = /^(text|thinking|compaction)_delta$/.exec(String(delta.type))?.[1];
  if (kind === undefined) throw new Failure("stream_corrupted", "the upstream sent a piece of a block that never began");
  return kind;
}

function join(block: JsonObject, { type, ...fields }: JsonObject): void {
  if (typeof fields.text === "string") block.text = `${block.text ?? ""}${fields.text}`;
  if (typeof fields.thinking === "string") block.thinking = `${block.thinking ?? ""}${fields.thinking}`;
  // It comes whole, and the API would refuse one that was doubled.
  if (typeof fields.signature === "string") block.signature = fields.signature;
  if (fields.citation !== undefined) block.citations = [...objectsOf(block.citations), fields.citation];
  if (type === "compaction_delta") Object.assign(block, fields);
}

/** What was told later counts, but null does not take back what is known. */
function update(known: JsonObject, later: unknown): JsonObject {
  const told = Object.entries(isObject(later) ? later : {});
  return { ...known, ...Object.fromEntries(told.filter(([field, value]) => value !== null || !Object.hasOwn(known, field))) };
}

/** @throws Failure when max_tokens cut the input short: a client that got some other input would act on it. */
function toolInput(text: string): JsonObject {
  if (text.trim() === "") return {};
  const input = parseObject(text);
  if (input !== undefined) return input;
  // It would end at the same place again.
  throw new Failure("stream_truncated", "the input of a tool call stops in the middle", { scope: "never" });
}
