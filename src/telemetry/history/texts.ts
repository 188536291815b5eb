/** What was asked and answered of late, for the dashboard, and only where `dashboard.text` says so; bounded. */
import type { Exchange } from "../../core/exchange.ts";
import type { AnswerWatch, TextWatch } from "../../core/text-watch.ts";
import { type PromptMessage, promptOf, type Words, wordsOfAnswer, wordsOfEvent } from "../../dialect/words.ts";
import type { TextView } from "./view.ts";

/** In characters, of all that is kept: the oldest goes first. */
const MAX_TOTAL = 4 * 1024 ** 2;
/** Of one prompt: the last messages, since what is asked stands at the end. */
const MAX_PROMPT = 16_384;
const MAX_MESSAGE = 8_192;
const MAX_MESSAGES = 100;
const MAX_ROLE = 40;
/** Of one answer: its beginning, and its end, where it may have broken. */
const MAX_BEGINNING = 12_288;
const MAX_END = 4_096;

export interface Texts extends TextWatch {
  /** Undefined where nothing is kept of it, or not any more. */
  find(id: string): TextView | undefined;
}

export function createTexts(): Texts {
  const kept = new Map<string, KeptText>();
  let total = 0;

  function settle(text: KeptText): void {
    total += text.count();
    for (const [id, oldest] of kept) {
      if (total <= MAX_TOTAL) break;
      kept.delete(id);
      total -= oldest.counted;
    }
  }

  return {
    find: (id) => kept.get(id)?.view,
    begin(exchange): AnswerWatch {
      const text = new KeptText(exchange);
      kept.set(exchange.id, text);
      settle(text);
      const add = (read: () => readonly Words[]): void => {
        try {
          if (!kept.has(exchange.id)) return;
          for (const words of read()) text.add(words);
          settle(text);
        } catch {
          // Nested beyond measure: it is shown as far as it was read.
        }
      };
      return {
        event: ({ data }) => add(() => wordsOfEvent(data)),
        whole: (body) => add(() => wordsOfAnswer(body.toString("utf8"))),
      };
    },
  };
}

class KeptText {
  readonly #prompt: TextView["prompt"];
  readonly #promptLeftOut: number;
  readonly #promptLength: number;
  readonly #beginning: Words[] = [];
  #beginningLength = 0;
  #end = "";
  /** Characters of the answer so far. */
  #given = 0;
  #counted = 0;

  constructor({ request }: Exchange) {
    const messages = readPrompt(request);
    this.#prompt = lastOf(messages);
    this.#promptLeftOut = messages.length - this.#prompt.length;
    this.#promptLength = this.#prompt.reduce((sum, { text }) => sum + text.length, 0);
  }

  get view(): TextView {
    const end = this.#end.slice(-MAX_END);
    const leftOut = this.#given - this.#beginningLength - end.length;
    return { prompt: this.#prompt, promptLeftOut: this.#promptLeftOut, answer: this.#beginning, leftOut, end };
  }

  add({ kind, text }: Words): void {
    this.#given += text.length;
    const fits = text.slice(0, MAX_BEGINNING - this.#beginningLength);
    this.#end = (this.#end + text.slice(fits.length)).slice(-2 * MAX_END);
    if (fits === "") return;
    this.#beginningLength += fits.length;
    const last = this.#beginning.at(-1);
    if (last?.kind === kind) this.#beginning[this.#beginning.length - 1] = { kind, text: last.text + fits };
    else this.#beginning.push({ kind, text: fits });
  }

  /** What it takes, in characters, as it was counted last. */
  get counted(): number {
    return this.#counted;
  }

  /** @returns by how much it has grown since. */
  count(): number {
    const before = this.#counted;
    this.#counted = this.#promptLength + this.#beginningLength + this.#end.length;
    return this.#counted - before;
  }
}

function lastOf(messages: readonly PromptMessage[]): TextView["prompt"] {
  const kept: TextView["prompt"][number][] = [];
  let left = MAX_PROMPT;
  for (const { role, text } of messages.toReversed()) {
    if (left <= 0 || kept.length === MAX_MESSAGES) break;
    const shown = copy(text.slice(0, Math.min(MAX_MESSAGE, left)));
    left -= shown.length;
    kept.unshift({ role: copy(role.slice(0, MAX_ROLE)), text: shown, leftOut: text.length - shown.length });
  }
  return kept;
}

function readPrompt({ body, plain }: Exchange["request"]): readonly PromptMessage[] {
  const bytes = plain ?? body;
  if (!Buffer.isBuffer(bytes)) return [];
  try {
    return promptOf(JSON.parse(bytes.toString("utf8")));
  } catch {
    return [];
  }
}

/** A part of a long text would keep all of it in memory. */
function copy(text: string): string {
  return Buffer.from(text).toString();
}
