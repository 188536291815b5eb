/** Where an answer that broke is cut, so that the rest can be asked for and proved: always at the end of an event. */
import type { AnswerRecord, SeamRule } from "../../core/answer-record.ts";
import { findRoleToken } from "./role-tokens.ts";

export interface CutOptions {
  /** Fewest characters of an answer that is continued. */
  readonly minChars: number;
  /** Fewest characters that are left out of the prefix, and must come again. 0 for none. */
  readonly tail: number;
  /** The upstream refuses a prefix that ends in whitespace. */
  readonly refusesTrailingSpace: boolean;
  /** The upstream takes whitespace off the end of a prefix: it must come again. */
  readonly trims?: boolean;
}

export interface Cut {
  /** What the upstream is given. */
  readonly prefix: string;
  /** What must come first of the rest. */
  readonly tail: string;
  /** It stands nowhere else in the answer: a rest that begins with it can begin nowhere else. True of an empty one. */
  readonly isTelling: boolean;
  /** Tokens that the prefix had cost; undefined where the upstream did not say. */
  readonly tokens: number | undefined;
}

/** Characters. A longer tail costs more than the questions that prove a server, since all of it is made again. */
const LONGEST_TAIL = 96;

/** @returns the rule by which the answer is not continued, or the cut. */
export function chooseCut(record: AnswerRecord, options: CutOptions): Cut | SeamRule {
  const { text, ends, tokens } = record;
  // A character that is not whole would become another one on the way.
  if (!text.isWellFormed()) return "surrogates";
  if (findRoleToken(text) !== undefined) return "role-token";
  if (text.length < options.minChars) return "too-short";
  const tail = Math.max(options.tail, options.trims === true ? text.length - text.trimEnd().length : 0);
  let shortest: Cut | undefined;
  // Events are the boundaries of tokens, which text, words and whitespace are not.
  for (let index = ends.length - 1; index >= 0; index--) {
    const end = ends[index] ?? 0;
    if (text.length - end < tail || !isBetweenGraphemes(text, end)) continue;
    if (options.refusesTrailingSpace && /\s$/.test(text.slice(0, end))) continue;
    const isTelling = options.tail === 0 || tellsPlace(text, end);
    const counted = tokens[index];
    // Each event brought one at least: gateways exist that always count none.
    const made = counted !== undefined && counted > index ? counted : undefined;
    const cut = { prefix: text.slice(0, end), tail: text.slice(end), tokens: made, isTelling };
    if (isTelling && (shortest === undefined || cut.tail.length <= LONGEST_TAIL)) return cut;
    shortest ??= cut;
    if (cut.tail.length > LONGEST_TAIL) break;
  }
  // All of it would have to come again: that is another way to ask.
  return shortest ?? "too-short";
}

/**
 * An answer that says the same again and again, as a refrain, a table or code do, would be gone on with at another place of it:
 * anew, where its tail is also its beginning. Whitespace alone comes again where a space is lost or doubled.
 */
function tellsPlace(text: string, at: number): boolean {
  const tail = text.slice(at);
  return text.indexOf(tail) === at && /\S/.test(tail);
}

const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });
/** More than the longest sequence of emoji. */
const NEAR = 64;

/** An accent, or the second half of an emoji, is no beginning. */
function isBetweenGraphemes(text: string, at: number): boolean {
  if (at >= text.length) return true;
  const from = Math.max(0, at - NEAR);
  const near = text.slice(from, at + NEAR);
  return graphemes.segment(near).containing(at - from)?.index === at - from;
}
