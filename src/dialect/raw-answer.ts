/**
 * ChatGLM3 streams an answer in which `get_` stands up to there, then sends the whole of it once more as one raw line, and ends:
 * no JSON, no finish, no `[DONE]` (`contains_custom_function` in its openai_api_demo). What the client has is that line's beginning,
 * and the line is the whole answer: so the rest of it can be told, and that it has finished.
 */
import type { StreamEnd, StreamInspector } from "../core/dialect.ts";
import { Failure } from "../core/failure.ts";
import type { StreamEvent, Verdict } from "../core/stream-event.ts";
import { isObject, objectsOf, parseObject } from "./json.ts";

/** Watches a chat as `inspector` does, and supplies what follows a raw line. */
export class RawAnswerInspector implements StreamInspector {
  readonly #inner: StreamInspector;
  readonly #push: (event: StreamEvent) => void;
  /** Of the one choice that there is. */
  #text = "";
  /** More than one choice, or a call of a tool: a raw line would not be all of it. */
  #isPlain = true;
  #lastChunk: StreamEvent | undefined;
  #raw: string | undefined;

  /** @param push takes the events that are supplied, before the end is judged. */
  constructor(inspector: StreamInspector, push: (event: StreamEvent) => void) {
    this.#inner = inspector;
    this.#push = push;
  }

  get hasContent(): boolean {
    return this.#inner.hasContent;
  }

  get characters(): number {
    return this.#inner.characters;
  }

  get toolBytes(): number {
    return this.#inner.toolBytes ?? 0;
  }

  onEvent(event: StreamEvent): Verdict {
    const { data } = event;
    // It is the last that is said.
    if (this.#raw !== undefined && data.trim() !== "") return behindRaw();
    const chunk = parseObject(data);
    if (this.#isRaw(event, chunk !== undefined && Array.isArray(chunk.choices))) {
      this.#raw = data;
      return "ignored";
    }
    const verdict = this.#inner.onEvent(event);
    if (chunk !== undefined && Array.isArray(chunk.choices)) this.#remember(event, chunk.choices, verdict);
    return verdict;
  }

  /** Where nothing has been said before, asking again is the surer way. */
  #isRaw({ event, data }: StreamEvent, isChunk: boolean): boolean {
    if (isChunk || event !== undefined || !this.#isPlain || this.#text === "") return false;
    return data.length >= this.#text.length && data.startsWith(this.#text);
  }

  #remember(event: StreamEvent, choices: readonly unknown[], verdict: Verdict): void {
    const [choice, ...others] = objectsOf(choices);
    const delta = choice?.delta;
    if (others.length > 0 || (choice !== undefined && Number(choice.index ?? 0) !== 0) || verdict === "tool-call") {
      this.#isPlain = false;
    }
    if (!isObject(delta)) return;
    if (typeof delta.content === "string") this.#text += delta.content;
    this.#lastChunk = event;
  }

  onStrayLine(line: string): Failure | undefined {
    return this.#raw === undefined ? this.#inner.onStrayLine(line) : behindRaw();
  }

  hasOpenToolCall(): boolean {
    return this.#inner.hasOpenToolCall();
  }

  onEnd(end: StreamEnd): Failure | undefined {
    const isWhole = end.cause === undefined && !end.torn && !end.requireTerminator;
    if (this.#raw !== undefined && isWhole) {
      const rest = this.#raw.slice(this.#text.length);
      if (rest !== "") this.#supply({ content: rest }, null);
      this.#supply({}, "stop");
    }
    return this.#inner.onEnd(end);
  }

  /** As the upstream's own last chunk was, but for what it says. */
  #supply(delta: object, finish_reason: string | null): void {
    const { data } = this.#lastChunk as StreamEvent;
    const { usage: _usage, ...fields } = parseObject(data) ?? {};
    const event: StreamEvent = {
      event: undefined,
      data: JSON.stringify({ ...fields, choices: [{ index: 0, delta, finish_reason }] }),
    };
    const before = this.#inner.characters;
    this.#inner.onEvent(event);
    event.characters = this.#inner.characters - before;
    this.#push(event);
  }
}

function behindRaw(): Failure {
  return new Failure("stream_corrupted", "the upstream sent more behind a raw line that repeats its answer");
}
