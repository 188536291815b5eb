/** Between an answer with `choices` and the chunks of its stream, either way. */
import type { DialectRequest } from "../core/dialect.ts";
import type { StreamEvent } from "../core/stream-event.ts";
import { bareObject, holdsSomething, isObject, type JsonObject, parseObject } from "./json.ts";

/** An answer as chunks: for each choice its content, then its finish; the usage at the end, if it was asked for. */
export function choicesToEvents(
  answer: unknown,
  request: DialectRequest,
  object: string,
  toContent: (choice: JsonObject) => JsonObject,
  noContent: JsonObject,
): StreamEvent[] {
  const { choices, usage, ...rest } = answer as JsonObject & { choices: JsonObject[] };
  const chunk = (fields: JsonObject): StreamEvent => ({ event: undefined, data: JSON.stringify({ ...rest, object, ...fields }) });
  const events: StreamEvent[] = [];
  for (const [position, choice] of choices.entries()) {
    const { index = position, finish_reason } = choice;
    events.push(chunk({ choices: [{ ...toContent(choice), index, finish_reason: null }] }));
    events.push(chunk({ choices: [{ ...noContent, index, finish_reason }] }));
  }
  if (request.includeUsage && usage) events.push(chunk({ choices: [], usage }));
  return events;
}

/**
 * A whole stream of chunks as one answer: the fields of the first chunk, the choices joined, the last usage.
 * @param join adds what one chunk's choice brings to the choice that has been joined so far.
 */
export function eventsToChoices(
  events: readonly StreamEvent[],
  object: string,
  join: (joined: JsonObject, choice: JsonObject) => void,
): JsonObject {
  const answer = bareObject();
  const choices = new Map<number, JsonObject>();
  for (const { data } of events) {
    // Padding, which makes the sizes of chunks say nothing.
    const { choices: parts, usage, obfuscation: _padding, ...fields } = parseObject(data) ?? {};
    for (const [name, value] of Object.entries(fields)) {
      // Azure's first chunk has an empty id; the answer's own comes after it. What is measured (`timings`) is right at the end.
      if (!holds(answer[name]) || (!IDENTITY.has(name) && holds(value))) answer[name] = value;
    }
    if (usage) answer.usage = usage;
    if (!Array.isArray(parts)) continue;
    for (const part of parts as unknown[]) {
      if (!isObject(part)) continue;
      const index = Number(part.index ?? 0) || 0;
      let joined = choices.get(index);
      if (joined === undefined) {
        joined = bareObject({ index });
        choices.set(index, joined);
      }
      join(joined, part);
      for (const [name, value] of Object.entries(part)) {
        // Servers' own fields, such as `stop_reason`, `matched_stop`, `content_filter_results`.
        if (!JOINED.has(name)) joined[name] = laterOf(joined[name], value);
      }
      if (typeof part.finish_reason === "string" && part.finish_reason !== "") joined.finish_reason ??= part.finish_reason;
      // A server that never says how it finished: clients count on the field.
      joined.finish_reason ??= null;
      joinLogprobs(joined, part.logprobs);
    }
  }
  const { usage, ...rest } = answer;
  const sorted = [...choices.values()].sort((a, b) => Number(a.index) - Number(b.index));
  return { ...rest, object, choices: sorted, ...(usage === undefined ? {} : { usage }) };
}

/** What is said once of the whole answer. */
const IDENTITY: ReadonlySet<string> = new Set(["id", "object", "created", "model"]);
/** What of a choice is joined, each in its own way. */
const JOINED: ReadonlySet<string> = new Set(["index", "delta", "message", "text", "finish_reason", "logprobs"]);

/** Lists go on, and what is empty takes nothing back. */
function laterOf(before: unknown, value: unknown): unknown {
  if (Array.isArray(before) && Array.isArray(value)) return [...before, ...value];
  const isEmpty = typeof value === "object" ? !holdsSomething(value) : !holds(value);
  return isEmpty && before !== undefined ? before : value;
}

function holds(value: unknown): boolean {
  return value !== undefined && value !== null && value !== "";
}

/** `logprobs` holds lists (`content`, `refusal`; `tokens`, …), which continue from chunk to chunk. */
function joinLogprobs(joined: JsonObject, part: unknown): void {
  if (!isObject(part)) {
    joined.logprobs ??= null;
    return;
  }
  const so_far = isObject(joined.logprobs) ? joined.logprobs : bareObject();
  for (const [name, value] of Object.entries(part)) {
    const before = so_far[name];
    // Into the list that is there: a copy for each token would take seconds.
    if (Array.isArray(before) && Array.isArray(value)) for (const each of value) before.push(each);
    else so_far[name] = Array.isArray(value) ? [...value] : (value ?? before ?? null);
  }
  joined.logprobs = so_far;
}
