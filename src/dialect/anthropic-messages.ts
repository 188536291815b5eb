/** Anthropic messages: named events, content in blocks; whole when a stop_reason came and every block was closed. */
import type { Dialect, DialectRequest, StreamEnd, StreamInspector } from "../core/dialect.ts";
import { Failure } from "../core/failure.ts";
import type { StreamEvent, Verdict } from "../core/stream-event.ts";
import { encodeData, encodeNamed } from "../sse/encode.ts";
import { answerToEvents, eventsToAnswer } from "./anthropic-answer.ts";
import { continueMessages } from "./continue-messages.ts";
import { EventNames, lostData } from "./event-names.ts";
import { EventTemplate } from "./event-template.ts";
import { readFinish, unknownFinish } from "./finish-word.ts";
import { holdsSomething, isNothing, isObject, type JsonObject, objectsOf, parseObject } from "./json.ts";
import { DONE, readRequest } from "./openai-choices.ts";
import { findOpenAiError, notAnObject, reportedError } from "./openai-error.ts";
import { QUESTION } from "./question.ts";
import { StrayLines } from "./stray-lines.ts";

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
  warnOfAnswer: (answer) =>
    isObject(answer) && readStopReason(answer.stop_reason) === "unknown" ? unknownFinish(answer.stop_reason) : undefined,
  saysFinished: (answer) => isObject(answer) && readStopReason(answer.stop_reason) !== undefined,
  answerToEvents,
  eventsToAnswer,
  encodeEvent,
  encodeError: (failure, message) => encodeNamed("error", JSON.stringify(errorBody(failure, message))),
  errorBody,
};

/** The events that are parts of a message. */
const PARTS: ReadonlySet<unknown> = new Set([
  "message_start",
  "message_delta",
  "content_block_start",
  "content_block_delta",
  "content_block_stop",
]);

/** The SDKs go by the name, so that one they do not know gives way to the type. */
function encodeEvent(streamEvent: StreamEvent): string | Buffer {
  const { event, bytes } = streamEvent;
  if (bytes !== undefined && PARTS.has(event)) return bytes;
  const { data } = streamEvent;
  if (PARTS.has(event)) return encodeNamed(String(event), data);
  const type = parseObject(data)?.type;
  const name = typeof type === "string" && (event === undefined || PARTS.has(type)) ? type : event;
  return name === undefined ? encodeData(data) : encodeNamed(name, data);
}

/** The API's own names for its errors, by HTTP status. */
const ERROR_TYPES: ReadonlyMap<number, string> = new Map([
  [400, "invalid_request_error"],
  [401, "authentication_error"],
  [403, "permission_error"],
  [404, "not_found_error"],
  [413, "request_too_large"],
  [429, "rate_limit_error"],
  [503, "overloaded_error"],
  [504, "timeout_error"],
  [529, "overloaded_error"],
]);

function errorBody(failure: Failure, message: string): JsonObject {
  return { type: "error", error: { type: ERROR_TYPES.get(failure.status) ?? "api_error", message, code: failure.code } };
}

/**
 * Why a message stopped; undefined when it does not say. The API keeps adding good reasons, so that a word that is not known
 * is a good one, but for those that say failure.
 */
function readStopReason(reason: unknown): ReturnType<typeof readFinish> {
  const finish = readFinish(reason);
  if (!(finish instanceof Failure)) return finish;
  return new Failure("upstream_error_event", `the upstream ended its message with stop_reason "${String(reason).slice(0, 40)}"`);
}

const isToolBlock = (block: unknown): boolean => isObject(block) && /tool_use$/.test(String(block.type));

/** Where a block, or a piece of one, holds what its client must have. Of thoughts that are not shown that is the signature. */
const CONTENT_FIELDS = ["text", "thinking", "signature", "data", "content", "citation", "file_id"];

const holdsContent = (part: JsonObject): boolean => CONTENT_FIELDS.some((field) => holdsSomething(part[field]));

/** No message has so many blocks: each costs memory for as long as its stream lives. */
const MAX_BLOCKS = 10_000;

class MessagesInspector implements StreamInspector {
  readonly #stray = new StrayLines({
    findError: findOpenAiError,
    isPart: ({ type }) => typeof type === "string" && /^(?:message|content_block)_/.test(type),
    isPartName: (name) => PARTS.has(name),
  });
  readonly #names = new EventNames((name) => PARTS.has(name));
  readonly #template = new EventTemplate();
  readonly #openBlocks = new Map<unknown, { readonly isTool: boolean }>();
  /** The numbers of blocks that have begun, and whether the last of each was a tool's. */
  readonly #begun = new Map<unknown, boolean>();
  #openTools = 0;
  #stop: "whole" | "filtered" | "unknown" | undefined;
  /** More of the message came behind its stop_reason, which proves nothing any more: only the terminator does. */
  #distrusted = false;
  /** It gave a second stop_reason: what its reasons mean is not known. */
  #hasOddStop = false;
  #hasNullReason = false;
  hasContent = false;
  characters = 0;
  toolBytes = 0;
  warning: string | undefined;
  toolCalls = 0;

  onEvent(streamEvent: StreamEvent): Verdict {
    const debris = this.#stray.close();
    if (debris !== undefined) return debris;
    const { event } = streamEvent;
    const known = this.#template.match(streamEvent);
    if (known !== undefined) return this.#judge(known, event);
    const { data } = streamEvent;
    const text = data.trim();
    if (event === "error") return reportedError(text, this.#stray.status);
    // `[DONE]` is not part of this dialect, but servers that imitate it send it.
    if (text === DONE || isNothing(text)) return PARTS.has(event) ? lostData() : "ignored";
    if (text.startsWith("[ERROR]")) return reportedError(text);
    const json = this.#template.parse(streamEvent);
    if (json === undefined) return new Failure("stream_corrupted", "the upstream sent an event that is not a JSON object");
    return this.#judge(json, event);
  }

  #judge(json: JsonObject, event: string | undefined): Verdict {
    // MiniMax tells its errors beside what would be an event.
    const error = findOpenAiError(json, this.#stray.status);
    const problem = error ?? this.#names.judge(event, json);
    if (problem !== undefined) return problem;
    switch (json.type ?? event) {
      case "ping":
        return "ignored";
      case "message_stop":
        return "terminator";
      case "message_delta":
        return this.#onMessageDelta(json);
      case "content_block_start":
        return this.#onBlockStart(json);
      case "content_block_delta":
        return this.#onBlockDelta(json);
      case "content_block_stop":
        return this.#onBlockStop(json);
    }
    return "meta";
  }

  #onMessageDelta(json: JsonObject): Verdict {
    const said = isObject(json.delta) ? json.delta.stop_reason : undefined;
    const stop = readStopReason(said);
    if (stop instanceof Failure) return stop;
    if (said === null) this.#hasNullReason = true;
    if (stop === "unknown") this.warning = unknownFinish(said);
    if (stop !== undefined && this.#stop !== undefined) this.#hasOddStop = true;
    this.#stop = stop ?? this.#stop;
    return "meta";
  }

  #onBlockStop(json: JsonObject): Verdict {
    const block = this.#openBlocks.get(json.index);
    this.#openBlocks.delete(json.index);
    if (!block?.isTool) return "meta";
    this.#openTools--;
    return "tool-call";
  }

  #onBlockStart(json: JsonObject): Verdict {
    const isTool = isToolBlock(json.content_block);
    if (this.#begun.size >= MAX_BLOCKS) {
      return new Failure("stream_corrupted", `the upstream's message has more than ${MAX_BLOCKS} blocks`, { scope: "never" });
    }
    if (this.#stop !== undefined) this.#distrusted = true;
    if (this.#openBlocks.get(json.index)?.isTool) this.#openTools--;
    this.#openBlocks.set(json.index, { isTool });
    this.#begun.set(json.index, isTool);
    if (isTool) {
      this.#openTools++;
      this.toolCalls++;
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
      if (this.#stop !== undefined) this.#distrusted = true;
      if (typeof delta.partial_json === "string") this.toolBytes += Buffer.byteLength(delta.partial_json);
      return "tool-call";
    }
    const text = delta.text ?? delta.thinking ?? delta.content;
    if (typeof text === "string") this.characters += text.length;
    if (!holdsContent(delta) && !holdsSomething(delta.partial_json)) return "meta";
    // Clients drop it, and would never know: what said that it begins was lost.
    if (!this.#begun.has(json.index)) {
      return new Failure("stream_corrupted", "the upstream sent a piece of a block that never began");
    }
    // Its client may have acted on the call.
    if (this.#begun.get(json.index) && !this.#openBlocks.has(json.index)) {
      return new Failure("stream_corrupted", "the upstream sent a piece of a tool call that had ended");
    }
    if (this.#stop !== undefined) this.#distrusted = true;
    this.hasContent = true;
    return "content";
  }

  get isFinished(): boolean {
    return this.#stop !== undefined && !this.#distrusted && !this.#hasOddStop && this.#openBlocks.size === 0;
  }

  onStrayLine(line: string): Failure | undefined {
    return this.#stray.read(line);
  }

  hasOpenToolCall(): boolean {
    return this.#openTools > 0;
  }

  onEnd(end: StreamEnd): Failure | undefined {
    const { terminated, requireTerminator, acceptEmpty } = end;
    const cause = this.#stray.close() ?? end.cause;
    // message_stop is no proof after a stop_reason of null: vLLM sends both, and [DONE], when its engine was aborted.
    const terminatorProves = terminated && (!this.#hasNullReason || end.terminatorFinishes === true);
    const finished = this.#openBlocks.size === 0 && (this.#stop !== undefined || terminatorProves);
    if (finished && (terminated || !(requireTerminator || this.#distrusted))) {
      if (cause !== undefined) this.warning ??= `behind the end of the answer: ${cause.message}`;
      if (this.hasContent || acceptEmpty || this.#stop === "filtered") return undefined;
      return new Failure("empty_stream", "the upstream ended its message without any content", {
        formallyWhole: this.#stop !== undefined,
      });
    }
    if (cause !== undefined) return cause;
    if (!this.hasContent) return new Failure("empty_stream", "the upstream answered 200 and sent no content");
    return new Failure("stream_truncated", "the upstream ended its stream before the message was complete");
  }
}

function inspectAnswer(answer: unknown, acceptEmpty: boolean, request: DialectRequest): Failure | undefined {
  if (answer === null) return new Failure("empty_stream", "the upstream answered 200 with a body of `null`");
  if (!isObject(answer)) return notAnObject(answer);
  const error = findOpenAiError(answer);
  if (error !== undefined) return error;
  const stop = readStopReason(answer.stop_reason);
  if (stop instanceof Failure) return stop;
  if (!Array.isArray(answer.content)) return new Failure("empty_stream", "the upstream's answer has no content");
  const hasContent = objectsOf(answer.content).some((block) => isToolBlock(block) || holdsContent(block));
  // Without the field JSON is whole by itself; but a stream of it would end without a reason. Null says "not yet".
  if (stop === undefined && (answer.stop_reason !== undefined || request.stream || !hasContent)) {
    return new Failure("stream_truncated", "the upstream's answer has no stop_reason");
  }
  if (hasContent || acceptEmpty || stop === "filtered") return undefined;
  return new Failure("empty_stream", "the upstream's answer has no content", { formallyWhole: true });
}
