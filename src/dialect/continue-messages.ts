/** How Anthropic's messages go on after a break: the beginning of the answer as a last message of the assistant's. */
import type { AnswerRecord, SeamRule } from "../core/answer-record.ts";
import type { Allowances, Continuing, Leg, LegOptions, Piece } from "../core/continuing.ts";
import type { StreamEvent } from "../core/stream-event.ts";
import { type Reading, TextRecorder } from "./answer-recorder.ts";
import { asCount, countOf, whoAnswers } from "./continue-choices.ts";
import { holdsSomething, isObject, type JsonObject, objectsOf, parseObject } from "./json.ts";

export const continueMessages: Continuing = {
  record: () => new TextRecorder(readGiven),
  isDeterministic(body) {
    const { temperature, top_k } = isObject(body) ? body : {};
    return { greedy: temperature === 0 || top_k === 1, seeded: false };
  },
  maxTokens: (body) => (isObject(body) ? countOf(body.max_tokens) : undefined),
  asksForJson: (body) => isObject(body) && isStructured(body),
  openLeg: (given, leg) => new MessageLeg(given, leg),
  // "final assistant content cannot end with trailing whitespace"
  refusesTrailingSpace: true,
  askQuestion: (body, content, maxTokens) => ({
    ...whoAnswers(body),
    messages: [{ role: "user", content }],
    temperature: 0,
    max_tokens: maxTokens,
  }),

  obstacleIn: (body, allowed) => (isObject(body) ? obstacleInMessages(body, allowed) : "unsupported"),

  askRest(body, { prefix, style, maxTokens }) {
    if (!isObject(body) || !Array.isArray(body.messages) || !TAKES_PREFIX.has(style)) return undefined;
    const messages = [...body.messages, { role: "assistant", content: prefix }];
    return { ...body, ...(maxTokens === undefined ? {} : { max_tokens: maxTokens }), messages, stream: true };
  },
};

/** The API has no flags for it: either a last message of the assistant's is gone on with, or it is not. */
const TAKES_PREFIX: ReadonlySet<string> = new Set(["assistant", "llamacpp"]);

/** Claude up to 4.5 goes on with the last message of the assistant's; later models refuse it. Other models are not known to refuse. */
const REFUSES_PREFIX = /claude-(?:opus|sonnet|haiku|fable|mythos)-(?:4-[6-9]|4\.[6-9]|[5-9])/i;

function obstacleInMessages(body: JsonObject, allowed: Allowances): SeamRule | undefined {
  if (!Array.isArray(body.messages) || REFUSES_PREFIX.test(String(body.model))) return "unsupported";
  const choice = isObject(body.tool_choice) ? body.tool_choice.type : undefined;
  if (!allowed.tools && (holdsSomething(body.tools) || holdsSomething(body.mcp_servers)) && choice !== "none") return "tools";
  if (isObject(body.thinking) && body.thinking.type !== "disabled") return "thinking";
  if (holdsSomething(body.stop_sequences)) return "stop";
  if (!allowed.structured && isStructured(body)) return "structured";
  if (objectsOf(body.messages).at(-1)?.role === "assistant") return "prefilled";
  return undefined;
}

function isStructured({ output_format, output_config }: JsonObject): boolean {
  return holdsSomething(output_format) || (isObject(output_config) && holdsSomething(output_config.format));
}

/** Some servers name their events, some write it into their data. */
function typeOf({ event }: StreamEvent, { type }: JsonObject): unknown {
  return type ?? event;
}

/** What a block that is no plain text stands in the way for. */
function ruleOfBlock(type: unknown): SeamRule | undefined {
  if (type === "text") return undefined;
  if (/thinking/.test(String(type))) return "reasoning";
  return /tool/.test(String(type)) ? "tools" : "other-content";
}

function readGiven(event: StreamEvent): Reading {
  const json = parseObject(event.data) ?? {};
  const none: Reading = { text: "", rules: [] };
  switch (typeOf(event, json)) {
    case "message_start": {
      const message = isObject(json.message) ? json.message : {};
      const { id, model, usage } = message;
      return { ...none, head: { id, model }, promptTokens: promptOf(usage) };
    }
    case "content_block_start": {
      const block = isObject(json.content_block) ? json.content_block : {};
      const rule = ruleOfBlock(block.type);
      return {
        text: typeof block.text === "string" && rule === undefined ? block.text : "",
        rules: rule === undefined ? (holdsSomething(block.citations) ? ["other-content"] : []) : [rule],
        block: asCount(json.index),
      };
    }
    case "content_block_delta": {
      const { text, rule } = readDelta(json.delta);
      return { text, rules: rule === undefined ? [] : [rule] };
    }
    case "content_block_stop":
      // What follows would be a new block, and nobody knows whether one was to follow.
      return { ...none, rules: ["blocks"] };
    case "message_delta":
      return isObject(json.delta) && typeof json.delta.stop_reason === "string" ? { ...none, rules: ["finished"] } : none;
  }
  return none;
}

function readDelta(delta: unknown): { readonly text: string; readonly rule: SeamRule | undefined } {
  if (!isObject(delta)) return { text: "", rule: undefined };
  if (delta.type === "text_delta" || (delta.type === undefined && typeof delta.text === "string"))
    return { text: typeof delta.text === "string" ? delta.text : "", rule: undefined };
  if (delta.type === "thinking_delta" || delta.type === "signature_delta") return { text: "", rule: "reasoning" };
  return { text: "", rule: delta.type === "input_json_delta" ? "tools" : "other-content" };
}

/** All that was read for the answer, whether from a cache or not. */
function promptOf(usage: unknown): number | undefined {
  if (!isObject(usage)) return undefined;
  const read = asCount(usage.input_tokens);
  if (read === undefined) return undefined;
  return read + (asCount(usage.cache_creation_input_tokens) ?? 0) + (asCount(usage.cache_read_input_tokens) ?? 0);
}

function finishOf(delta: unknown): Piece["finished"] | undefined {
  if (!isObject(delta) || typeof delta.stop_reason !== "string") return undefined;
  return delta.stop_reason === "max_tokens" ? "length" : "whole";
}

class MessageLeg implements Leg {
  readonly #given: AnswerRecord;
  readonly #options: LegOptions;
  #prompt: number | undefined;
  /** The block of this leg that goes on the open one, and by how much all are renumbered. */
  #shift: number | undefined;

  constructor(given: AnswerRecord, options: LegOptions) {
    this.#given = given;
    this.#options = options;
  }

  read(event: StreamEvent): Piece {
    const json = parseObject(event.data) ?? {};
    const { text, rules, head, promptTokens } = readGiven(event);
    this.#prompt = promptTokens ?? this.#prompt;
    if (typeOf(event, json) === "content_block_start") this.#shift ??= (this.#given.block ?? 0) - (asCount(json.index) ?? 0);
    return {
      text,
      model: typeof head?.model === "string" ? head.model : undefined,
      promptTokens,
      rule: rules.find((rule) => rule !== "finished" && rule !== "blocks"),
      finished: finishOf(json.delta) ?? (rules.includes("blocks") ? "perhaps" : false),
    };
  }

  adapt(event: StreamEvent, text: string): StreamEvent | undefined {
    const json = parseObject(event.data) ?? {};
    const type = typeOf(event, json);
    const at = asCount(json.index);
    const index = at === undefined ? {} : { index: at + (this.#shift ?? 0) };
    const as = (fields: JsonObject, characters = 0): StreamEvent => ({
      // Clients go by the one or by the other, and the first leg may have had both.
      event: typeof type === "string" ? type : event.event,
      data: JSON.stringify({ type, ...json, ...index, ...fields }),
      characters,
    });
    switch (type) {
      case "message_start":
        return undefined;
      case "content_block_start": {
        if (index.index !== this.#given.block) return as({});
        // The block is open; the text that came with its start is still to be told.
        if (text === "") return undefined;
        return {
          event: "content_block_delta",
          data: JSON.stringify({ type: "content_block_delta", ...index, delta: { type: "text_delta", text } }),
          characters: text.length,
        };
      }
      case "content_block_delta": {
        const delta = isObject(json.delta) ? json.delta : {};
        if (typeof delta.text !== "string" || readDelta(delta).rule !== undefined) return as({});
        return text === "" ? undefined : as({ delta: { ...delta, text } }, text.length);
      }
      case "message_delta":
        return as({ usage: this.#countUsage(json.usage) });
    }
    return as({});
  }

  /** What was read for this leg beyond the first was made by the first: the tokens of the prefix. */
  #countUsage(usage: unknown): unknown {
    if (!isObject(usage) || this.#options.isWhole) return usage;
    const made = asCount(usage.output_tokens);
    const before = this.#given.promptTokens;
    if (made === undefined || before === undefined || this.#prompt === undefined) return usage;
    const { input_tokens: _input, cache_read_input_tokens: _read, cache_creation_input_tokens: _made, ...rest } = usage;
    return { ...rest, output_tokens: made + Math.max(0, this.#prompt - before) };
  }
}
