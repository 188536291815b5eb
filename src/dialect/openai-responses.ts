/** OpenAI responses: typed, numbered events; whole when `response.completed` or `response.incomplete` came. */
import type { Dialect, DialectRequest, StreamEnd, StreamInspector } from "../core/dialect.ts";
import { Failure } from "../core/failure.ts";
import type { StreamEvent, Verdict } from "../core/stream-event.ts";
import { encodeNamed } from "../sse/encode.ts";
import { holdsSomething, isObject, type JsonObject, objectsOf, parseObject, strayObject } from "./json.ts";
import { askChoicesStreamed, DONE, readRequest } from "./openai-choices.ts";
import { findOpenAiError, openAiErrorBody, partOnStrayLine, reportedError } from "./openai-error.ts";
import { responseToEvents } from "./openai-response-to-events.ts";
import { QUESTION } from "./question.ts";
import { encodeResponsesError } from "./responses-error-event.ts";

export const openAiResponses: Dialect = {
  name: "openai-responses",
  operation: "chat",
  question: { fields: { input: QUESTION, max_output_tokens: 32 }, headers: {} },
  // The last event of the answer ends it, and cannot be made up: it holds the whole response.
  terminator: "",
  repairsTerminator: false,
  allowsComments: true,
  oneEventPerWrite: false,

  parseRequest: (body) => readRequest(body).request,
  askStreamed(body, stream) {
    // What goes on in the background is answered at once: the client comes back for it.
    if (isObject(body) && body.background === true) return undefined;
    const { stream_options, ...fields } = askChoicesStreamed(body, stream) ?? {};
    return fields;
  },
  inspectStream: () => new ResponsesInspector(),
  inspectAnswer,
  answerToEvents: (answer) => responseToEvents(answer as JsonObject),
  eventsToAnswer,
  encodeEvent: ({ event, data }) => encodeNamed(event ?? String(parseObject(data)?.type ?? "message"), data),
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

/** Why a response that is said to be over is not whole. @param status what it says of itself, or else its event. */
function judgeEnd(response: JsonObject, status: unknown): Failure | undefined {
  const error = findOpenAiError(response);
  if (error !== undefined) return error;
  if (status === "completed" || status === "incomplete") return undefined;
  if (status === "failed" || status === "cancelled") return reportedError(`the response is ${status}`);
  const said = typeof status === "string" ? `is only ${status.slice(0, 40)}` : "does not say that it is completed";
  return new Failure("stream_truncated", `the upstream's response ${said}`);
}

class ResponsesInspector implements StreamInspector {
  readonly #openTools = new Set<unknown>();
  #lastNumber: number | undefined;
  /** The status in which the response ended. */
  #final: unknown;
  hasContent = false;
  characters = 0;
  toolBytes = 0;

  onEvent({ event, data }: StreamEvent): Verdict {
    const text = data.trim();
    // Not part of this dialect, but servers that imitate it send it.
    if (text === "" || text === DONE) return "ignored";
    if (event === "error") return reportedError(text);
    const json = parseObject(text);
    if (json === undefined) return new Failure("stream_corrupted", "the upstream sent an event that is not a JSON object");
    return this.#findGap(json.sequence_number) ?? this.#judge(json);
  }

  #findGap(number: unknown): Failure | undefined {
    if (typeof number !== "number") return undefined;
    const last = this.#lastNumber ?? number - 1;
    if (number > last + 1) {
      return new Failure("stream_corrupted", `the upstream's events have a gap: number ${number} follows ${last}`);
    }
    // Gateways that send only zeros, or begin again, do not number their events: from there nothing is a gap.
    this.#lastNumber = number > last ? number : Number.POSITIVE_INFINITY;
    return undefined;
  }

  #judge(json: JsonObject): Verdict {
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
        if (!isClientTool(json.item)) break;
        if (type === "response.output_item.added") this.#openTools.add(json.output_index);
        else this.#openTools.delete(json.output_index);
        this.hasContent = true;
        return "tool-call";
    }
    if (json.error) return findOpenAiError(json) ?? "meta";
    if (type === "ping") return "ignored";
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
    if (hasOutput(response.output)) this.hasContent = true;
    return "final";
  }

  onStrayLine(line: string): Failure | undefined {
    if (line.startsWith("error:")) return reportedError(line.slice("error:".length));
    const json = strayObject(line);
    return json && (findOpenAiError(json) ?? (typeof json.type === "string" ? partOnStrayLine() : undefined));
  }

  hasOpenToolCall(): boolean {
    return this.#openTools.size > 0;
  }

  onEnd({ cause, acceptEmpty }: StreamEnd): Failure | undefined {
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
  if (!isObject(answer)) return new Failure("stream_corrupted", "the upstream's answer is not a JSON object");
  const { status } = answer;
  // Asked for with `background`: the client comes back for the rest. A stream made of it would end without one.
  if (!request.stream && !answer.error && (status === "queued" || status === "in_progress")) return undefined;
  const problem = judgeEnd(answer, status);
  if (problem !== undefined) return problem;
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
