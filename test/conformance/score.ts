/** What a target's results add up to, and the bar that Perennial has to clear. */
import { MISLED, NOTICED, VERDICTS } from "./judge.ts";
import type { Result } from "./run-cases.ts";

export interface Score {
  readonly target: string;
  readonly cases: number;
  readonly whole: number;
  readonly typed: number;
  readonly noticed: number;
  readonly misled: number;
  /** Share of the cases in which the client was not misled, in percent, rounded down: 100 means all. */
  readonly percent: number;
  readonly recoveries: number;
  /** A fault, then a whole answer: the client got the whole answer. */
  readonly recovered: number;
}

export function scoreOf(target: string, all: readonly Result[]): Score {
  const mine = all.filter((result) => result.target === target);
  const results = mine.filter((result) => result.case.kind === "fault");
  const recoveries = mine.filter((result) => result.case.kind === "recovery");
  const count = (test: (result: Result) => boolean): number => results.filter(test).length;
  const misled = count(({ verdict }) => MISLED.has(verdict));
  return {
    target,
    cases: results.length,
    whole: count(({ verdict }) => verdict === "whole"),
    typed: count(({ verdict }) => verdict === "typed error"),
    noticed: count(({ verdict }) => NOTICED.has(verdict)),
    misled,
    percent: results.length === 0 ? 100 : Math.floor((1000 * (results.length - misled)) / results.length) / 10,
    recoveries: recoveries.length,
    recovered: recoveries.filter(({ verdict }) => verdict === "whole").length,
  };
}

/** Perennial's own contract: a whole answer where one is to be had, else an error that clients raise on, and nothing irregular. */
export function keepsContract({ verdict, breaches, case: { must, isRefusal } }: Result): boolean {
  if (breaches.length > 0) return false;
  if (verdict === "whole") return true;
  // The upstream's own refusal is passed on byte for byte, whatever its body is.
  return must === "whole or error" && (verdict === "typed error" || (verdict === "bare status" && isRefusal));
}

/** The result that serves a client worst; the first of equals. */
export function worstOf(results: readonly Result[]): Result | undefined {
  return results.toSorted((a, b) => VERDICTS.indexOf(b.verdict) - VERDICTS.indexOf(a.verdict))[0];
}
