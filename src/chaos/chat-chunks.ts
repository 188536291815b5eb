/** The objects of OpenAI's chat completions API, as a faultless server would send them. */
import { ANSWER, TOKENS } from "./answer.ts";
import type { Ask } from "./fault.ts";

const FINGERPRINT = "fp_perennial";

interface Choice {
  readonly index: number;
  readonly delta: Readonly<Record<string, unknown>>;
  readonly finish_reason: string | null;
}

/** One `chat.completion.chunk`. With `include_usage` OpenAI sends `usage: null` on all but the last. */
export function chunk(ask: Ask, choices: readonly Choice[], extra: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    id: ask.id,
    object: "chat.completion.chunk",
    created: ask.created,
    model: ask.model,
    system_fingerprint: FINGERPRINT,
    choices: choices.map((choice) => ({ ...choice, logprobs: null })),
    ...(ask.includeUsage ? { usage: null } : {}),
    ...extra,
  };
}

/** A delta of one choice. */
export function deltaChunk(ask: Ask, index: number, delta: Record<string, unknown>): Record<string, unknown> {
  return chunk(ask, [{ index, delta, finish_reason: null }]);
}

export function finishChunk(ask: Ask, index: number, reason: string): Record<string, unknown> {
  return chunk(ask, [{ index, delta: {}, finish_reason: reason }]);
}

export function usageChunk(ask: Ask): Record<string, unknown> {
  return chunk(ask, [], { usage: usage(ask) });
}

/** The chunk that names the speaker, one for each choice. */
export function* roleChunks(ask: Ask): Iterable<Record<string, unknown>> {
  for (let index = 0; index < ask.choices; index++) {
    yield deltaChunk(ask, index, { role: "assistant", content: "", refusal: null });
  }
}

/** The answer's text; the choices take turns. */
export function* contentChunks(ask: Ask, tokens: Iterable<string> = TOKENS): Iterable<Record<string, unknown>> {
  for (const content of tokens) {
    for (let index = 0; index < ask.choices; index++) yield deltaChunk(ask, index, { content });
  }
}

/** A whole `chat.completion`; `message` and `finishReason` replace the usual ones. */
export function completion(
  ask: Ask,
  { message = {}, finishReason = "stop" }: { message?: Record<string, unknown>; finishReason?: string | null } = {},
): Record<string, unknown> & { choices: Record<string, unknown>[] } {
  return {
    id: ask.id,
    object: "chat.completion",
    created: ask.created,
    model: ask.model,
    system_fingerprint: FINGERPRINT,
    choices: Array.from({ length: ask.choices }, (_, index) => ({
      index,
      message: { role: "assistant", content: ANSWER, refusal: null, ...message },
      logprobs: null,
      finish_reason: finishReason,
    })),
    usage: usage(ask),
  };
}

export function usage(ask: Ask): Record<string, number> {
  const completionTokens = TOKENS.length * ask.choices;
  return {
    prompt_tokens: ask.promptTokens,
    completion_tokens: completionTokens,
    total_tokens: ask.promptTokens + completionTokens,
  };
}
