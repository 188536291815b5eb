/** A ChatGLM3 answer event by event, as `predict_stream` of its openai_api_demo/api_server.py yields it. */
import type { DialectScript } from "../dialect-script.ts";
import type { Ask } from "../fault.ts";
import { fin } from "../script.ts";
import { starletteEvent } from "./starlette.ts";

/** `predict_stream` says nothing before the text is longer than this: until then it might be a function call. */
const SILENT_CHARACTERS = 7;

export const chatglm3Dialect: DialectScript = {
  name: "chatglm3",
  // Its first chunk, with the role and no text, is eaten by the `next()` with which the route looks for function calls.
  begin: () => [],
  *text(ask, tokens) {
    const [first, rest] = splitSilence(tokens);
    if (first === undefined) return;
    for (const content of [first, ...rest]) yield starletteEvent(chunk(ask, content, null));
  },
  *finish(ask, tokens) {
    // For a text that short the first thing it yields is [DONE], and that is eaten: a body of no bytes at all (issue #1177).
    if (splitSilence(tokens)[0] === undefined) return;
    // Always `stop`: that max_tokens was reached is not reported. Usage is not either.
    yield starletteEvent(chunk(ask, "", "stop"));
  },
  *terminator(_ask, tokens) {
    if (splitSilence(tokens)[0] !== undefined) yield starletteEvent("[DONE]");
  },
  // It has no words for a failure in mid-stream: the generator's exception closes the connection.
  error: () => [fin],
  answer: (ask, tokens) => ({
    model: ask.model,
    id: "",
    object: "chat.completion",
    choices: [choiceOf(tokens.join(""), null, "stop")],
    created: ask.created,
    usage: usageOf(ask, tokens),
  }),
  errorBody: (_status, message) => ({ detail: message }),
};

/** One chunk of `predict_stream`. The id is empty "for open_source model". */
export function chunk(ask: Ask, content: string, reason: string | null): string {
  const delta = { role: "assistant", content, function_call: null };
  return JSON.stringify({ ...headOf(ask), choices: [{ delta, finish_reason: reason, index: 0 }], created: ask.created });
}

/** One chunk of `predict`, which answers function calls: no `created`, since pydantic leaves out what was not set. */
export function callChunk(ask: Ask, delta: Record<string, unknown>, reason: string | null): string {
  return JSON.stringify({ ...headOf(ask), choices: [{ delta, finish_reason: reason, index: 0 }] });
}

export function choiceOf(content: string, call: unknown, reason: string): Record<string, unknown> {
  return { index: 0, message: { role: "assistant", content, name: null, function_call: call }, finish_reason: reason };
}

export function usageOf(ask: Ask, tokens: readonly string[]): Record<string, number> {
  return { prompt_tokens: ask.promptTokens, total_tokens: ask.promptTokens + tokens.length, completion_tokens: tokens.length };
}

/** The first text that is longer than the silence, and what follows it; undefined when the whole text is not. */
function splitSilence(tokens: readonly string[]): [first: string | undefined, rest: readonly string[]] {
  let text = "";
  for (const [i, token] of tokens.entries()) {
    text += token;
    // Python counts code points.
    if ([...text].length > SILENT_CHARACTERS) return [text, tokens.slice(i + 1)];
  }
  return [undefined, []];
}

function headOf(ask: Ask): Record<string, unknown> {
  return { model: ask.model, id: "", object: "chat.completion.chunk" };
}
