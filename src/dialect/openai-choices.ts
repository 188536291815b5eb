/** What the dialects with `choices` have in common: whole when every choice has a good finish_reason and no error came first. */
import type { DialectRequest, StreamEnd, StreamInspector } from "../core/dialect.ts";
import { Failure } from "../core/failure.ts";
import type { StreamEvent, Verdict } from "../core/stream-event.ts";
import { EventTemplate } from "./event-template.ts";
import { readFinish, unknownFinish } from "./finish-word.ts";
import { holdsSomething, isNothing, isObject, type JsonObject, objectsOf } from "./json.ts";
import { readCount, readFlag } from "./lax-values.ts";
import { findOpenAiError, notAnObject, reportedError } from "./openai-error.ts";
import { StrayLines } from "./stray-lines.ts";

export const DONE = "[DONE]";

/** No answer has so many choices, unless so many were asked for: each costs memory for as long as its stream lives. */
const MAX_CHOICES = 1_024;

/** What one choice of a chunk, or of an answer, brings. */
export interface ChoiceContent {
  /** Characters of text. */
  readonly characters: number;
  readonly hasContent: boolean;
  readonly hasToolCall: boolean;
  /** It is a part of the answer itself, and not what is known about one that has ended: sources, a signature. @defaultValue hasContent */
  readonly goesOn?: boolean;
  /** Bytes of what a tool is to be called with. */
  readonly toolBytes: number;
}

export type ReadChoice = (choice: JsonObject) => ChoiceContent;

interface ChoiceState {
  finished: boolean;
  hasOpenToolCall: boolean;
  /** The highest index, and the last id, of its tool calls. */
  callIndex: number;
  callId: unknown;
}

export class ChoicesInspector implements StreamInspector {
  readonly #asked: DialectRequest;
  readonly #readChoice: ReadChoice;
  readonly #stray = new StrayLines({
    findError: findOpenAiError,
    isPart: ({ choices, delta, text }) => choices !== undefined || delta !== undefined || typeof text === "string",
  });
  readonly #template = new EventTemplate();
  /** By choice index. */
  readonly #choices = new Map<number, ChoiceState>();
  #open = 0;
  #openToolCalls = 0;
  #filtered = false;
  #distrusted = false;
  hasContent = false;
  characters = 0;
  toolBytes = 0;
  warning: string | undefined;
  /** A choice finished twice, or together with content: what its finishes mean is not known. */
  #hasOddFinish = false;
  toolCalls = 0;

  constructor(asked: DialectRequest, readChoice: ReadChoice) {
    this.#asked = asked;
    this.#readChoice = readChoice;
  }

  /** A choice went on after its finish, so that no finish of this stream proves anything any more: only its terminator does. */
  get isDistrusted(): boolean {
    return this.#distrusted;
  }

  onEvent(streamEvent: StreamEvent): Verdict {
    const debris = this.#stray.close();
    if (debris !== undefined) return debris;
    const chunk = this.#template.match(streamEvent);
    if (chunk !== undefined) return this.#judge(chunk);
    const { event, data } = streamEvent;
    if (event === "error") return reportedError(data, this.#stray.status);
    if (data.charCodeAt(0) !== 0x7b /* { */) {
      const text = data.trim();
      if (text.startsWith(DONE)) return "terminator";
      // Keep-alives of sorts, which clients would fail to read.
      if (isNothing(text)) return "ignored";
      if (text.startsWith("[ERROR]")) return reportedError(text);
    }
    if (event === "ping") return "ignored";
    const json = this.#template.parse(streamEvent);
    if (json === undefined) return new Failure("stream_corrupted", "the upstream sent an event that is not a JSON object");
    return this.#judge(json);
  }

  #judge(json: JsonObject): Verdict {
    return findOpenAiError(json, this.#stray.status) ?? this.onChunk(json);
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
      if (state === undefined) {
        return new Failure("stream_corrupted", `the upstream's answer has more than ${MAX_CHOICES} choices`, {
          scope: "never",
        });
      }
      const finish = readFinish(choice.finish_reason);
      if (finish instanceof Failure) return finish;
      const content = this.#readChoice(choice);
      this.#onContent(state, content);
      if (content.hasToolCall) verdict = "tool-call";
      else if (content.hasContent && verdict === "meta") verdict = "content";
      if (content.hasToolCall) this.toolCalls += countNewCalls(choice, state);
      if (finish === undefined) continue;
      if (state.finished || content.hasContent || content.hasToolCall) this.#hasOddFinish = true;
      if (finish === "filtered") this.#filtered = true;
      if (finish === "unknown") this.warning = unknownFinish(choice.finish_reason);
      if (!state.finished) this.#open--;
      state.finished = true;
      if (state.hasOpenToolCall) this.#openToolCalls--;
      state.hasOpenToolCall = false;
    }
    if (verdict !== "meta") this.hasContent = true;
    return verdict;
  }

  #onContent(state: ChoiceState, content: ChoiceContent): void {
    const { characters, hasContent, hasToolCall, goesOn = hasContent, toolBytes } = content;
    this.characters += characters;
    this.toolBytes += toolBytes;
    if (state.finished && (hasToolCall || goesOn)) {
      this.#distrusted = true;
      // What came before this was not the end.
      this.#stray.hasDone = false;
    }
    if (hasToolCall && !state.hasOpenToolCall) {
      state.hasOpenToolCall = true;
      this.#openToolCalls++;
    }
  }

  /** Undefined where there are too many. */
  #stateOf(index: number): ChoiceState | undefined {
    let state = this.#choices.get(index);
    if (state === undefined) {
      if (this.#choices.size >= Math.max(MAX_CHOICES, this.#asked.choices)) return undefined;
      state = { finished: false, hasOpenToolCall: false, callIndex: -1, callId: undefined };
      this.#choices.set(index, state);
      this.#open++;
    }
    return state;
  }

  get isFinished(): boolean {
    if (this.#hasOddFinish || this.#open > 0 || this.#openToolCalls > 0 || this.#distrusted) return false;
    return this.#choices.size >= this.#asked.choices;
  }

  onStrayLine(line: string): Failure | undefined {
    return this.#stray.read(line);
  }

  hasOpenToolCall(): boolean {
    return this.#openToolCalls > 0;
  }

  onEnd(end: StreamEnd): Failure | undefined {
    const cause = this.#stray.close() ?? end.cause;
    const terminated = end.terminated || this.#stray.hasDone;
    const allFinished = this.#choices.size > 0 && this.#open === 0 && this.#openToolCalls === 0;
    const finished = allFinished || (end.terminatorFinishes === true && terminated && this.hasContent);
    // With n choices asked for and fewer seen, or more said after a finish, only the terminator proves that no more would have come.
    const needsTerminator = end.requireTerminator || this.#distrusted || this.#choices.size < this.#asked.choices;
    if (finished && (terminated || !needsTerminator)) {
      if (cause !== undefined) this.warning ??= `behind the end of the answer: ${cause.message}`;
      if (this.hasContent || this.#filtered || end.acceptEmpty) return undefined;
      return new Failure("empty_stream", "the upstream ended its answer without any content", { formallyWhole: true });
    }
    if (cause !== undefined) return cause;
    if (!this.hasContent) {
      if (this.#stray.hasText)
        return new Failure("stream_corrupted", "the upstream's stream holds text that is not SSE, and no answer");
      return new Failure("empty_stream", "the upstream answered 200 and sent no content");
    }
    return truncated(terminated);
  }
}

function truncated(terminated: boolean): Failure {
  if (!terminated) return new Failure("stream_truncated", "the upstream ended its stream before its answer had finished");
  const advice = "if it never sends a finish_reason, set `finish: done` for it";
  return new Failure("stream_truncated", `the upstream sent ${DONE} before its answer had finished (${advice})`);
}

/** Calls of a choice that begin in this chunk: each has an index of its own, or, where a server numbers none, an id. */
function countNewCalls({ delta }: JsonObject, state: ChoiceState): number {
  let begun = 0;
  for (const { index, id } of objectsOf(isObject(delta) ? delta.tool_calls : undefined)) {
    const isNext = typeof index === "number" && index > state.callIndex;
    if (isNext || (holdsSomething(id) && id !== state.callId)) begun++;
    if (isNext) state.callIndex = index;
    if (holdsSomething(id)) state.callId = id;
  }
  return begun;
}

/** Judges an answer that was not streamed. `undefined` when it is whole. */
export function inspectChoices(
  answer: unknown,
  acceptEmpty: boolean,
  request: DialectRequest,
  readChoice: ReadChoice,
): Failure | undefined {
  if (answer === null) return new Failure("empty_stream", "the upstream answered 200 with a body of `null`");
  if (!isObject(answer)) return notAnObject(answer);
  const error = findOpenAiError(answer);
  if (error !== undefined) return error;
  if (!Array.isArray(answer.choices) || answer.choices.length === 0) {
    return new Failure("empty_stream", "the upstream's answer has no choices");
  }
  let hasContent = false;
  for (const choice of answer.choices as unknown[]) {
    if (!isObject(choice)) return new Failure("stream_corrupted", "the upstream's answer has a choice that is not an object");
    const finish = readFinish(choice.finish_reason);
    if (finish instanceof Failure) return finish;
    const content = readChoice(choice);
    const says = content.hasContent || content.hasToolCall;
    // Some servers have no such field, and JSON is whole by itself; but a stream of it would end without a finish. Null says "not yet".
    if (finish === undefined && (choice.finish_reason !== undefined || request.stream || !says)) {
      return new Failure("stream_truncated", "the upstream's answer has a choice that is not finished");
    }
    if (says || finish === "filtered") hasContent = true;
  }
  if (hasContent || acceptEmpty) return undefined;
  return new Failure("empty_stream", "the upstream's answer has no content", { formallyWhole: true });
}

/** What is odd about an answer that is whole. */
export function warnOfChoices(answer: unknown): string | undefined {
  const odd = choicesOf(answer).find(({ finish_reason }) => readFinish(finish_reason) === "unknown");
  return odd && unknownFinish(odd.finish_reason);
}

export function saysFinished(answer: unknown): boolean {
  const choices = choicesOf(answer);
  return choices.length > 0 && choices.every(({ finish_reason }) => readFinish(finish_reason) !== undefined);
}

function choicesOf(answer: unknown): JsonObject[] {
  return isObject(answer) ? objectsOf(answer.choices) : [];
}

/** @throws Failure `invalid_request` when the body cannot be a request. */
export function readRequest(body: unknown): { request: DialectRequest; fields: JsonObject } {
  if (!isObject(body)) throw new Failure("invalid_request", "The body must be a JSON object.");
  const options = isObject(body.stream_options) ? body.stream_options : {};
  const request = {
    stream: readFlag(body.stream),
    model: typeof body.model === "string" ? body.model : undefined,
    choices: readCount(body.n),
    includeUsage: readFlag(options.include_usage),
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
  if (stream && readCount(fields.best_of) > 1) return undefined;
  if (!stream) return { ...fields, stream: false };
  return {
    ...fields,
    stream: true,
    stream_options: { ...(isObject(stream_options) ? stream_options : {}), include_usage: true },
  };
}
