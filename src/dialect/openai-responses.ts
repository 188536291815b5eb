/** OpenAI responses: typed, numbered events; whole when `response.completed` or `response.incomplete` came. */
import type { Dialect, DialectRequest, StreamEnd, StreamInspector } from "../core/dialect.ts";
import { Failure } from "../core/failure.ts";
import type { StreamEvent, Verdict } from "../core/stream-event.ts";
import { encodeNamed } from "../sse/encode.ts";
import { continueResponses } from "./continue-responses.ts";
import { EventNames, lostData } from "./event-names.ts";
import { EventTemplate } from "./event-template.ts";
import { readFinish } from "./finish-word.ts";
import { holdsSomething, isNothing, isObject, type JsonObject, objectsOf, parseObject } from "./json.ts";
import { readFlag } from "./lax-values.ts";
import { askChoicesStreamed, DONE, readRequest } from "./openai-choices.ts";
import { findOpenAiError, notAnObject, openAiErrorBody, reportedError } from "./openai-error.ts";
import { responseToEvents } from "./openai-response-to-events.ts";
import { QUESTION } from "./question.ts";
import { encodeResponsesError } from "./responses-error-event.ts";
import { StrayLines } from "./stray-lines.ts";

export const openAiResponses: Dialect = {
  name: "openai-responses",
  operation: "chat",
  question: { fields: { input: QUESTION, max_output_tokens: 32 }, headers: {} },
  // The last event of the answer ends it, and cannot be made up: it holds the whole response.
  terminator: "",
  repairsTerminator: false,
  allowsComments: true,
  oneEventPerWrite: false,
  continuing: continueResponses,

  parseRequest: (body) => readRequest(body).request,
  askStreamed(body, stream) {
    // What goes on in the background is answered at once: the client comes back for it.
    if (isObject(body) && readFlag(body.background)) return undefined;
    const { stream_options, ...fields } = askChoicesStreamed(body, stream) ?? {};
    return fields;
  },
  inspectStream: () => new ResponsesInspector(),
  inspectAnswer,
  warnOfAnswer: (answer) => (isObject(answer) ? warnOfStatus(answer.status) : undefined),
  saysFinished: (answer) => isObject(answer) && (answer.status === "completed" || answer.status === "incomplete"),
  answerToEvents: (answer) => responseToEvents(answer as JsonObject),
  eventsToAnswer,
  encodeEvent,
  encodeError: encodeResponsesError,
  errorBody: openAiErrorBody,
};

/** Items that the client acts on, which it must not do before they are complete. The server runs all other tools itself. */
const CLIENT_TOOLS: ReadonlySet<unknown> = new Set([
  "function_call",
  "custom_tool_call",
  "computer_call",
  "local_shell_call",
  "shell_call",
  "apply_patch_call",
]);
const isClientTool = (item: unknown): boolean => isObject(item) && CLIENT_TOOLS.has(item.type);

/** Such as `response.web_search_call.searching`. */
const TOOL_STEP = /^response\.\w+_(call|tools)\./;

function encodeEvent(event: StreamEvent): string | Buffer {
  if (event.event === undefined) return encodeNamed(String(parseObject(event.data)?.type ?? "message"), event.data);
  return event.bytes ?? encodeNamed(event.event, event.data);
}

/** A message is output when it says something; a tool call, or reasoning, by being there. */
function hasOutput(output: unknown): boolean {
  return objectsOf(output).some(
    (item) =>
      item.type !== "message" ||
      objectsOf(item.content).some((part) => holdsSomething(part.text) || holdsSomething(part.refusal)),
  );
}

/** A long search is no stall: what a tool on the server tells of itself counts, though it says nothing yet. */
function isContent(type: string, { delta, item }: JsonObject): boolean {
  if (type.endsWith(".delta")) return holdsSomething(delta);
  // That a thought has begun or ended proves nothing: its words do.
  return TOOL_STEP.test(type) || (isObject(item) && item.type !== "reasoning" && hasOutput([item]));
}

/** What is not over. Any other word that does not say failure is taken for an end, as in the dialects with a finish_reason. */
const GOES_ON = /^(?:in[ _-]?progress|queued|pending|running|searching|created)$/i;

/** Why a response that is said to be over is not whole. @param status what it says of itself, or else its event. */
function judgeEnd(response: JsonObject, status: unknown): Failure | undefined {
  const error = findOpenAiError(response);
  if (error !== undefined) return error;
  if (status === "completed" || status === "incomplete") return undefined;
  if (typeof status !== "string" || status === "") {
    return new Failure("stream_truncated", "the upstream's response does not say that it is completed");
  }
  if (GOES_ON.test(status)) return new Failure("stream_truncated", `the upstream's response is only ${status.slice(0, 40)}`);
  return readFinish(status) instanceof Failure ? reportedError(`the response is ${status.slice(0, 40)}`) : undefined;
}

function warnOfStatus(status: unknown): string | undefined {
  if (typeof status !== "string" || status === "" || status === "completed" || status === "incomplete") return undefined;
  if (GOES_ON.test(status)) return undefined;
  return `the upstream's response has status "${status.slice(0, 40)}", which is not known; it was passed on`;
}

/** No response has so many items: each costs memory for as long as its stream lives. */
const MAX_ITEMS = 10_000;
/** A repeated 0 may be an event that was sent twice; at the second repetition it is a gateway that numbers nothing. */
const UNNUMBERED_AFTER = 2;

const isPartName = (name: string): boolean => name.startsWith("response.");

class ResponsesInspector implements StreamInspector {
  readonly #stray = new StrayLines({
    findError: findOpenAiError,
    isPart: ({ type }) => typeof type === "string" && type.startsWith("response."),
    isPartName,
  });
  readonly #names = new EventNames(isPartName);
  readonly #template = new EventTemplate();
  readonly #openTools = new Set<unknown>();
  #items = 0;
  #zeros = 0;
  /** Its events are not numbered, or by several counters: from there nothing is a gap. */
  #isUnnumbered = false;
  /** The status in which the response ended. */
  #final: unknown;
  hasContent = false;
  characters = 0;
  toolBytes = 0;
  lastSequence: number | undefined;
  warning: string | undefined;
  toolCalls = 0;

  onEvent(streamEvent: StreamEvent): Verdict {
    const debris = this.#stray.close();
    if (debris !== undefined) return debris;
    const { event } = streamEvent;
    const known = this.#template.match(streamEvent);
    if (known !== undefined) return this.#findGap(known.sequence_number, known.type) ?? this.#judge(known, event);
    const { data } = streamEvent;
    const text = data.trim();
    if (event === "error") return reportedError(text, this.#stray.status);
    // `[DONE]` is not part of this dialect, but servers that imitate it send it.
    if (text === DONE || isNothing(text)) return event !== undefined && isPartName(event) ? lostData() : "ignored";
    if (text.startsWith("[ERROR]")) return reportedError(text);
    const json = this.#template.parse(streamEvent);
    if (json === undefined) return new Failure("stream_corrupted", "the upstream sent an event that is not a JSON object");
    return this.#findGap(json.sequence_number, json.type) ?? this.#judge(json, event);
  }

  /** A number that comes again is an event that was sent twice, and hides no gap behind it. */
  #findGap(number: unknown, type: unknown): Failure | undefined {
    if (typeof number !== "number") return undefined;
    const last = this.lastSequence ?? number - 1;
    if (number > last + 1 && !this.#isUnnumbered) {
      return new Failure("stream_corrupted", `the upstream's events have a gap: number ${number} follows ${last}`);
    }
    if (number === 0 && last === 0) this.#zeros++;
    // Gateways that send only zeros, or begin again; not the first event of a response, which is out of its place.
    const beginsAgain = number < last && number <= 1 && type !== "response.created";
    if (this.#zeros >= UNNUMBERED_AFTER || beginsAgain) this.#isUnnumbered = true;
    this.lastSequence = Math.max(number, last);
    return undefined;
  }

  #judge(json: JsonObject, event: string | undefined): Verdict {
    const odd = this.#names.judge(event, json);
    if (odd !== undefined) return findOpenAiError(json, this.#stray.status) ?? odd;
    const type = String(json.type);
    const response = isObject(json.response) ? json.response : {};
    switch (type) {
      case "error":
        return findOpenAiError(json) ?? reportedError(JSON.stringify(json));
      case "response.failed":
        return findOpenAiError(response) ?? reportedError("the response failed");
      case "response.cancelled":
        return reportedError("the response was cancelled");
      case "response.completed":
      case "response.incomplete":
        return this.#onFinal(response, response.status || type.slice("response.".length));
      case "response.output_item.added":
      case "response.output_item.done":
        if (type === "response.output_item.added" && ++this.#items > MAX_ITEMS) {
          return new Failure("stream_corrupted", `the upstream's response has more than ${MAX_ITEMS} items`, {
            scope: "never",
          });
        }
        if (!isClientTool(json.item)) break;
        if (type === "response.output_item.added") {
          this.#openTools.add(json.output_index);
          this.toolCalls++;
        } else this.#openTools.delete(json.output_index);
        this.hasContent = true;
        return "tool-call";
    }
    const error = findOpenAiError(json, this.#stray.status);
    if (error !== undefined) return error;
    if (type === "ping" || (event === "ping" && json.type === undefined)) return "ignored";
    if (this.#openTools.has(json.output_index)) {
      if (typeof json.delta === "string") this.toolBytes += Buffer.byteLength(json.delta);
      return "tool-call";
    }
    if (!isContent(type, json)) return "meta";
    this.hasContent = true;
    // What a tool is called with is no text.
    if (typeof json.delta === "string" && !type.includes("_call")) this.characters += json.delta.length;
    return "content";
  }

  /** vLLM says `response.completed` whatever became of the response: its status is what counts. */
  #onFinal(response: JsonObject, status: unknown): Verdict {
    const problem = judgeEnd(response, status);
    if (problem !== undefined) return problem;
    this.#final = status;
    this.warning = warnOfStatus(status);
    if (hasOutput(response.output)) this.hasContent = true;
    return "final";
  }

  onStrayLine(line: string): Failure | undefined {
    return this.#stray.read(line);
  }

  hasOpenToolCall(): boolean {
    return this.#openTools.size > 0;
  }

  onEnd({ cause: broken, acceptEmpty }: StreamEnd): Failure | undefined {
    const cause = this.#stray.close() ?? broken;
    if (this.#final !== undefined) {
      // Incomplete says why in its own words: a filter, or no tokens left.
      if (this.hasContent || acceptEmpty || this.#final === "incomplete") return undefined;
      return new Failure("empty_stream", "the upstream ended its response without any output", { formallyWhole: true });
    }
    if (cause !== undefined) return cause;
    if (!this.hasContent) return new Failure("empty_stream", "the upstream answered 200 and sent no content");
    return new Failure("stream_truncated", "the upstream ended its stream before the response was completed");
  }
}

function inspectAnswer(answer: unknown, acceptEmpty: boolean, request: DialectRequest): Failure | undefined {
  if (answer === null) return new Failure("empty_stream", "the upstream answered 200 with a body of `null`");
  if (!isObject(answer)) return notAnObject(answer);
  const { status } = answer;
  // Asked for with `background`: the client comes back for the rest. A stream made of it would end without one.
  if (!request.stream && !answer.error && (status === "queued" || status === "in_progress")) return undefined;
  const problem = judgeEnd(answer, status);
  // Without the field JSON is whole by itself; but a stream of it would end without a status. Null says "not yet".
  const isSilent = status === undefined && !request.stream && hasOutput(answer.output);
  if (problem !== undefined && !(isSilent && problem.code === "stream_truncated")) return problem;
  if (hasOutput(answer.output) || acceptEmpty || status === "incomplete") return undefined;
  return new Failure("empty_stream", "the upstream's response has no output", { formallyWhole: true });
}

/** @throws Failure when the answer is not all there. */
function eventsToAnswer(events: readonly StreamEvent[]): unknown {
  const { response } = parseObject(events.at(-1)?.data ?? "") ?? {};
  if (!isObject(response) || holdsSomething(response.output)) return response;
  // The Codex backend and several gateways leave the items out of the last event; each came by itself when it was done.
  const items: { readonly index: number; readonly item: JsonObject }[] = [];
  const begun = new Set<unknown>();
  for (const { data } of events) {
    const { type, output_index, item, delta } = parseObject(data) ?? {};
    if (type === "response.output_item.done" && isObject(item)) {
      items.push({ index: Number(output_index), item });
      begun.delete(output_index);
    } else if (holdsSomething(delta) || isClientTool(item)) begun.add(output_index);
  }
  if (begun.size > 0) throw new Failure("stream_corrupted", "the upstream's last event does not hold what came before it");
  // A sort by numbers that are not there changes nothing.
  items.sort((a, b) => a.index - b.index);
  return { ...response, output: items.map(({ item }) => item) };
}
