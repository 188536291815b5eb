/** OpenAI responses, said event by event: every event has its type, twice, and its number. */
import { usage } from "../chat-chunks.ts";
import type { DialectScript } from "../dialect-script.ts";
import type { Ask } from "../fault.ts";
import { openAiErrorBody } from "../openai-error-body.ts";
import { event, type Send } from "../script.ts";
import { TOOL_ARGUMENTS } from "../tool-call.ts";

type Fields = Record<string, unknown>;

/** Events before the first delta, of a message and of a function call. */
const MESSAGE_BEGIN = 4;
const CALL_BEGIN = 3;

/** Each stage numbers its events from where the one before it stopped. */
export const responsesDialect: DialectScript = {
  name: "responses",
  *begin(ask) {
    yield* begun(ask);
    const item = message(ask, undefined);
    yield typed(2, "response.output_item.added", { output_index: 0, item });
    yield typed(3, "response.content_part.added", { ...partOf(ask), part: part("") });
  },
  *text(ask, tokens) {
    for (const [n, delta] of tokens.entries()) {
      yield typed(MESSAGE_BEGIN + n, "response.output_text.delta", { ...partOf(ask), delta, logprobs: [] });
    }
  },
  *finish(ask, tokens) {
    const text = tokens.join("");
    const from = MESSAGE_BEGIN + tokens.length;
    yield typed(from, "response.output_text.done", { ...partOf(ask), text, logprobs: [] });
    yield typed(from + 1, "response.content_part.done", { ...partOf(ask), part: part(text) });
    yield typed(from + 2, "response.output_item.done", { output_index: 0, item: message(ask, text) });
  },
  *terminator(ask, tokens) {
    const number = MESSAGE_BEGIN + tokens.length + 3;
    yield typed(number, "response.completed", { response: completed(ask, message(ask, tokens.join(""))) });
  },
  *error(ask, text, sent) {
    const error = { code: "server_error", message: text };
    yield typed(sent, "response.failed", { response: { ...response(ask, "failed"), error } });
    yield typed(sent + 1, "error", { ...error, param: null });
  },
  toolCall: {
    *begin(ask) {
      yield* begun(ask);
      yield typed(2, "response.output_item.added", { output_index: 0, item: call(ask, undefined) });
      for (const [n, delta] of TOOL_ARGUMENTS.entries()) {
        yield typed(CALL_BEGIN + n, "response.function_call_arguments.delta", { item_id: callId(ask), output_index: 0, delta });
      }
    },
    *end(ask) {
      const text = TOOL_ARGUMENTS.join("");
      const from = CALL_BEGIN + TOOL_ARGUMENTS.length;
      const at = { item_id: callId(ask), output_index: 0 };
      yield typed(from, "response.function_call_arguments.done", { ...at, arguments: text });
      yield typed(from + 1, "response.output_item.done", { output_index: 0, item: call(ask, text) });
      yield typed(from + 2, "response.completed", { response: completed(ask, call(ask, text)) });
    },
    answer: (ask) => completed(ask, call(ask, TOOL_ARGUMENTS.join(""))),
  },
  answer: (ask, tokens) => completed(ask, message(ask, tokens.join(""))),
  errorBody: openAiErrorBody,
};

function typed(number: number, type: string, fields: Fields): Send {
  return event({ type, sequence_number: number, ...fields }, type);
}

function* begun(ask: Ask): Iterable<Send> {
  yield typed(0, "response.created", { response: response(ask, "in_progress") });
  yield typed(1, "response.in_progress", { response: response(ask, "in_progress") });
}

function response(ask: Ask, status: string): Fields {
  return {
    id: `resp_${ask.id.slice(-24)}`,
    object: "response",
    created_at: ask.created,
    status,
    background: false,
    error: null,
    incomplete_details: null,
    instructions: null,
    model: ask.model,
    output: [],
    parallel_tool_calls: true,
    tool_choice: "auto",
    tools: [],
    metadata: {},
    usage: null,
  };
}

function completed(ask: Ask, item: Fields): Fields {
  const { prompt_tokens: input, completion_tokens: output, total_tokens: total } = usage(ask);
  const details = { input_tokens_details: { cached_tokens: 0 }, output_tokens_details: { reasoning_tokens: 0 } };
  const counted = { input_tokens: input, output_tokens: output, total_tokens: total, ...details };
  return { ...response(ask, "completed"), output: [item], usage: counted };
}

/** @param text undefined while the item is only begun */
function message(ask: Ask, text: string | undefined): Fields {
  const status = text === undefined ? "in_progress" : "completed";
  const content = text === undefined ? [] : [part(text)];
  return { id: `msg_${ask.id.slice(-24)}`, type: "message", status, role: "assistant", content };
}

function part(text: string): Fields {
  return { type: "output_text", text, annotations: [], logprobs: [] };
}

function partOf(ask: Ask): Fields {
  return { item_id: `msg_${ask.id.slice(-24)}`, output_index: 0, content_index: 0 };
}

/** @param text the arguments; undefined while the item is only begun */
function call(ask: Ask, text: string | undefined): Fields {
  const status = text === undefined ? "in_progress" : "completed";
  const id = `call_${ask.id.slice(-24)}`;
  return { id: callId(ask), type: "function_call", status, call_id: id, name: ask.toolName, arguments: text ?? "" };
}

function callId(ask: Ask): string {
  return `fc_${ask.id.slice(-24)}`;
}
