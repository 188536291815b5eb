/** What a dialect must know so that an answer that broke can be asked to go on. */
import type { AnswerRecord, AnswerRecorder, SeamRule } from "./answer-record.ts";
import type { StreamEvent } from "./stream-event.ts";

/** How servers are asked to go on with an answer that they are given the beginning of. */
export type ContinuationStyle = "assistant" | "vllm" | "sglang" | "prefix" | "partial" | "llamacpp";

/** What may be taken for granted although it usually may not; see the settings of the same names. */
export interface Allowances {
  readonly tools: boolean;
  readonly structured: boolean;
}

export interface Continuing {
  /** Writes down one answer. */
  record(): AnswerRecorder;
  /** What in a request stands in the way of continuing its answer from a prefix. @param body parsed */
  obstacleIn(body: unknown, allowed: Allowances): SeamRule | undefined;
  /** The model makes the same answer each time it is asked: it takes the likeliest token, or one by a seed. */
  isDeterministic(body: unknown): { readonly greedy: boolean; readonly seeded: boolean };
  /**
   * The tokens that an answer may not go past, in the request's own words; 0 where it may be what the server takes for granted.
   * @param made so many, at least, it has already.
   */
  maxTokens(body: unknown, made: number): number | undefined;
  /** The answer must be one JSON text. @param body parsed */
  asksForJson(body: unknown): boolean;
  /** The request for the rest. @param maxTokens undefined for what the client asked. Undefined where that cannot be asked. */
  askRest(body: unknown, rest: AskRest): unknown;
  /** A question of its own to the same model, which thinks as it did for this request, but without chance. */
  askQuestion(body: unknown, question: string, maxTokens: number): unknown;
  /** The same request, made in the background, where the upstream keeps its answer. Undefined where that cannot be asked. */
  askInBackground?(body: unknown): unknown;
  /** The number of an event, in dialects that number theirs. */
  numberOf?(event: StreamEvent): number | undefined;
  /** Reads another leg of the answer, and makes its events those of the first. */
  openLeg(given: AnswerRecord, leg: LegOptions): Leg;
  /** No whitespace at the end of a prefix is taken. */
  readonly refusesTrailingSpace: boolean;
}

export interface AskRest {
  readonly prefix: string;
  readonly style: ContinuationStyle;
  readonly maxTokens: number | undefined;
}

export interface LegOptions {
  /** Tokens that the answer had cost where this leg begins; undefined where that is not known. */
  readonly tokensBefore: number | undefined;
  /** The leg is the whole answer made again: what it counts is true as it is. */
  readonly isWhole: boolean;
}

/** One event of a leg. */
export interface Piece {
  readonly text: string;
  /** The model whose answer it says that it is. */
  readonly model: string | undefined;
  /** So many tokens were read for the leg. */
  readonly promptTokens: number | undefined;
  /** What it brings that is no text of the answer. */
  readonly rule: SeamRule | undefined;
  /** It says that the answer has ended, and whether only because no more tokens were left; perhaps, where that comes next. */
  readonly finished: false | "perhaps" | "whole" | "length";
}

export interface Leg {
  read(event: StreamEvent): Piece;
  /**
   * The event as one of the answer that the client has, with `text` as its text.
   * Undefined for one that would say again what was said.
   */
  adapt(event: StreamEvent, text: string): StreamEvent | undefined;
}
