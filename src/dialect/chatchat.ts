/**
 * Langchain-Chatchat's own routes: events of many shapes, and no terminator but the end of the body.
 * Read in its sources: server/chat/*.py of 0.2.10, chatchat/server/chat/*.py and api_server/*.py of 0.3.
 */
import type { Dialect, DialectRequest, StreamEnd, StreamInspector } from "../core/dialect.ts";
import { Failure } from "../core/failure.ts";
import type { StreamEvent, Verdict } from "../core/stream-event.ts";
import { encodeData, encodeUnnamed } from "../sse/encode.ts";
import { readFinish, unknownFinish } from "./finish-word.ts";
import { holdsSomething, isNothing, isObject, type JsonObject, objectsOf, parseObject } from "./json.ts";
import { openAiChat, readChatChoice } from "./openai-chat.ts";
import { ChoicesInspector, DONE } from "./openai-choices.ts";
import { errorInList, findOpenAiError, openAiErrorBody, reportedError } from "./openai-error.ts";
import { QUESTION } from "./question.ts";
import { StrayLines } from "./stray-lines.ts";

const shared = {
  operation: "chat" as const,
  question: { fields: { query: QUESTION }, headers: {} },
  terminator: "",
  repairsTerminator: false,
  inspectAnswer,
  encodeEvent: encodeUnnamed,
  // `code` and `msg` stand in it, which its web UI shows; `error` is for all other clients.
  encodeError: (failure: Failure, message: string) => encodeData(JSON.stringify(openAiErrorBody(failure, message))),
  errorBody: openAiErrorBody,
  eventsToAnswer: () => undefined,
  askStreamed: () => undefined,
  readText({ data }: StreamEvent) {
    const json = parseObject(data);
    // Where events are bare words they are the text.
    if (json === undefined) return data;
    return textOf(json) ?? TEXT_FIELDS.map((field) => json[field]).find((text) => typeof text === "string") ?? "";
  },
};

/** The native routes (`/chat/chat`, `/chat/knowledge_base_chat`, …): a clean end with content is whole. */
export const chatchat: Dialect = {
  ...shared,
  name: "chatchat",
  // Its web UI takes each network chunk for one event, and cuts `data: ` off its front unseen.
  allowsComments: false,
  oneEventPerWrite: true,
  endsCleanly: true,
  // 0.2 streams whatever `stream` says; what it answers as JSON is passed on as JSON.
  parseRequest: (body) => ({ ...openAiChat.parseRequest(body), model: modelOf(body), stream: true, choices: 1 }),
  inspectStream: () => new ChatchatInspector("end"),
  answerToEvents: () => undefined,
};

/** Those of them that take messages in place of a query (`/chat/fastchat`, `/knowledge_base/chat/completions`). */
export const chatchatMessages: Dialect = { ...chatchat, question: openAiChat.question };

/** `/chat/agent_chat` of 0.2: the same, but that only its last word is the answer. */
export const chatchatAgent: Dialect = {
  ...chatchat,
  name: "chatchat-agent",
  inspectStream: () => new ChatchatInspector("final answer"),
};

/** `/other/completion` of 0.2: the same, but that its events are bare words. */
export const chatchatWords: Dialect = {
  ...chatchat,
  name: "chatchat-words",
  inspectStream: () => new ChatchatInspector("end", { words: true }),
};

/** The OpenAI-like routes of 0.3 (`/chat/chat/completions`): a finish, or the agent's last status, and never `[DONE]`. */
export const chatchatCompletions: Dialect = {
  ...shared,
  name: "chatchat-completions",
  question: openAiChat.question,
  allowsComments: true,
  oneEventPerWrite: false,
  parseRequest: openAiChat.parseRequest,
  inspectAnswer: (answer, acceptEmpty, request) =>
    inspectAnswer(answer, acceptEmpty, request) ??
    (isObject(answer) && !Array.isArray(answer.choices) && answer.code === undefined
      ? new Failure("empty_stream", "Chatchat's answer has no choices")
      : undefined),
  saysFinished: (answer) => openAiChat.saysFinished?.(answer) === true,
  inspectStream: (asked) => new ChatchatInspector("finish", { choices: new ChoicesInspector(asked, readChatChoice) }),
  answerToEvents: (answer, request) =>
    isObject(answer) && Array.isArray(answer.choices) ? openAiChat.answerToEvents(answer, request) : undefined,
  // A model's own chunks are one message; what an agent did on its way is not.
  eventsToAnswer: (events, request) =>
    events.some(({ data }) => typeof parseObject(data)?.status === "number")
      ? undefined
      : openAiChat.eventsToAnswer(events, request),
};

function modelOf(body: unknown): string | undefined {
  const name = isObject(body) ? (body.model_name ?? body.model) : undefined;
  return typeof name === "string" ? name : undefined;
}

/** Fields in which text comes. `docs` and `tools` prove only that a search or a tool has run. */
const TEXT_FIELDS = ["text", "answer", "final_answer"];
/** One of them is in every event that its routes send. */
const PART_FIELDS = [...TEXT_FIELDS, "choices", "message_id"];
/** `AgentStatus.agent_finish`, the same in all of 0.3. */
const AGENT_FINISH = 5;
/** `AgentStatus.error` of the later 0.3; in 0.3.1 it was 8, which came to mean the end of a tool. */
const AGENT_ERROR = -1;

class ChatchatInspector implements StreamInspector {
  readonly #wholeAt: "end" | "final answer" | "finish";
  readonly #words: boolean;
  readonly #choices: ChoicesInspector | undefined;
  readonly #stray: StrayLines;
  #finished = false;
  /** Text came behind a finish, which proves nothing any more: only a clean end of the body does. */
  #distrusted = false;
  /** Its model server's `[DONE]`, relayed. */
  #hasDone = false;
  #hasContent = false;
  #characters = 0;
  #warning: string | undefined;

  /**
   * @param words events may be bare text.
   * @param choices judges what is a model's own chunk, relayed; an agent's has a status.
   */
  constructor(
    wholeAt: "end" | "final answer" | "finish",
    { words = false, choices }: { words?: boolean; choices?: ChoicesInspector } = {},
  ) {
    this.#wholeAt = wholeAt;
    this.#words = words;
    this.#choices = choices;
    this.#stray = new StrayLines({
      findError: findOpenAiError,
      isPart: (json) => PART_FIELDS.some((field) => json[field] !== undefined),
    });
  }

  get warning(): string | undefined {
    return this.#warning ?? this.#choices?.warning;
  }

  get hasContent(): boolean {
    return this.#hasContent || (this.#choices?.hasContent ?? false);
  }

  get characters(): number {
    return this.#characters + (this.#choices?.characters ?? 0);
  }

  get toolBytes(): number {
    return this.#choices?.toolBytes ?? 0;
  }

  get toolCalls(): number {
    return this.#choices?.toolCalls ?? 0;
  }

  get isFinished(): boolean {
    return this.#choices?.isFinished ?? false;
  }

  onEvent({ event, data }: StreamEvent): Verdict {
    const debris = this.#stray.close();
    if (debris !== undefined) return debris;
    const text = data.trim();
    if (event === "error" || text.startsWith("[ERROR]")) return reportedError(text, this.#stray.status);
    // Not its own, but its model server's, when it relays one.
    if (text === DONE) {
      this.#hasDone = true;
      return "ignored";
    }
    // Where events are bare words, a number is one.
    if (text === "" || (!this.#words && isNothing(text))) return "ignored";
    if (event === "ping") return "ignored";
    const json = parseObject(data);
    if (json === undefined && this.#words) {
      this.#hasContent = true;
      this.#characters += data.length;
      return "content";
    }
    if (json === undefined) return new Failure("stream_corrupted", "the upstream sent an event that is not a JSON object");
    return findOpenAiError(json, this.#stray.status) ?? this.#onChunk(json);
  }

  #onChunk(json: JsonObject): Verdict {
    if (json.status === AGENT_ERROR) return reportedError(textOf(json) ?? "the agent failed");
    const hadFinished = this.#finished;
    if (json.status === AGENT_FINISH || isDirectResult(json)) this.#finished = true;
    else if (this.#choices !== undefined && typeof json.status !== "number") return this.#choices.onChunk(json);
    // Alone it is the last word, even if it is empty; beside an answer that was not streamed an empty one means that there was none.
    if (holdsSomething(json.final_answer) || (typeof json.final_answer === "string" && json.answer === undefined))
      this.#finished = true;
    let verdict: Verdict = "meta";
    for (const field of TEXT_FIELDS) if (this.#count(json[field])) verdict = "content";
    if (this.#count(json.content)) verdict = "content";
    for (const choice of objectsOf(json.choices)) {
      const delta = choice.delta ?? choice.message;
      if (isObject(delta)) {
        for (const key in delta) if (key !== "role" && this.#count(delta[key])) verdict = "content";
      }
      const finish = readFinish(choice.finish_reason);
      if (finish instanceof Failure) return finish;
      if (finish === "unknown") this.#warning = unknownFinish(choice.finish_reason);
      if (finish !== undefined) this.#finished = true;
    }
    if (verdict === "content") {
      this.#hasContent = true;
      if (hadFinished) this.#distrusted = true;
    }
    return verdict;
  }

  #count(value: unknown): boolean {
    if (typeof value === "string") this.#characters += value.length;
    return holdsSomething(value);
  }

  onStrayLine(line: string): Failure | undefined {
    return this.#stray.read(line);
  }

  hasOpenToolCall(): boolean {
    return this.#choices?.hasOpenToolCall() ?? false;
  }

  onEnd(end: StreamEnd): Failure | undefined {
    const { torn, acceptEmpty } = end;
    const cause = this.#stray.close() ?? end.cause;
    const { hasText } = this.#stray;
    // The end of the body is all there is to its native routes, so it must be a clean one, and nothing odd before it.
    const cleanEnd = cause === undefined && !torn && !hasText;
    if (this.#choices !== undefined && !this.#finished && !this.#hasContent) {
      // Where a finish proves nothing any more the end of the body does, as in its native routes.
      const terminated = this.#hasDone || this.#stray.hasDone || (this.#choices.isDistrusted && cleanEnd);
      return this.#choices.onEnd({ ...end, cause, terminated });
    }
    const isProven = cleanEnd || !this.#distrusted;
    const whole =
      this.#wholeAt === "finish" ? this.#finished && isProven : cleanEnd && (this.#wholeAt === "end" || this.#finished);
    if (whole && (this.hasContent || (this.#finished && acceptEmpty))) {
      if (cause !== undefined) this.#warning ??= `behind the end of the answer: ${cause.message}`;
      return undefined;
    }
    if (cause !== undefined) return cause;
    // A failure of its model is logged, swallowed, and looks like this.
    if (!this.hasContent && torn) {
      return new Failure("empty_stream", "Chatchat sent no events but something else, as releases before 0.2.10 do");
    }
    if (!this.hasContent) {
      return new Failure("empty_stream", "Chatchat answered 200 and sent no text", { formallyWhole: this.#finished });
    }
    if (this.#wholeAt !== "finish" && hasText) {
      return new Failure("stream_corrupted", "Chatchat sent a line that is no event");
    }
    return new Failure("stream_truncated", "Chatchat ended its stream before its answer had finished");
  }
}

/** What an agent's event says, wherever its version puts it. */
function textOf(json: JsonObject): string | undefined {
  const [choice = {}] = objectsOf(json.choices);
  const part = choice.delta ?? choice.message;
  return [json.text, json.content, isObject(part) ? part.content : undefined].find(
    (text): text is string => typeof text === "string" && text !== "",
  );
}

/** A tool that answers by itself (`return_direct`) makes one event of its result. Other events say `is_ref: false` without a meaning. */
function isDirectResult(json: JsonObject): boolean {
  return json.is_ref === false && json.tool_output !== undefined && json.tool_output !== null;
}

function inspectAnswer(answer: unknown, acceptEmpty: boolean, request: DialectRequest): Failure | undefined {
  // A failed call that was not streamed is a 200 with `null`.
  if (answer === null) return new Failure("empty_stream", "Chatchat answered 200 with a body of `null`");
  if (!isObject(answer)) return errorInList(answer);
  // What a knowledge base answers is JSON in a string, and its failures too.
  const inner = typeof answer.data === "string" ? parseObject(answer.data) : undefined;
  const error = findOpenAiError(answer) ?? (inner === undefined ? undefined : findOpenAiError(inner));
  if (error !== undefined) return error;
  if (answer.status === AGENT_ERROR) return reportedError(textOf(answer) ?? "the agent failed");
  if (!Array.isArray(answer.choices)) return undefined;
  // An agent's answer says how it finished inside its message.
  const choices = objectsOf(answer.choices).map((choice) => ({
    ...choice,
    finish_reason:
      choice.finish_reason ?? (isObject(choice.message) ? choice.message.finish_reason : undefined) ?? choice.finish_reason,
  }));
  return openAiChat.inspectAnswer({ ...answer, choices }, acceptEmpty, request);
}
