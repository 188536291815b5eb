/** How many tokens a request will take, before anybody knows: by the length of what is asked, and by what answers came to before. */

export interface TokenEstimate {
  readonly prompt: number;
  /** Most tokens of an answer, as the client says. */
  readonly maxAnswer: number;
  /** Tokens for each character, in texts like these. */
  readonly perCharacter: number;
}

/** Latin letters; most tokenizers make one token of about four. */
const PER_ASCII = 0.25;
/** Chinese, Japanese, Korean: newer tokenizers make less than one of each, older ones more. */
const PER_OTHER = 0.8;
/** A picture, a sound, a file: its text is an encoding, and no measure of it. */
const PER_ATTACHMENT = 800;
/** Text of the letters of base64 that is longer than this, without a blank, is an encoding. */
const LONGEST_WORD = 4_096;
/** How deep a request may be nested before it is not looked into any more. */
const MAX_DEPTH = 32;

const MAX_ANSWER = ["max_tokens", "max_completion_tokens", "max_output_tokens", "n_predict"] as const;
/** What a model reads; the rest of a request steers it. */
const READ = ["messages", "input", "prompt", "system", "instructions", "tools", "functions", "query", "documents"] as const;

/** @param body of the request, parsed. */
export function estimateTokens(body: unknown): TokenEstimate {
  const fields = typeof body === "object" && body !== null ? (body as Record<string, unknown>) : {};
  const text = { ascii: 0, other: 0, attachments: 0 };
  for (const name of READ) measure(fields[name], text, 0);
  const inText = text.ascii * PER_ASCII + text.other * PER_OTHER;
  const characters = text.ascii + text.other;
  const maxima = MAX_ANSWER.map((name) => fields[name]).filter((value) => typeof value === "number" && value > 0);
  return {
    prompt: Math.ceil(inText + text.attachments * PER_ATTACHMENT),
    maxAnswer: maxima.length === 0 ? Number.POSITIVE_INFINITY : Math.max(...(maxima as number[])),
    perCharacter: characters === 0 ? PER_ASCII : inText / characters,
  };
}

function measure(value: unknown, text: { ascii: number; other: number; attachments: number }, depth: number): void {
  if (typeof value === "string") {
    if (isAttachment(value)) text.attachments++;
    else {
      // Two bytes or more for whatever is no ASCII; three for nearly all of it.
      const other = Math.round((Buffer.byteLength(value) - value.length) / 2);
      text.other += other;
      text.ascii += value.length - other;
    }
  } else if (typeof value === "number") {
    // Tokens by their numbers, as embeddings may be asked for.
    text.ascii += 1 / PER_ASCII;
  } else if (typeof value === "object" && value !== null && depth < MAX_DEPTH) {
    for (const part of Object.values(value)) measure(part, text, depth + 1);
  }
}

function isAttachment(text: string): boolean {
  return text.startsWith("data:") || (text.length > LONGEST_WORD && /^[\w+/=-]*$/.test(text.slice(0, LONGEST_WORD)));
}

/** What is expected of an answer of which nothing is known, in tokens. */
const FIRST_GUESS = 256;
/** How much the latest answer says of the next. */
const WEIGHT = 0.1;
/** Clients name the models. */
const MAX_MODELS = 1_000;

/** What answers came to beyond the estimate of their prompts, by model: so that it is right on average, whatever its measure. */
export class AnswerSizes {
  readonly #means = new Map<string, number>();

  expected(model: string, { prompt, maxAnswer }: TokenEstimate): number {
    const answer = Math.min(this.#means.get(model) ?? FIRST_GUESS, maxAnswer);
    return Math.max(1, Math.round(prompt + answer));
  }

  learn(model: string, { prompt }: TokenEstimate, used: number): void {
    const mean = this.#means.get(model);
    const answer = used - prompt;
    this.#means.delete(model);
    const [oldest] = this.#means.keys();
    if (oldest !== undefined && this.#means.size >= MAX_MODELS) this.#means.delete(oldest);
    this.#means.set(model, mean === undefined ? answer : mean + WEIGHT * (answer - mean));
  }
}
