/** What a target's results add up to, and the bar that Perennial has to clear. */
import type { Case } from "./cases.ts";
import type { Dialect } from "./dialects.ts";
import { MISLED, NOTICED, VERDICTS } from "./judge.ts";
import type { Result } from "./run-cases.ts";

export interface Score {
  readonly target: string;
  readonly cases: number;
  readonly whole: number;
  readonly typed: number;
  readonly noticed: number;
  readonly misled: number;
  /** Errors of a target that answered healthy requests with errors too: they count neither as told nor as delivered. */
  readonly unserved: number;
  /** Share of the cases in which the client was not misled, in percent, rounded down: 100 means all. */
  readonly percent: number;
  /** Of the cases in which the whole answer can be had, those in which the client got it. */
  readonly delivered: number;
  readonly deliverable: number;
  /** The same in percent, rounded down. */
  readonly deliveredPercent: number;
  readonly recoveries: number;
  /** A fault, then a whole answer: the client got the whole answer. */
  readonly recovered: number;
}

export function scoreOf(target: string, all: readonly Result[]): Score {
  // What needs a setup has rows of its own, and not every target in them.
  const mine = all.filter((result) => result.target === target && result.case.setup === undefined);
  const results = mine.filter((result) => result.case.kind === "fault");
  const recoveries = mine.filter((result) => result.case.kind === "recovery");
  const count = (test: (result: Result) => boolean): number => results.filter(test).length;
  const misled = count(({ verdict }) => MISLED.has(verdict));
  const unserved = count(({ verdict }) => verdict === "no service");
  const deliverable = mine.filter((result) => result.case.must === "whole");
  const delivered = deliverable.filter(({ verdict }) => verdict === "whole").length;
  return {
    target,
    cases: results.length,
    whole: count(({ verdict }) => verdict === "whole"),
    typed: count(({ verdict }) => verdict === "typed error"),
    noticed: count(({ verdict }) => NOTICED.has(verdict)),
    misled,
    unserved,
    percent: percentOf(results.length - misled - unserved, results.length),
    delivered,
    deliverable: deliverable.length,
    deliveredPercent: percentOf(delivered, deliverable.length),
    recoveries: recoveries.length,
    recovered: recoveries.filter(({ verdict }) => verdict === "whole").length,
  };
}

/** Those of one API, as far as one upstream is enough for them. */
export function resultsIn(dialect: Dialect, results: readonly Result[]): Result[] {
  return results.filter((result) => result.case.dialect === dialect && result.case.setup === undefined);
}

export interface Whole {
  /** The client got the whole answer, of those in which it can be had. */
  readonly whole: number;
  readonly can: number;
  /** Of all. */
  readonly misled: number;
  readonly all: number;
}

/** The cases of a kind; undefined where the target was not asked any. */
export function wholeOf(target: string, kind: Case["kind"], all: readonly Result[]): Whole | undefined {
  const mine = all.filter((result) => result.target === target && result.case.kind === kind);
  const isWhole = ({ verdict }: Result): boolean => verdict === "whole";
  const can = mine.filter(({ case: { must } }) => must === "whole");
  const misled = mine.filter(({ verdict }) => MISLED.has(verdict)).length;
  if (mine.length === 0) return undefined;
  return { whole: can.filter(isWhole).length, can: can.length, misled, all: mine.length };
}

/** Whether it served healthy requests while it was tried. */
export function isServing({ unserved, cases }: Score): boolean {
  return unserved <= cases / 2;
}

function percentOf(part: number, all: number): number {
  return all === 0 ? 100 : Math.floor((1000 * part) / all) / 10;
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
