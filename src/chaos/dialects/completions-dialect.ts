/** OpenAI completions, said event by event: the older API, text in and text out. */
import { usage } from "../chat-chunks.ts";
import type { DialectScript } from "../dialect-script.ts";
import type { Ask } from "../fault.ts";
import { openAiErrorBody } from "../openai-error-body.ts";
import { done, event } from "../script.ts";

export const completionsDialect: DialectScript = {
  name: "completions",
  // There is no role to name: the first event is text.
  begin: () => [],
  *text(ask, tokens) {
    for (const text of tokens) {
      for (let index = 0; index < ask.choices; index++) yield event(chunk(ask, [choice(index, text, null)]));
    }
  },
  *finish(ask, _tokens, reason = "stop") {
    for (let index = 0; index < ask.choices; index++) yield event(chunk(ask, [choice(index, "", reason)]));
    if (ask.includeUsage) yield event(chunk(ask, [], { usage: usage(ask) }));
  },
  terminator: () => [done],
  error: (_ask, message) => [event({ error: { message, type: "server_error", param: null, code: null } })],
  answer: (ask, tokens) => ({
    ...head(ask),
    choices: Array.from({ length: ask.choices }, (_, index) => choice(index, tokens.join(""), "stop")),
    usage: usage(ask),
  }),
  errorBody: openAiErrorBody,
};

function head(ask: Ask): Record<string, unknown> {
  return { id: `cmpl-${ask.id.slice(-24)}`, object: "text_completion", created: ask.created, model: ask.model };
}

function chunk(ask: Ask, choices: readonly unknown[], extra: Record<string, unknown> = {}): Record<string, unknown> {
  return { ...head(ask), choices, ...(ask.includeUsage ? { usage: null } : {}), ...extra };
}

function choice(index: number, text: string, reason: string | null): Record<string, unknown> {
  return { text, index, logprobs: null, finish_reason: reason };
}
