/** The model by the name that the client used, where the upstream knows it by another: in the request, and in the answer. */
import type { Attempt } from "../core/attempt.ts";
import type { AttemptOutput, AttemptResult } from "../core/attempt-output.ts";
import type { EventSink } from "../core/event-sink.ts";
import type { StreamEvent } from "../core/stream-event.ts";
import { isObject, type JsonObject } from "../dialect/json.ts";
import { parseExactly } from "./upstream-request.ts";

/** The output of an attempt whose answer is to name the model as it was asked for. */
export function namingModel(output: AttemptOutput, asked: string, attempt: Attempt): AttemptOutput {
  const onServed = (model: string): void => {
    attempt.servedModel ??= model;
  };
  return {
    ...output,
    openStream: (headers, opening) => naming(output.openStream(headers, opening), asked, onServed),
    nextLeg(by) {
      const leg = output.nextLeg(by);
      return { ...leg, sink: naming(leg.sink, asked, onServed) };
    },
  };
}

function naming(next: EventSink, asked: string, onServed: (model: string) => void): EventSink {
  return {
    push: (event, kind) => next.push(renamed(event, asked, onServed), kind),
    flush: () => next.flush(),
    finish: () => next.finish(),
  };
}

/** The same for an answer that was not streamed. */
export function withAskedModel(result: AttemptResult, asked: string): AttemptResult {
  if (result.kind !== "reply") return result;
  const text = result.body.toString("utf8");
  const named = rename(text, asked);
  return named === text ? result : { ...result, body: Buffer.from(named) };
}

function renamed(event: StreamEvent, asked: string, onServed: (model: string) => void): StreamEvent {
  const data = rename(event.data, asked, onServed);
  return data === event.data ? event : { ...event, data };
}

/** Where dialects name it: in each chunk, in the response that an event is about, in the message that begins. */
function rename(text: string, asked: string, onServed?: (model: string) => void): string {
  if (!text.includes('"model"')) return text;
  const json = parse(text);
  if (!isObject(json)) return text;
  const named = [json, json.response, json.message].filter(isObject).filter(({ model }) => typeof model === "string");
  if (typeof named[0]?.model === "string") onServed?.(named[0].model);
  if (named.every(({ model }) => model === asked)) return text;
  for (const each of named as JsonObject[]) each.model = asked;
  return JSON.stringify(json);
}

/** What is behind an answer, or is none, is left as it is. */
function parse(text: string): unknown {
  try {
    return parseExactly(text);
  } catch {
    return undefined;
  }
}
