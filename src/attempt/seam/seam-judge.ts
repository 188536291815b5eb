/**
 * Decides whether a second leg goes on with the answer that the client has. What it expects must come to the letter; nothing is ever
 * trimmed, mended or matched nearly.
 */
import type { SeamRule } from "../../core/answer-record.ts";
import { looksEnded, suspect } from "./heuristics.ts";
import { findRoleToken } from "./role-tokens.ts";

export interface SeamJudgeOptions {
  /** What the client has. */
  readonly given: string;
  /** What the leg must begin with, and what is swallowed: the tail, or the whole answer. Empty where the server is proved instead. */
  readonly expected: string;
  /** The leg may begin with this in place of `expected`, since some servers repeat the prefix. */
  readonly echo: string | undefined;
  /** Behind what is expected nothing proves the leg: its first words are looked at before they are shown. */
  readonly isSuspect: boolean;
}

export type Judgement =
  | { readonly kind: "more" }
  /** @param swallow so many characters of the leg are what the client has. */
  | { readonly kind: "accepted"; readonly swallow: number }
  | { readonly kind: "refused"; readonly rule: SeamRule };

const MORE: Judgement = { kind: "more" };

/** So much of a suspect leg is looked at before any of it is shown. */
const HEAD = 32;
/** So far into the leg a role token says that it speaks as somebody else. */
const NEAR_SEAM = 160;

export class SeamJudge {
  readonly #options: SeamJudgeOptions;
  readonly #expected: Comparison;
  readonly #echo: Comparison | undefined;

  constructor(options: SeamJudgeOptions) {
    this.#options = options;
    this.#expected = new Comparison(options.expected);
    this.#echo = options.echo === undefined ? undefined : new Comparison(options.echo);
  }

  /** More text of the leg has come. */
  add(text: string): Judgement {
    const { expected, echo, isSuspect } = this.#options;
    this.#expected.add(text);
    this.#echo?.add(text);
    if (echo !== undefined && this.#echo?.isEqual) return this.#echo.isComplete ? accepted(echo.length) : MORE;
    if (!this.#expected.isEqual) return refused("tail");
    if (!this.#expected.isComplete || (isSuspect && this.#expected.beyond.length < HEAD)) return MORE;
    return this.#judgeHead(expected);
  }

  /** The leg has ended, well, before it was accepted. */
  end(): Judgement {
    const { expected, given } = this.#options;
    // What might have become an echo is none.
    if (!this.#expected.isEqual || !this.#expected.isComplete) return refused("tail");
    if (this.#expected.beyond !== "" || expected !== "") return this.#judgeHead(expected);
    // Perhaps only the end of the answer was missing, perhaps the server took it for ended.
    return looksEnded(given) ? accepted(0) : refused("empty");
  }

  /** What was expected has come. */
  #judgeHead(expected: string): Judgement {
    const { given, isSuspect } = this.#options;
    const head = this.#expected.beyond;
    if (findRoleToken(head.slice(0, NEAR_SEAM)) !== undefined) return refused("role-token");
    const rule = isSuspect ? suspect(given, head) : undefined;
    return rule === undefined ? accepted(expected.length) : refused(rule);
  }
}

/** Compares what comes in pieces with a text, each piece once: an answer of a hundred thousand words may come again. */
class Comparison {
  readonly #text: string;
  #at = 0;
  /** What came behind the text. */
  beyond = "";
  /** As far as both go. */
  isEqual = true;

  constructor(text: string) {
    this.#text = text;
  }

  get isComplete(): boolean {
    return this.#at >= this.#text.length;
  }

  add(piece: string): void {
    const due = piece.slice(0, this.#text.length - this.#at);
    this.isEqual &&= this.#text.startsWith(due, this.#at);
    this.#at += due.length;
    this.beyond += piece.slice(due.length);
  }
}

/** Watches the first words behind a seam that was accepted. */
export class SeamWatch {
  #seen = "";

  /** @returns whether a role token has come. */
  add(text: string): boolean {
    if (this.#seen.length >= NEAR_SEAM) return false;
    this.#seen += text;
    return findRoleToken(this.#seen.slice(0, NEAR_SEAM)) !== undefined;
  }
}

function accepted(swallow: number): Judgement {
  return { kind: "accepted", swallow };
}

function refused(rule: SeamRule): Judgement {
  return { kind: "refused", rule };
}
