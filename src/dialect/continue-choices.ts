/** How answers with choices go on after a break: what chat and completions have in common. */
import type { AnswerRecord, SeamRule } from "../core/answer-record.ts";
import type { Leg, LegOptions, Piece } from "../core/continuing.ts";
import type { StreamEvent } from "../core/stream-event.ts";
import { type Reading, TextRecorder } from "./answer-recorder.ts";
import { readFinish } from "./finish-word.ts";
import { holdsSomething, isObject, type JsonObject, objectsOf, parseObject } from "./json.ts";

/** Where a choice holds its text, and what else it may hold. */
export interface ChoiceShape {
  read(choice: JsonObject): { readonly text: string; readonly rule: SeamRule | undefined };
  /** The choice with this text in place of its own, and without the name of who speaks. */
  write(choice: JsonObject, text: string): JsonObject;
}

export function recordChoices(shape: ChoiceShape): TextRecorder {
  return new TextRecorder(({ data }): Reading => {
    const chunk = parseObject(data) ?? {};
    const { text, rules, promptTokens } = readChunk(chunk, shape);
    return {
      text,
      rules,
      head: headOf(chunk),
      tokens: isObject(chunk.usage) ? asCount(chunk.usage.completion_tokens) : undefined,
      promptTokens,
    };
  });
}

/** The fields of a chunk that say which answer it belongs to; undefined where it has no choice, as Azure's first. */
function headOf(chunk: JsonObject): JsonObject | undefined {
  if (objectsOf(chunk.choices).length === 0) return undefined;
  return Object.fromEntries(HEAD.filter((key) => key in chunk).map((key) => [key, chunk[key]]));
}

const HEAD = ["id", "created", "model", "system_fingerprint", "provider"];

interface ChunkReading extends Omit<Piece, "rule"> {
  readonly rules: readonly SeamRule[];
}

function readChunk(chunk: JsonObject, shape: ChoiceShape): ChunkReading {
  const rules: SeamRule[] = [];
  let text = "";
  let finished: Piece["finished"] = false;
  const choices = objectsOf(chunk.choices);
  // Clients differ in what they read where one choice comes twice.
  if (choices.length > 1) rules.push("choices");
  for (const choice of choices) {
    if (Number(choice.index ?? 0) !== 0) rules.push("choices");
    if (holdsSomething(choice.logprobs)) rules.push("logprobs");
    // They are those of the tail as well, and cannot be cut as its text is.
    if (TOKENS_OF_CHOICE.some((key) => holdsSomething(choice[key]))) rules.push("other-content");
    const said = shape.read(choice);
    if (said.rule !== undefined) rules.push(said.rule);
    text += said.text;
    if (readFinish(choice.finish_reason) !== undefined) {
      finished = LENGTH.test(String(choice.finish_reason)) ? "length" : "whole";
      rules.push("finished");
    }
  }
  return {
    text,
    rules,
    finished,
    model: typeof chunk.model === "string" ? chunk.model : undefined,
    promptTokens: isObject(chunk.usage) ? asCount(chunk.usage.prompt_tokens) : undefined,
  };
}

const TOKENS_OF_CHOICE = ["token_ids", "prompt_token_ids", "prompt_logprobs"];

/** No tokens were left. */
const LENGTH = /^(?:length|model_length|max_tokens)$/i;

export class ChoicesLeg implements Leg {
  readonly #given: AnswerRecord;
  readonly #options: LegOptions;
  readonly #shape: ChoiceShape;

  constructor(given: AnswerRecord, options: LegOptions, shape: ChoiceShape) {
    this.#given = given;
    this.#options = options;
    this.#shape = shape;
  }

  read({ data }: StreamEvent): Piece {
    const { rules, ...said } = readChunk(parseObject(data) ?? {}, this.#shape);
    return { ...said, rule: rules.find((rule) => rule !== "finished") };
  }

  adapt(event: StreamEvent, text: string): StreamEvent | undefined {
    const chunk = parseObject(event.data) ?? {};
    const choices = objectsOf(chunk.choices).map((choice) => this.#shape.write(choice, text));
    const counted = this.#countUsage(chunk.usage);
    // A chunk that named the speaker, or counted what cannot be counted any more, has nothing left to say.
    const says = choices.some((choice) => !isBlank(choice)) || (choices.length === 0 && counted !== undefined);
    if (!says) return undefined;
    const { usage: _usage, ...rest } = chunk;
    const usage = counted ?? (chunk.usage === null ? null : undefined);
    const data = JSON.stringify({ ...rest, ...this.#given.head, choices, ...(usage === undefined ? {} : { usage }) });
    return { event: event.event, data, characters: text.length };
  }

  /** The prompt of the first leg and the tokens of both; undefined where they are not known. */
  #countUsage(usage: unknown): JsonObject | undefined {
    if (!isObject(usage)) return undefined;
    if (this.#options.isWhole) return usage;
    const prompt = this.#given.promptTokens;
    const made = asCount(usage.completion_tokens);
    const { tokensBefore } = this.#options;
    if (prompt === undefined || made === undefined || tokensBefore === undefined) return undefined;
    const completion = tokensBefore + made;
    return { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion };
  }
}

/** It neither says anything nor ends. */
function isBlank({ index: _index, finish_reason, logprobs: _logprobs, ...rest }: JsonObject): boolean {
  const { delta, text, ...others } = rest;
  const said = isObject(delta) ? Object.values(delta).some(holdsSomething) : holdsSomething(text);
  return !said && readFinish(finish_reason) === undefined && !Object.values(others).some(holdsSomething);
}

/** Fields that hold for both: what the request asks of its answer that a second leg cannot keep. */
export function obstacleInChoices(body: JsonObject, allowed: { readonly structured: boolean }): SeamRule | undefined {
  if (Number(body.n ?? 1) > 1 || Number(body.best_of ?? 1) > 1 || body.use_beam_search === true) return "choices";
  if (body.logprobs || Number(body.top_logprobs ?? 0) > 0 || body.prompt_logprobs) return "logprobs";
  if (STOPS.some((key) => holdsSomething(body[key]))) return "stop";
  if (body.echo) return "echo";
  if (TOKEN_LISTS.some((key) => isSet(body[key]))) return "logprobs";
  // How many of them the first leg has made is not known.
  if (countOf(body.min_tokens) !== undefined) return "max-tokens";
  if (!allowed.structured && (holdsStructure(body.response_format) || STRUCTURED.some((key) => isSet(body[key]))))
    return "structured";
  return undefined;
}

/** Texts that end an answer, by the names that servers have for them: of one that the seam cuts, no server sees the two halves. */
const STOPS = ["stop", "stop_regex", "stop_strings", "stop_sequences", "custom_stopping_strings"];

/** What asks for tokens beside the text: they would be told twice. */
const TOKEN_LISTS = ["return_token_ids", "return_tokens", "return_prompt_token_ids", "return_tokens_as_token_ids"];

/** Grammars and schemas, by the names that servers have for them. */
const STRUCTURED = [
  "grammar",
  "json_schema",
  "structured_outputs",
  "guided_json",
  "guided_regex",
  "guided_choice",
  "guided_grammar",
  "regex",
  "ebnf",
  "structural_tag",
  "format",
];

const isSet = (value: unknown): boolean => value !== undefined && value !== null && value !== false && value !== "";

/** Its answer is one JSON text. */
export function asksForJson(body: unknown): boolean {
  if (!isObject(body)) return false;
  const format = isObject(body.response_format) ? body.response_format.type : body.format;
  return /json/.test(String(format)) || isSet(body.json_schema);
}

function holdsStructure(format: unknown): boolean {
  return isSet(format) && !(isObject(format) && format.type === "text");
}

/** The likeliest token each time, or the same random numbers each time. */
export function determinismOf(body: unknown): { readonly greedy: boolean; readonly seeded: boolean } {
  const { temperature, top_k, seed } = isObject(body) ? body : {};
  return { greedy: temperature === 0 || top_k === 1, seeded: typeof seed === "number" };
}

export function maxTokensOf(body: unknown): number | undefined {
  if (!isObject(body)) return undefined;
  const limits = LIMITS.map((key) => countOf(body[key])).filter((value) => value !== undefined);
  return limits.length === 0 ? undefined : Math.min(...limits);
}

/** A number above 0, or one in words, which servers take as well. */
export function countOf(value: unknown): number | undefined {
  const count = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
  return typeof count === "number" && count > 0 ? count : undefined;
}

const LIMITS = ["max_tokens", "max_completion_tokens", "n_predict"];

/** Fields that say which model answers, and how it thinks. */
const WHO_ANSWERS = [
  "model",
  "enable_thinking",
  "thinking",
  "thinking_budget",
  "chat_template_kwargs",
  "chat_template",
  "reasoning_effort",
  "reasoning",
  "provider",
  "safe_prompt",
];

/** What of a request decides how its model begins an answer, whatever the question. */
export function whoAnswers(body: unknown): JsonObject {
  const fields = isObject(body) ? body : {};
  return Object.fromEntries(WHO_ANSWERS.filter((key) => key in fields).map((key) => [key, fields[key]]));
}

/** The limits of the request, where it has any, lowered to what is left. */
export function withMaxTokens(body: JsonObject, maxTokens: number | undefined): JsonObject {
  if (maxTokens === undefined) return body;
  const lowered = LIMITS.filter((key) => countOf(body[key]) !== undefined);
  return { ...body, ...Object.fromEntries(lowered.map((key) => [key, maxTokens])) };
}

export function asCount(value: unknown): number | undefined {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 ? value : undefined;
}
