/** What the dialects with `choices` have in common: whole when every choice has a good finish_reason and no error came first. */
import type { DialectRequest, StreamEnd, StreamInspector } from "../core/dialect.ts";
import { Failure } from "../core/failure.ts";
import type { StreamEvent, Verdict } from "../core/stream-event.ts";
import { holdsSomething, isObject, type JsonObject, parseObject, strayObject } from "./json.ts";
import { badFinish, findOpenAiError, partOnStrayLine, reportedError } from "./openai-error.ts";

export const DONE = "[DONE]";

/** What each name for a good end means: OpenAI's own, then those of servers that imitate its API but for these words. */
const GOOD_FINISH: ReadonlyMap<string, "whole" | "filtered"> = new Map([
  ["stop", "whole"],
  ["length", "whole"],
  ["tool_calls", "whole"],
  ["function_call", "whole"],
  ["content_filter", "filtered"],
  // Together.
  ["eos", "whole"],
  // TGI.
  ["eos_token", "whole"],
  ["stop_sequence", "whole"],
  // Mistral.
  ["model_length", "whole"],
  // Gateways before Anthropic's models.
  ["end_turn", "whole"],
  ["max_tokens", "whole"],
  ["tool_use", "whole"],
  // Zhipu.
  ["sensitive", "filtered"],
]);

/** How a choice ended; undefined while it has not. Gemini's gateways write the reasons in capitals. */
export function readFinish(reason: unknown): "whole" | "filtered" | Failure | undefined {
  // "null" is a Python server's None that became text.
  if (typeof reason !== "string" || /^(?:null|none)?$/i.test(reason)) return undefined;
  return GOOD_FINISH.get(reason) ?? GOOD_FINISH.get(reason.toLowerCase()) ?? badFinish(reason);
}

/** What one choice of a chunk, or of an answer, brings. */
export interface ChoiceContent {
  /** Characters of text. */
  readonly characters: number;
  readonly hasContent: boolean;
  readonly hasToolCall: boolean;
  /** Bytes of what a tool is to be called with. */
  readonly toolBytes: number;
}

export type ReadChoice = (choice: JsonObject) => ChoiceContent;

interface ChoiceState {
  finished: boolean;
  /** It has said more since it finished: what it finished with proves nothing any more. */
  goesOn: boolean;
  hasOpenToolCall: boolean;
}

export class ChoicesInspector implements StreamInspector {
  readonly #asked: DialectRequest;
  readonly #readChoice: ReadChoice;
  /** By choice index. */
  readonly #choices = new Map<number, ChoiceState>();
  #open = 0;
  #openToolCalls = 0;
  #filtered = false;
  #goingOn = 0;
  #strayLines = 0;
  hasContent = false;
  characters = 0;
  toolBytes = 0;

  constructor(asked: DialectRequest, readChoice: ReadChoice) {
    this.#asked = asked;
    this.#readChoice = readChoice;
  }

  onEvent({ event, data }: StreamEvent): Verdict {
    if (event === "error") return reportedError(data);
    if (data.charCodeAt(0) !== 0x7b /* { */) {
      const text = data.trim();
      if (text.startsWith(DONE)) return "terminator";
      // A blank `data:` line is a keep-alive of sorts; clients would fail to parse it.
      if (text === "") return "ignored";
      if (text.startsWith("[ERROR]")) return reportedError(text);
    }
    if (event === "ping") return "ignored";
    const json = parseObject(data);
    if (json === undefined) return new Failure("stream_corrupted", "the upstream sent an event that is not a JSON object");
    return findOpenAiError(json) ?? this.onChunk(json);
  }

  /** A chunk that is no error. */
  onChunk(chunk: JsonObject): Verdict {
    // No choices: the usage chunk at the end, Azure's prompt_filter_results at the beginning.
    if (!Array.isArray(chunk.choices)) return "meta";
    let verdict: Verdict = "meta";
    for (const choice of chunk.choices as unknown[]) {
      if (!isObject(choice)) continue;
      // Some servers write their numbers as text.
      const state = this.#stateOf(Number(choice.index ?? 0) || 0);
      const finish = readFinish(choice.finish_reason);
      if (finish instanceof Failure) return finish;
      const { characters, hasContent, hasToolCall, toolBytes } = this.#readChoice(choice);
      this.characters += characters;
      this.toolBytes += toolBytes;
      if (hasToolCall) verdict = "tool-call";
      else if (hasContent && verdict === "meta") verdict = "content";
      if (state.finished && !state.goesOn && (hasToolCall || characters > 0)) {
        state.goesOn = true;
        this.#goingOn++;
      }
      if (hasToolCall && !state.hasOpenToolCall) {
        state.hasOpenToolCall = true;
        this.#openToolCalls++;
      }
      if (finish === undefined) continue;
      if (finish === "filtered") this.#filtered = true;
      if (!state.finished) this.#open--;
      if (state.goesOn) this.#goingOn--;
      state.finished = true;
      state.goesOn = false;
      if (state.hasOpenToolCall) this.#openToolCalls--;
      state.hasOpenToolCall = false;
    }
    if (verdict !== "meta") this.hasContent = true;
    return verdict;
  }

  #stateOf(index: number): ChoiceState {
    let state = this.#choices.get(index);
    if (state === undefined) {
      state = { finished: false, goesOn: false, hasOpenToolCall: false };
      this.#choices.set(index, state);
      this.#open++;
    }
    return state;
  }

  onStrayLine(line: string): Failure | undefined {
    this.#strayLines++;
    // llama.cpp before PR #16109 sent `error: {…}` as a field of its own.
    if (line.startsWith("error:")) return reportedError(line.slice("error:".length));
    const json = strayObject(line);
    return json && (findOpenAiError(json) ?? (json.choices === undefined ? undefined : partOnStrayLine()));
  }

  hasOpenToolCall(): boolean {
    return this.#openToolCalls > 0;
  }

  onEnd(end: StreamEnd): Failure | undefined {
    const finished = this.#choices.size > 0 && this.#open === 0 && this.#openToolCalls === 0;
    // With n choices asked for and fewer seen, or more said after a finish, only the terminator proves that no more would have come.
    const needsTerminator = end.requireTerminator || this.#goingOn > 0 || this.#choices.size < this.#asked.choices;
    const complete = end.terminated || !needsTerminator;
    if (finished && complete) {
      if (this.hasContent || this.#filtered || end.acceptEmpty) return undefined;
      return new Failure("empty_stream", "the upstream ended its answer without any content", { formallyWhole: true });
    }
    if (end.cause !== undefined) return end.cause;
    if (!this.hasContent) {
      if (this.#strayLines > 0)
        return new Failure("stream_corrupted", "the upstream's stream holds text that is not SSE, and no answer");
      return new Failure("empty_stream", "the upstream answered 200 and sent no content");
    }
    const how = end.terminated ? `sent ${DONE}` : "ended its stream";
    return new Failure("stream_truncated", `the upstream ${how} before its answer had finished`);
  }
}

/** Judges an answer that was not streamed. `undefined` when it is whole. */
export function inspectChoices(answer: unknown, acceptEmpty: boolean, readChoice: ReadChoice): Failure | undefined {
  if (answer === null) return new Failure("empty_stream", "the upstream answered 200 with a body of `null`");
  if (!isObject(answer)) return new Failure("stream_corrupted", "the upstream's answer is not a JSON object");
  const error = findOpenAiError(answer);
  if (error !== undefined) return error;
  if (!Array.isArray(answer.choices) || answer.choices.length === 0) {
    return new Failure("empty_stream", "the upstream's answer has no choices");
  }
  let hasContent = false;
  for (const choice of answer.choices as unknown[]) {
    if (!isObject(choice)) return new Failure("stream_corrupted", "the upstream's answer has a choice that is not an object");
    const finish = readFinish(choice.finish_reason);
    if (finish === undefined) {
      return new Failure("stream_truncated", "the upstream's answer has a choice that is not finished");
    }
    if (finish instanceof Failure) return finish;
    const content = readChoice(choice);
    if (content.hasContent || content.hasToolCall || finish === "filtered") hasContent = true;
  }
  if (hasContent || acceptEmpty) return undefined;
  return new Failure("empty_stream", "the upstream's answer has no content", { formallyWhole: true });
}

const TRUE = /^(?:true|t|yes|y|on|1)$/i;

/** @throws Failure `invalid_request` when the body cannot be a request. */
export function readRequest(body: unknown): { request: DialectRequest; fields: JsonObject } {
  if (!isObject(body)) throw new Failure("invalid_request", "The body must be a JSON object.");
  const options = isObject(body.stream_options) ? body.stream_options : {};
  const request = {
    // Servers on pydantic take all of these for true, and would answer with a stream.
    stream: body.stream === true || body.stream === 1 || (typeof body.stream === "string" && TRUE.test(body.stream)),
    model: typeof body.model === "string" ? body.model : undefined,
    choices: typeof body.n === "number" && body.n > 1 ? body.n : 1,
    includeUsage: options.include_usage === true,
    hasTools: holdsSomething(body.tools) || holdsSomething(body.functions),
  };
  return { request, fields: body };
}

/**
 * The same request streamed or not. Streamed it asks for the usage, which an answer at once would have had.
 * Undefined for what cannot be streamed: the best of several is known only when all are there.
 */
export function askChoicesStreamed(body: unknown, stream: boolean): JsonObject | undefined {
  const { stream_options, ...fields } = isObject(body) ? body : {};
  if (stream && typeof fields.best_of === "number" && fields.best_of > 1) return undefined;
  if (!stream) return { ...fields, stream: false };
  return {
    ...fields,
    stream: true,
    stream_options: { ...(isObject(stream_options) ? stream_options : {}), include_usage: true },
  };
}
