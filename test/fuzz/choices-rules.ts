/** Chat completions, the older completions, and Chatchat's routes that look like them: choices that finish. */
import type { End } from "./case.ts";
import { isError, isObject, type JsonObject, objectIn, type Rules, says, saysNothing, type Use } from "./rules.ts";
import { BARE_DONE, type SseEvent } from "./strict-sse.ts";

const FINISHES = new Set(["stop", "length", "tool_calls", "function_call", "content_filter"]);
const OTHER_FINISHES = new Set(
  "eos eos_token stop_sequence model_length end_turn max_tokens tool_use sensitive".split(" ").concat([...FINISHES]),
);

export class ChoicesRules implements Rules {
  readonly allowsStrayLines = true;
  readonly #asked: number;
  readonly #hasDone: boolean;
  readonly #finished = new Map<number, boolean>();
  #wentOn = false;
  /** The terminator of a model server, where the dialect has none of its own. */
  #relayedDone = false;
  /** The terminator came without the name of its field, and nothing has come behind it. */
  #bareDone = false;
  #hasContent = false;

  /** @param hasDone the dialect has `[DONE]`. */
  constructor(asked: number, hasDone: boolean) {
    this.#asked = asked;
    this.#hasDone = hasDone;
  }

  onEvent({ event, data }: SseEvent, note: (odd: string) => void): Use {
    const text = data.trim();
    if (event === "error") note("an error event");
    if (text === "") return noted(note, "blank data", "drop");
    if (text.startsWith("[DONE]")) {
      if (text !== "[DONE]") note("[DONE] and more");
      if (this.#hasDone) return "end";
      this.#relayedDone = true;
      return noted(note, "[DONE] where the dialect has none", "drop");
    }
    if (saysNothing(text)) return noted(note, "data that holds nothing", "drop");
    if (event === "ping") return noted(note, "a ping", "drop");
    if (event !== undefined && event !== "error") note("an event name");
    const json = objectIn(data, note);
    if (json === undefined) return "keep";
    if (isError(json)) note("an error");
    if (!this.#hasDone && typeof json.code === "number" && json.code !== 200 && typeof json.msg === "string") note("an error");
    if (Array.isArray(json.choices)) for (const choice of json.choices) this.#onChoice(choice, note);
    else note("no choices");
    return "keep";
  }

  onOdd(odd: string): void {
    if (odd === BARE_DONE) this.#bareDone = true;
  }

  #onChoice(choice: unknown, note: (odd: string) => void): void {
    if (!isObject(choice)) {
      note("an odd choice");
      return;
    }
    if (choice.index !== undefined && !Number.isSafeInteger(choice.index)) note("an odd index");
    const index = Number(choice.index ?? 0) || 0;
    const before = this.#finished.get(index) ?? false;
    const content = saysSomething(choice);
    if (content) this.#hasContent = true;
    if (before && content) {
      this.#wentOn = true;
      this.#bareDone = false;
    }
    this.#finished.set(index, before || readFinish(choice.finish_reason, note));
    if (choice.finish_reason === "content_filter") this.#hasContent = true;
  }

  isPart(): boolean {
    return false;
  }

  isFinished(): boolean {
    return this.#finished.size >= this.#asked && [...this.#finished.values()].every(Boolean);
  }

  atEnd({ ended, how, torn }: { ended: boolean; how: End; torn: boolean }, note: (odd: string) => void): void {
    const isCleanEnd = !this.#hasDone && how === "clean" && !torn;
    if (this.#finished.size === 0 || ![...this.#finished.values()].every(Boolean)) note("a choice without a finish");
    if (this.#finished.size < this.#asked) note(ended ? "fewer choices than asked, then [DONE]" : "fewer choices than asked");
    if (this.#wentOn)
      note(
        ended || this.#relayedDone || this.#bareDone
          ? "more after a finish, then [DONE]"
          : `more after a finish${isCleanEnd ? ", then a clean end" : ""}`,
      );
    if (!this.#hasContent) note("no content");
    if (!ended && how !== "clean") note("finished, then a cut");
    if (!ended && torn) note("finished, then something odd");
  }
}

function noted(note: (odd: string) => void, odd: string, use: Use): Use {
  note(odd);
  return use;
}

function saysSomething(choice: JsonObject): boolean {
  if (says(choice.text)) return true;
  const delta = choice.delta ?? choice.message;
  return isObject(delta) && Object.entries(delta).some(([key, value]) => key !== "role" && says(value));
}

function readFinish(reason: unknown, note: (odd: string) => void): boolean {
  if (typeof reason !== "string") return false;
  if (FINISHES.has(reason)) return true;
  if (/^(null|none)?$/i.test(reason)) {
    note("a null in words");
    return false;
  }
  note(OTHER_FINISHES.has(reason.toLowerCase()) ? "another word for a finish" : "an unknown finish");
  return true;
}
