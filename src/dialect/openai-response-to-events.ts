/** The stream that an OpenAI response would have been: its items announced blank, said once in deltas, and repeated whole when done. */
import type { StreamEvent } from "../core/stream-event.ts";
import { type JsonObject, objectsOf } from "./json.ts";

type Add = (type: string, fields: JsonObject) => void;

/** What an item is called with, and the name under which that comes. Clients join the deltas to what was announced. */
const STREAMED_FIELD: ReadonlyMap<unknown, readonly [field: string, name: string]> = new Map([
  ["function_call", ["arguments", "function_call_arguments"]],
  ["custom_tool_call", ["input", "custom_tool_call_input"]],
  ["mcp_call", ["arguments", "mcp_call_arguments"]],
  ["code_interpreter_call", ["code", "code_interpreter_call_code"]],
]);

export function responseToEvents(response: JsonObject): StreamEvent[] {
  const events: StreamEvent[] = [];
  const add: Add = (type, fields) => {
    events.push({ event: type, data: JSON.stringify({ type, sequence_number: events.length, ...fields }) });
  };
  const begun = { ...blank(response, ["output_text"]), status: "in_progress", output: [] };
  add("response.created", { response: begun });
  add("response.in_progress", { response: begun });
  for (const [output_index, item] of objectsOf(response.output).entries()) addItem(add, output_index, item);
  add(response.status === "incomplete" ? "response.incomplete" : "response.completed", { response });
  return events;
}

function addItem(add: Add, output_index: number, item: JsonObject): void {
  const at = { item_id: item.id, output_index };
  const hasParts = item.type === "message" || item.type === "reasoning";
  const [field = "", name = ""] = STREAMED_FIELD.get(item.type) ?? [];
  const announced = blank(item, hasParts ? ["content", "summary"] : [field]);
  // Thoughts, and lists of tools, have no status.
  if ("status" in item) announced.status = "in_progress";
  add("response.output_item.added", { output_index, item: announced });
  if (hasParts) {
    for (const [summary_index, part] of objectsOf(item.summary).entries()) addSummary(add, { ...at, summary_index }, part);
    for (const [content_index, part] of objectsOf(item.content).entries()) addPart(add, { ...at, content_index }, part, item);
  }
  const called = item[field];
  if (typeof called === "string") {
    add(`response.${name}.delta`, { ...at, delta: called });
    add(`response.${name}.done`, { ...at, [field]: called });
  }
  add("response.output_item.done", { output_index, item });
}

function addSummary(add: Add, where: JsonObject, part: JsonObject): void {
  add("response.reasoning_summary_part.added", { ...where, part: blank(part, ["text"]) });
  add("response.reasoning_summary_text.delta", { ...where, delta: part.text ?? "" });
  add("response.reasoning_summary_text.done", { ...where, text: part.text ?? "" });
  add("response.reasoning_summary_part.done", { ...where, part });
}

function addPart(add: Add, where: JsonObject, part: JsonObject, item: JsonObject): void {
  const field = part.type === "refusal" ? "refusal" : "text";
  const said = part[field];
  add("response.content_part.added", { ...where, part: blank(part, [field, "annotations", "logprobs"]) });
  if (typeof said === "string") {
    const name = nameOf(part, item);
    const logprobs = name === "output_text" ? { logprobs: part.logprobs ?? [] } : {};
    add(`response.${name}.delta`, { ...where, delta: said, ...logprobs });
    const annotations = name === "output_text" ? objectsOf(part.annotations) : [];
    for (const [annotation_index, annotation] of annotations.entries()) {
      add("response.output_text.annotation.added", { ...where, annotation_index, annotation });
    }
    add(`response.${name}.done`, { ...where, [field]: said, ...logprobs });
  }
  add("response.content_part.done", { ...where, part });
}

/** Gateways have names of their own for the parts, but a thought must never be told as a part of the answer. */
function nameOf(part: JsonObject, item: JsonObject): string {
  if (item.type === "reasoning" || part.type === "reasoning_text") return "reasoning_text";
  return part.type === "refusal" ? "refusal" : "output_text";
}

/** The same with nothing in these fields; what is not text or a list stays as it is. */
function blank(value: JsonObject, fields: readonly string[]): JsonObject {
  const blanked = { ...value };
  for (const field of fields) {
    if (typeof value[field] === "string") blanked[field] = "";
    else if (Array.isArray(value[field])) blanked[field] = [];
  }
  return blanked;
}
