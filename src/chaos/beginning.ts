/** The beginning of the answer that a request already holds, when it asks for the rest. */
import { isObject } from "../dialect/json.ts";
import { ANSWER, TOKENS } from "./answer.ts";

type Fields = Readonly<Record<string, unknown>>;

/** Less of it could be an accident. */
const SHORTEST = 8;

/** The text of the last message, if it is the assistant's; of a prompt, what it ends with of the answer. Undefined for a new question. */
export function beginningIn({ messages, prompt }: Fields): string | undefined {
  const last: unknown = Array.isArray(messages) ? messages.at(-1) : undefined;
  if (isObject(last) && last.role === "assistant" && typeof last.content === "string") return last.content;
  if (typeof prompt !== "string") return undefined;
  for (const whole of [ANSWER, ...RECITALS]) {
    for (let length = whole.length; length >= SHORTEST; length--) {
      if (prompt.endsWith(whole.slice(0, length))) return whole.slice(0, length);
    }
  }
  return undefined;
}

/** What a request and the one for the rest of its answer have in common: all but the beginning, and how much may still be said. */
export function questionIn(fields: Fields): Fields {
  const beginning = beginningIn(fields);
  const { max_tokens: _most, max_completion_tokens: _alsoMost, ...rest } = fields;
  if (beginning === undefined) return rest;
  const { messages, prompt, continue_final_message: _continue, add_generation_prompt: _prompt, echo: _echo, ...others } = rest;
  return {
    ...others,
    ...(Array.isArray(messages) ? { messages: messages.slice(0, -1) } : {}),
    ...(typeof prompt === "string" ? { prompt: prompt.slice(0, -beginning.length) } : {}),
  };
}

/** What anybody can go on with who has begun it: how a server is asked whether it goes on at all. */
const RECITALS: readonly string[] = [
  "one, two, three, four, five, six, seven, eight, nine, ten",
  "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11",
  "A B C D E F G H I J K L",
  "echo echo echo echo echo echo echo echo",
  "[1, 2, 3, 4, 5, 6, 7, 8]",
];

/** What follows this beginning of the answer, in the pieces a model would send; the whole answer behind any other. */
export function restAfter(beginning: string): readonly string[] {
  const recital = RECITALS.find((known) => known.startsWith(beginning));
  if (recital !== undefined) return [recital.slice(beginning.length)];
  if (!ANSWER.startsWith(beginning)) return TOKENS;
  const rest: string[] = [];
  let at = 0;
  for (const token of TOKENS) {
    const from = Math.max(0, beginning.length - at);
    at += token.length;
    if (from < token.length) rest.push(token.slice(from));
  }
  return rest;
}
