/** One try against one upstream, as it is reported: numbered from 1, with its duration and how it failed. */
import type { SeamRule } from "./answer-record.ts";
import type { FailureCode } from "./failure.ts";

export interface Attempt {
  readonly number: number;
  /** The upstream's configured name. */
  readonly upstream: string;
  /** Unix time in milliseconds, for logs and traces alone. */
  readonly startedAt: number;
  durationMs: number;
  /** Undefined while it runs, and when it succeeded. */
  failure: FailureCode | undefined;
  /** The upstream's HTTP status, once known. */
  status: number | undefined;
  /** By which rule it was refused as the rest of an answer. */
  seam?: SeamRule | undefined;
  /** Of another leg of an answer; undefined where nothing was, or nothing came. */
  paidTwice?: PaidTwice | undefined;
  /** What its answer called the model, where clients are told the name that they used. */
  servedModel?: string | undefined;
  /**
   * For the log, in words of ours. What was odd about a whole answer and did not undo it: a finish that is not known, an error behind
   * the end. Or what can be mended: a refused key, an empty account.
   */
  warning?: string | undefined;
  /** It began beside one that was slow (`hedge`). */
  readonly hedge?: true;
  /** Another one beside it was faster: it was ended for that, and has neither failed nor succeeded. */
  lost?: true;
}

/** Whose answer it is, or whose failure was the last. */
export function decisiveOf(attempts: readonly Attempt[]): Attempt | undefined {
  return attempts.findLast(({ lost }) => lost !== true);
}

/** Tokens that were paid for once more: a prompt that was read again, and words that were made again. */
export interface PaidTwice {
  readonly tokens: number;
  /** As the upstream counted them, or by the length of the texts. */
  readonly from: "usage" | "estimate";
}

/** What all the legs of an answer cost that had been paid for; undefined where it was made in one. */
export function paidTwiceBy(attempts: readonly Attempt[]): PaidTwice | undefined {
  const legs = attempts.flatMap(({ paidTwice }) => paidTwice ?? []);
  if (legs.length === 0) return undefined;
  const tokens = legs.reduce((sum, leg) => sum + leg.tokens, 0);
  return { tokens, from: legs.every(({ from }) => from === "usage") ? "usage" : "estimate" };
}
