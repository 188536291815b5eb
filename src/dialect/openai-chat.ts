/** OpenAI chat completions: whole when every choice has a good finish_reason and no error came first. */
import type { Dialect, DialectRequest, StreamEnd, StreamInspector } from "../core/dialect.ts";
import { Failure } from "../core/failure.ts";
import type { StreamEvent, Verdict } from "../core/stream-event.ts";
import { encodeData } from "../sse/encode.ts";
import {
  badFinish,
  findOpenAiError,
  isObject,
  type JsonObject,
  openAiErrorBody,
  parseObject,
  reportedError,
} from "./openai-error.ts";

const GOOD_FINISH: ReadonlySet<unknown> = new Set(["stop", "length", "tool_calls", "function_call", "content_filter"]);
const DONE = "[DONE]";

export const openAiChat: Dialect = {
  name: "openai-chat",
  paths: ["/chat/completions"],
  terminator: encodeData(DONE),

  parseRequest(body) {
    if (!isObject(body)) throw new Failure("invalid_request", "The body must be a JSON object with a model and messages.");
    const options = isObject(body.stream_options) ? body.stream_options : {};
    return {
      stream: body.stream === true,
      model: typeof body.model === "string" ? body.model : undefined,
      choices: typeof body.n === "number" && body.n > 1 ? body.n : 1,
      includeUsage: options.include_usage === true,
    };
  },

  inspectStream: (request) => new ChatInspector(request),
  inspectAnswer,
  answerToEvents,
  // Named events are no part of this dialect: an `event` line makes some clients fail.
  encodeEvent: (event) => encodeData(event.data),
  encodeError: (failure, message) => encodeData(JSON.stringify(openAiErrorBody(failure, message))),
  errorBody: openAiErrorBody,
};

class ChatInspector implements StreamInspector {
  readonly #asked: DialectRequest;
  /** By choice index: seen, and whether it has finished. */
  readonly #finished = new Map<number, boolean>();
  #open = 0;
  #filtered = false;
  #strayLines = 0;
  hasContent = false;
  characters = 0;

  constructor(asked: DialectRequest) {
    this.#asked = asked;
  }

  onEvent({ event, data }: StreamEvent): Verdict {
    if (event === "error") return reportedError(data);
    const first = data.charCodeAt(0);
    if (first !== 0x7b /* { */) {
      const text = data.trim();
      if (text.startsWith(DONE)) return "terminator";
      // A blank `data:` line is a keep-alive of sorts; clients would fail to parse it.
      if (text === "") return "ignored";
      if (text.startsWith("[ERROR]")) return reportedError(text);
    }
    if (event === "ping") return "ignored";
    const json = parseObject(data);
    if (json === undefined) return new Failure("stream_corrupted", "the upstream sent an event that is not a JSON object");
    return findOpenAiError(json) ?? this.#onChunk(json);
  }

  #onChunk(chunk: JsonObject): Verdict {
    // No choices: the usage chunk at the end, Azure's prompt_filter_results at the beginning.
    if (!Array.isArray(chunk.choices)) return "meta";
    let verdict: Verdict = "meta";
    for (const choice of chunk.choices as unknown[]) {
      if (!isObject(choice)) continue;
      const index = typeof choice.index === "number" ? choice.index : 0;
      if (!this.#finished.has(index)) {
        this.#finished.set(index, false);
        this.#open++;
      }
      // Some servers send `message` where the dialect has `delta`.
      if (this.#countContent(choice.delta ?? choice.message)) verdict = "content";
      const reason = choice.finish_reason;
      if (typeof reason !== "string" || reason === "") continue;
      if (!GOOD_FINISH.has(reason)) return badFinish(reason);
      if (reason === "content_filter") this.#filtered = true;
      if (this.#finished.get(index) === false) {
        this.#finished.set(index, true);
        this.#open--;
      }
    }
    if (verdict === "content") this.hasContent = true;
    return verdict;
  }

  /** Whatever a delta holds beside its role is content, so that a field nobody has heard of is never taken for nothing. */
  #countContent(delta: unknown): boolean {
    if (!isObject(delta)) return false;
    let found = false;
    for (const key in delta) {
      if (key === "role") continue;
      const value = delta[key];
      if (typeof value === "string") {
        if (value === "") continue;
        this.characters += value.length;
        found = true;
      } else if (holdsSomething(value)) found = true;
    }
    return found;
  }

  onStrayLine(line: string): Failure | undefined {
    this.#strayLines++;
    // llama.cpp before PR #16109 sent `error: {…}` as a field of its own.
    if (line.startsWith("error:")) return reportedError(line.slice("error:".length));
    const json = line.startsWith("{") ? parseObject(line) : undefined;
    return json === undefined ? undefined : findOpenAiError(json);
  }

  isFinished(): boolean {
    return this.#finished.size > 0 && this.#open === 0;
  }

  onEnd(end: StreamEnd): Failure | undefined {
    // With n choices asked for and fewer seen, only the terminator proves that no more would have come.
    const complete = end.terminated || (!end.requireTerminator && this.#finished.size >= this.#asked.choices);
    if (this.isFinished() && complete) {
      if (this.hasContent || this.#filtered || end.acceptEmpty) return undefined;
      return new Failure("empty_stream", "the upstream ended its answer without any content", { formallyWhole: true });
    }
    if (end.cause !== undefined) return end.cause;
    if (!this.hasContent) {
      if (this.#strayLines > 0)
        return new Failure("stream_corrupted", "the upstream's stream holds text that is not SSE, and no answer");
      return new Failure("empty_stream", "the upstream answered 200 and sent no content");
    }
    const how = end.terminated ? "sent [DONE]" : "ended its stream";
    return new Failure("stream_truncated", `the upstream ${how} before its answer had finished`);
  }
}

function holdsSomething(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  return isObject(value) && Object.keys(value).length > 0;
}

function inspectAnswer(answer: unknown, acceptEmpty: boolean): Failure | undefined {
  if (answer === null) return new Failure("empty_stream", "the upstream answered 200 with a body of `null`");
  if (!isObject(answer)) return new Failure("stream_corrupted", "the upstream's answer is not a JSON object");
  const error = findOpenAiError(answer);
  if (error !== undefined) return error;
  if (!Array.isArray(answer.choices) || answer.choices.length === 0) {
    return new Failure("empty_stream", "the upstream's answer has no choices");
  }
  let hasContent = false;
  for (const choice of answer.choices as unknown[]) {
    if (!isObject(choice)) return new Failure("stream_corrupted", "the upstream's answer has a choice that is not an object");
    const reason = choice.finish_reason;
    if (typeof reason !== "string" || reason === "") {
      return new Failure("stream_truncated", "the upstream's answer has a choice that is not finished");
    }
    if (!GOOD_FINISH.has(reason)) return badFinish(reason);
    if (reason === "content_filter") hasContent = true;
    const message = isObject(choice.message) ? choice.message : {};
    for (const key in message) {
      if (key !== "role" && (typeof message[key] === "string" ? message[key] !== "" : holdsSomething(message[key])))
        hasContent = true;
    }
  }
  if (hasContent || acceptEmpty) return undefined;
  return new Failure("empty_stream", "the upstream's answer has no content", { formallyWhole: true });
}

function answerToEvents(answer: unknown, request: DialectRequest): StreamEvent[] {
  const { choices, usage, ...rest } = answer as JsonObject & { choices: JsonObject[] };
  const chunk = (fields: JsonObject): StreamEvent => ({
    event: undefined,
    data: JSON.stringify({ ...rest, object: "chat.completion.chunk", ...fields }),
  });
  const events: StreamEvent[] = [];
  for (const [position, choice] of choices.entries()) {
    const { message, finish_reason, index = position, ...fields } = choice;
    events.push(chunk({ choices: [{ ...fields, index, delta: toDelta(message), finish_reason: null }] }));
    events.push(chunk({ choices: [{ index, delta: {}, finish_reason }] }));
  }
  if (request.includeUsage && usage) events.push(chunk({ choices: [], usage }));
  return events;
}

/** A message as one delta: the same fields, but that a stream numbers its tool calls. */
function toDelta(message: unknown): JsonObject {
  if (!isObject(message)) return {};
  if (!Array.isArray(message.tool_calls)) return message;
  return {
    ...message,
    tool_calls: message.tool_calls.map((call: unknown, index) => (isObject(call) ? { index, ...call } : call)),
  };
}
