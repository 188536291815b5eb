/** What an answer took in tokens, as its upstream says, where somebody counts them. Streams are looked through for that, not read. */
import type { AttemptOutput, AttemptResult } from "../core/attempt-output.ts";
import type { EventSink } from "../core/event-sink.ts";
import { isObject, type JsonObject, parseObject } from "../dialect/json.ts";

/** In tokens, where the upstream has said it; else in characters of text, where those are known. */
export interface Used {
  readonly tokens: number | undefined;
  readonly characters: number | undefined;
}

/** Some servers name it in every chunk, as null. */
const SAYS_USAGE = /"usage" ?: ?\{/;

export class UsageMeter {
  /** Anthropic's API says what the question took in the first of these, and what the answer took in the last. */
  #first: string | undefined;
  #last: string | undefined;
  #characters = 0;
  readonly #onUsed: (used: Used) => void;

  /** @param onUsed told at the end. */
  constructor(onUsed: (used: Used) => void) {
    this.#onUsed = onUsed;
  }

  /** The output of an attempt, measured. */
  watch(output: AttemptOutput): AttemptOutput {
    return {
      ...output,
      openStream: (headers, openAt) => this.#watch(output.openStream(headers, openAt)),
      nextLeg: (by) => {
        const leg = output.nextLeg(by);
        return { ...leg, sink: this.#watch(leg.sink) };
      },
    };
  }

  /** @param result undefined for an attempt that failed. */
  end(result: AttemptResult | undefined): void {
    this.#onUsed(this.#read(result));
  }

  #read(result: AttemptResult | undefined): Used {
    if (result?.kind === "reply") return { tokens: tokensIn([result.body.toString("utf8")]), characters: undefined };
    // A body that is passed through has not been looked at.
    const characters = result?.kind === "piped" ? undefined : this.#characters;
    return { tokens: tokensIn([this.#first, this.#last]), characters };
  }

  #watch(next: EventSink): EventSink {
    return {
      push: (event, kind) => {
        this.#characters += event.characters ?? 0;
        if (SAYS_USAGE.test(event.data)) {
          this.#first ??= event.data;
          this.#last = event.data;
        }
        next.push(event, kind);
      },
      flush: () => next.flush(),
      finish: () => next.finish(),
    };
  }
}

function tokensIn(texts: readonly (string | undefined)[]): number | undefined {
  const usages = texts.flatMap((text) => {
    const json = text === undefined ? undefined : parseObject(text);
    // In a chunk or an answer, in the response that an event is about, in the message that begins.
    return [json, json?.response, json?.message].flatMap((part) => (isObject(part) && isObject(part.usage) ? [part.usage] : []));
  });
  if (usages.length === 0) return undefined;
  const most = (...names: string[]): number => Math.max(0, ...usages.map((usage) => sumOf(usage, names)));
  const total = most("total_tokens");
  if (total > 0) return total;
  const asked = Math.max(most("prompt_tokens"), most("input_tokens", "cache_creation_input_tokens"));
  const answered = Math.max(most("completion_tokens"), most("output_tokens"));
  // An empty object, or numbers that make no sense, say nothing: that is not an answer which took none.
  return asked + answered || undefined;
}

/** No request takes more. What is counted wrong once must not close a limit for others, and infinity (`1e999`) would do so for ever. */
const MOST_TOKENS = 100_000_000;

function sumOf(usage: JsonObject, names: readonly string[]): number {
  const countOf = (value: unknown): number => (typeof value === "number" && value > 0 && value <= MOST_TOKENS ? value : 0);
  return names.reduce((sum, name) => sum + countOf(usage[name]), 0);
}
