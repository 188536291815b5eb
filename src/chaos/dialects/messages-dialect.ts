/** Anthropic messages, said event by event: named events, the content in blocks. */
import { usage } from "../chat-chunks.ts";
import type { DialectScript } from "../dialect-script.ts";
import type { Ask } from "../fault.ts";
import { event, type Send } from "../script.ts";
import { TOOL_ARGUMENTS } from "../tool-call.ts";

type Fields = Record<string, unknown>;

const BLOCK_STOP = named("content_block_stop", { index: 0 });
const MESSAGE_STOP = named("message_stop", {});

export const messagesDialect: DialectScript = {
  name: "messages",
  *begin(ask) {
    yield named("message_start", { message: message(ask, [], null) });
    yield named("content_block_start", { index: 0, content_block: { type: "text", text: "" } });
    // Where the API sends its first ping. It is no content.
    yield named("ping", {});
  },
  *text(_ask, tokens) {
    for (const text of tokens) yield named("content_block_delta", { index: 0, delta: { type: "text_delta", text } });
  },
  *finish(ask, _tokens, reason) {
    yield BLOCK_STOP;
    yield messageDelta(ask, reason === "length" ? "max_tokens" : "end_turn");
  },
  terminator: () => [MESSAGE_STOP],
  error: () => [named("error", { error: { type: "overloaded_error", message: "Overloaded" } })],
  toolCall: {
    *begin(ask) {
      yield named("message_start", { message: message(ask, [], null) });
      yield named("content_block_start", { index: 0, content_block: toolUse(ask, {}) });
      yield named("ping", {});
      for (const partial_json of TOOL_ARGUMENTS) {
        yield named("content_block_delta", { index: 0, delta: { type: "input_json_delta", partial_json } });
      }
    },
    *end(ask) {
      yield BLOCK_STOP;
      yield messageDelta(ask, "tool_use");
      yield MESSAGE_STOP;
    },
    answer: (ask) => message(ask, [toolUse(ask, JSON.parse(TOOL_ARGUMENTS.join("")))], "tool_use"),
  },
  answer(ask, tokens) {
    const text = tokens.join("");
    return message(ask, text === "" ? [] : [{ type: "text", text }], "end_turn");
  },
  errorBody: (status, text) => ({ type: "error", error: { type: ERROR_TYPES[status] ?? "api_error", message: text } }),
};

/** @see https://docs.anthropic.com/en/api/errors */
const ERROR_TYPES: Readonly<Record<number, string>> = {
  400: "invalid_request_error",
  401: "authentication_error",
  404: "not_found_error",
  413: "request_too_large",
  422: "invalid_request_error",
  429: "rate_limit_error",
  503: "overloaded_error",
};

function named(type: string, fields: Fields): Send {
  return event({ type, ...fields }, type);
}

function message(ask: Ask, content: readonly Fields[], reason: string | null): Fields {
  const { prompt_tokens: input, completion_tokens: output } = usage(ask);
  return {
    id: `msg_${ask.id.slice(-24)}`,
    type: "message",
    role: "assistant",
    model: ask.model,
    content,
    stop_reason: reason,
    stop_sequence: null,
    usage: { input_tokens: input, output_tokens: reason === null ? 1 : output },
  };
}

function messageDelta(ask: Ask, reason: string): Send {
  const delta = { stop_reason: reason, stop_sequence: null };
  return named("message_delta", { delta, usage: { output_tokens: usage(ask).completion_tokens } });
}

function toolUse(ask: Ask, input: Fields): Fields {
  return { type: "tool_use", id: `toolu_${ask.id.slice(-24)}`, name: ask.toolName, input };
}
