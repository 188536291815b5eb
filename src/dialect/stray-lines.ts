/**
 * Lines of a stream that are no events. Words are a server's own (a traceback, a log line) and harmless; an object may be an error,
 * also over several lines; and debris of JSON is a piece of the answer that was lost, which must never be dropped in silence.
 */
import { Failure } from "../core/failure.ts";
import { EVENT_FIELD } from "../sse/decode.ts";
import { lostData } from "./event-names.ts";
import { isObject, type JsonObject, parseValue } from "./json.ts";
import { reportedError } from "./openai-error.ts";

export interface StrayLinesOptions {
  findError(json: JsonObject): Failure | undefined;
  /** An object that belongs into the answer. */
  isPart(json: JsonObject): boolean;
  /** An event of this name always holds a part of the answer. @defaultValue none does */
  isPartName?(name: string): boolean;
}

/** How much of an object over several lines is kept until it is whole. */
const MAX_OBJECT_CHARACTERS = 16_384;
/** What comes before JSON on a line that is nearly an event, or a comment that has lost the word `data`. */
const BEFORE_JSON = /^\s*:?\s*(?:data\s*:)?\s*/i;
/** The end of an object or a list, a key, or the end of a text. */
const DEBRIS = /^[}\]]|\}\s*,?\s*$|[\w"]"\s*:|",?\s*$/;
/** An object, or a list of objects; `[INFO] …` is neither. */
const BEGINS_JSON = /^(?:\{|\[\s*(?:\{|$))/;
/** `[DONE]`, or what is left of it: an end says nothing about pieces. */
const DONE = /^\[DONE\]$/;
const DONE_DEBRIS = /^(?:[^{}"]*[:\s])?(?:\[?D)?O?N?E?\]$/;
/** DashScope tells the status of an event in a comment before it. */
const STATUS_COMMENT = /^:\s*HTTP_STATUS\/(\d{3})\b/;

export class StrayLines {
  readonly #options: StrayLinesOptions;
  /** An object that was begun and is not whole. */
  #begun = "";
  /** A line that is neither an event nor a comment has come. */
  hasText = false;
  /** `[DONE]` came on a line of its own. */
  hasDone = false;
  /** The HTTP status that the last status comment named. */
  status: number | undefined;

  constructor(options: StrayLinesOptions) {
    this.#options = options;
  }

  /** @returns why the stream is over. */
  read(line: string): Failure | undefined {
    const [, status] = STATUS_COMMENT.exec(line) ?? [];
    if (status !== undefined) {
      // It is told of good events as well.
      this.status = Number(status) >= 400 ? Number(status) : undefined;
      return undefined;
    }
    if (line.startsWith(EVENT_FIELD)) return this.close() ?? this.#judgeName(line.slice(EVENT_FIELD.length));
    if (this.#begun !== "") return this.#goOn(line);
    const isComment = line.startsWith(":");
    const text = line.replace(BEFORE_JSON, "").trimEnd();
    if (DONE.test(text)) {
      if (!isComment) this.hasDone = true;
      return undefined;
    }
    if (!isComment) this.hasText = true;
    // llama.cpp before PR #16109 sent `error: {…}` as a field of its own.
    if (text.startsWith("error:")) return reportedError(text.slice("error:".length));
    const value = BEGINS_JSON.test(text) ? parseValue(text) : undefined;
    if (value !== undefined) return this.#judge(value);
    if (DONE_DEBRIS.test(text)) return undefined;
    if (BEGINS_JSON.test(text) && !isComment) {
      this.#begun = text;
      return undefined;
    }
    return DEBRIS.test(text) ? partOnStrayLine() : undefined;
  }

  /** An event that has nothing but a name: some are sent as signs of life. */
  #judgeName(name: string): Failure | undefined {
    if (name === "error") return reportedError("", this.status);
    if (this.#options.isPartName?.(name)) return lostData();
    return DEBRIS.test(name) ? partOnStrayLine() : undefined;
  }

  #goOn(line: string): Failure | undefined {
    this.#begun += `\n${line}`;
    if (this.#begun.length > MAX_OBJECT_CHARACTERS) return partOnStrayLine();
    if (!/[}\]]\s*$/.test(line)) return undefined;
    const value = parseValue(this.#begun);
    if (value === undefined) return undefined;
    this.#begun = "";
    return this.#judge(value);
  }

  #judge(value: unknown): Failure | undefined {
    for (const json of Array.isArray(value) ? value : [value]) {
      if (!isObject(json)) continue;
      const failure = this.#options.findError(json) ?? (this.#options.isPart(json) ? partOnStrayLine() : undefined);
      if (failure !== undefined) return failure;
    }
    return undefined;
  }

  /** An event has come, or the end: what was begun before it and is not whole was debris, unless only its last line is missing. */
  close(): Failure | undefined {
    if (this.#begun === "") return undefined;
    const begun = this.#begun;
    this.#begun = "";
    // Of a brace alone it cannot be said what it was.
    for (const last of begun.length > 1 ? ["}", "]", "}]"] : []) {
      const value = parseValue(`${begun}\n${last}`);
      if (value !== undefined) return this.#judge(value);
    }
    return partOnStrayLine();
  }
}

/** A line that is dropped, and should not be: it holds a piece of the answer. */
export function partOnStrayLine(): Failure {
  return new Failure("stream_corrupted", "the upstream sent a part of its answer on a line that is no event");
}
