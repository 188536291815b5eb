/** Anthropic messages: named events, content in blocks; whole when a stop_reason came and every block was closed. */
import type { Dialect, StreamEnd, StreamInspector } from "../core/dialect.ts";
import { Failure, scopeOfStatus } from "../core/failure.ts";
import type { StreamEvent, Verdict } from "../core/stream-event.ts";
import { encodeNamed } from "../sse/encode.ts";
import { answerToEvents, eventsToAnswer } from "./anthropic-answer.ts";
import { continueMessages } from "./continue-messages.ts";
import { holdsSomething, isObject, type JsonObject, objectsOf, parseObject, strayObject } from "./json.ts";
import { DONE, readRequest } from "./openai-choices.ts";
import { partOnStrayLine } from "./openai-error.ts";
import { QUESTION } from "./question.ts";

export const anthropicMessages: Dialect = {
  name: "anthropic-messages",
  operation: "chat",
  question: {
    fields: { messages: [{ role: "user", content: QUESTION }], max_tokens: 32 },
    headers: { "anthropic-version": "2023-06-01" },
  },
  terminator: encodeNamed("message_stop", '{"type":"message_stop"}'),
  repairsTerminator: true,
  allowsComments: true,
  oneEventPerWrite: false,
  continuing: continueMessages,

  parseRequest: (body) => ({ ...readRequest(body).request, choices: 1 }),
  askStreamed: (body, stream) => ({ ...(isObject(body) ? body : {}), stream }),
  inspectStream: () => new MessagesInspector(),
  inspectAnswer,
  answerToEvents,
  eventsToAnswer,
  encodeEvent: ({ event, data }) => encodeNamed(event ?? String(parseObject(data)?.type), data),
  encodeError: (failure, message) => encodeNamed("error", JSON.stringify(errorBody(failure, message))),
  errorBody,
};

/** The API's own names for its errors, by HTTP status. */
const ERROR_TYPES: Readonly<Record<number, string>> = {
  400: "invalid_request_error",
  401: "authentication_error",
  403: "permission_error",
  404: "not_found_error",
  413: "request_too_large",
  429: "rate_limit_error",
  503: "overloaded_error",
  504: "timeout_error",
  529: "overloaded_error",
};

function errorBody(failure: Failure, message: string): JsonObject {
  return { type: "error", error: { type: ERROR_TYPES[failure.status] ?? "api_error", message, code: failure.code } };
}

/** @see https://docs.anthropic.com/en/api/errors */
function reported(json: JsonObject): Failure {
  const error = isObject(json.error) ? json.error : json;
  const status = Number(Object.entries(ERROR_TYPES).findLast(([, type]) => type === error.type)?.[0] ?? 502);
  return new Failure("upstream_error_event", "the upstream reported an error inside its answer", {
    ...(typeof error.message === "string" ? { upstreamMessage: error.message } : {}),
    status,
    scope: scopeOfStatus(status),
  });
}

/**
 * Why a message stopped; undefined when it does not say. The API keeps adding good reasons, so that only those count as bad
 * with which engines behind imitating servers give up.
 */
function readStopReason(reason: unknown): string | Failure | undefined {
  if (typeof reason !== "string" || reason === "") return undefined;
  if (!/^(?:abort|error)$/i.test(reason)) return reason;
  return new Failure("upstream_error_event", `the upstream ended its message with stop_reason "${reason}"`);
}

const isToolBlock = (block: unknown): boolean => isObject(block) && /tool_use$/.test(String(block.type));

/** Where a block, or a piece of one, holds what its client must have. Of thoughts that are not shown that is the signature. */
const CONTENT_FIELDS = ["text", "thinking", "signature", "data", "content", "citation", "file_id"];

const holdsContent = (part: JsonObject): boolean => CONTENT_FIELDS.some((field) => holdsSomething(part[field]));

class MessagesInspector implements StreamInspector {
  readonly #openBlocks = new Map<unknown, { readonly isTool: boolean }>();
  #stopReason: string | undefined;
  #hasNullReason = false;
  hasContent = false;
  characters = 0;
  toolBytes = 0;

  onEvent({ event, data }: StreamEvent): Verdict {
    const text = data.trim();
    // `[DONE]` is not part of this dialect, but servers that imitate it send it.
    if (text === "" || text === DONE) return "ignored";
    const json = parseObject(text);
    if (json === undefined) {
      if (event === "error") return reported({ message: text });
      return new Failure("stream_corrupted", "the upstream sent an event that is not a JSON object");
    }
    switch (json.type ?? event) {
      case "error":
        return reported(json);
      case "ping":
        return "ignored";
      case "message_stop":
        return "terminator";
      case "message_delta": {
        const said = isObject(json.delta) ? json.delta.stop_reason : undefined;
        const reason = readStopReason(said);
        if (reason instanceof Failure) return reason;
        if (said === null) this.#hasNullReason = true;
        this.#stopReason = reason ?? this.#stopReason;
        return "meta";
      }
      case "content_block_start":
        return this.#onBlockStart(json);
      case "content_block_delta":
        return this.#onBlockDelta(json);
      case "content_block_stop": {
        const block = this.#openBlocks.get(json.index);
        this.#openBlocks.delete(json.index);
        return block?.isTool ? "tool-call" : "meta";
      }
    }
    return json.error ? reported(json) : "meta";
  }

  #onBlockStart(json: JsonObject): Verdict {
    const isTool = isToolBlock(json.content_block);
    this.#openBlocks.set(json.index, { isTool });
    if (isTool) {
      this.hasContent = true;
      return "tool-call";
    }
    // Results of tools that ran on the server, and encrypted thoughts, arrive whole in their block's start.
    if (isObject(json.content_block) && holdsContent(json.content_block)) this.hasContent = true;
    // After content the start of an empty block is progress: a minute of thoughts that are not shown may follow.
    return this.hasContent ? "content" : "meta";
  }

  #onBlockDelta(json: JsonObject): Verdict {
    const delta = isObject(json.delta) ? json.delta : {};
    if (this.#openBlocks.get(json.index)?.isTool) {
      if (typeof delta.partial_json === "string") this.toolBytes += Buffer.byteLength(delta.partial_json);
      return "tool-call";
    }
    const text = delta.text ?? delta.thinking ?? delta.content;
    if (typeof text === "string") this.characters += text.length;
    if (!holdsContent(delta)) return "meta";
    this.hasContent = true;
    return "content";
  }

  onStrayLine(line: string): Failure | undefined {
    const json = strayObject(line);
    if (json?.error) return reported(json);
    return typeof json?.type === "string" ? partOnStrayLine() : undefined;
  }

  hasOpenToolCall(): boolean {
    for (const { isTool } of this.#openBlocks.values()) if (isTool) return true;
    return false;
  }

  onEnd({ terminated, cause, requireTerminator, acceptEmpty }: StreamEnd): Failure | undefined {
    // message_stop is no proof after a stop_reason of null: vLLM sends both, and [DONE], when its engine was aborted.
    const saysWhy = this.#stopReason !== undefined || (terminated && !this.#hasNullReason);
    const finished = this.#openBlocks.size === 0 && saysWhy;
    if (finished && (terminated || !requireTerminator)) {
      if (this.hasContent || acceptEmpty || this.#stopReason === "refusal") return undefined;
      return new Failure("empty_stream", "the upstream ended its message without any content", {
        formallyWhole: this.#stopReason !== undefined,
      });
    }
    if (cause !== undefined) return cause;
    if (!this.hasContent) return new Failure("empty_stream", "the upstream answered 200 and sent no content");
    return new Failure("stream_truncated", "the upstream ended its stream before the message was complete");
  }
}

function inspectAnswer(answer: unknown, acceptEmpty: boolean): Failure | undefined {
  if (answer === null) return new Failure("empty_stream", "the upstream answered 200 with a body of `null`");
  if (!isObject(answer)) return new Failure("stream_corrupted", "the upstream's answer is not a JSON object");
  if (answer.type === "error" || answer.error) return reported(answer);
  const reason = readStopReason(answer.stop_reason);
  if (reason instanceof Failure) return reason;
  if (!Array.isArray(answer.content)) return new Failure("empty_stream", "the upstream's answer has no content");
  if (reason === undefined) return new Failure("stream_truncated", "the upstream's answer has no stop_reason");
  const hasContent = objectsOf(answer.content).some((block) => isToolBlock(block) || holdsContent(block));
  if (hasContent || acceptEmpty || reason === "refusal") return undefined;
  return new Failure("empty_stream", "the upstream's answer has no content", { formallyWhole: true });
}
