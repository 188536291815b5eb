/** The one decision after each attempt, and before the first: what to try next, or with which failure to give up. */
import type { Candidate } from "../balance/candidate.ts";
import type { AnswerRecord, SeamRule } from "../core/answer-record.ts";
import type { Attempt } from "../core/attempt.ts";
import { Failure, type FailureCode } from "../core/failure.ts";
import { type AskLeg, breakOf, type NextLegOptions, nextLeg } from "./seam/next-leg.ts";

export interface AttemptPolicyOptions {
  readonly candidate: Candidate;
  readonly retry: RetryOptions;
  /** How the client asked: streamed, not streamed, or in no dialect that is known, so that the body is passed through. */
  readonly kind: "streamed" | "whole" | "passthrough";
  /** Safe to send twice. */
  readonly idempotent: boolean;
  /** How an answer goes on that breaks once clients have some of it; undefined where it does not. */
  readonly afterBreak?: NextLegOptions | undefined;
}

export interface RetryOptions {
  readonly maxAttempts: number;
  /** Times in milliseconds. */
  readonly backoff: { readonly initial: number; readonly factor: number; readonly max: number; readonly jitter: boolean };
  /** The longest wait that an upstream may ask for, in milliseconds; asked for more, we give up at once. */
  readonly maxRetryAfter: number;
}

/** How an upstream is asked: with the client's own request, or with the same request not streamed or streamed; or for the rest of an answer. */
export type Ask = "as-asked" | "whole" | "via-stream" | AskLeg;

export interface AttemptPlan {
  readonly candidate: Candidate;
  readonly ask: Ask;
  /** The wait before it begins, in milliseconds. */
  readonly delayMs: number;
  /** An answer that is formally whole and empty is taken for the answer: a model may have nothing to say. */
  readonly acceptEmpty: boolean;
}

/** An attempt that is over. */
export interface PastAttempt {
  readonly attempt: Attempt;
  readonly plan: AttemptPlan;
  readonly failure: Failure;
}

/** How far a run has come. */
export type RunState =
  | { readonly at: "waiting" }
  /** This attempt's answer is what clients are given; no other can follow, but a leg that is proved to go on with it. */
  | {
      readonly at: "committed";
      readonly attempt: Attempt;
      /** The attempts that clients have some of, in their order. @defaultValue the one */
      readonly legs?: readonly Attempt[];
      /** What they have; undefined where it is not to be continued. */
      readonly given?: AnswerRecord | undefined;
    }
  | { readonly at: "over" };

/** All that the decision may depend on. */
export interface RunView {
  /** In their order; every one has failed. */
  readonly history: readonly PastAttempt[];
  readonly state: RunState;
  /** Milliseconds until no attempt may begin. */
  readonly remainingMs: number;
}

export type Decision = { readonly plan: AttemptPlan } | { readonly giveUp: Failure };

export interface AttemptPolicy {
  /** Pure: the same view gives the same decision, but for the jitter. */
  next(view: RunView): Decision;
}

/**
 * Failures of streams that an answer asked for whole may not have. Some servers cannot stream some answers, and would fail at
 * every attempt: ChatGLM3 streams nothing when the answer has 7 characters or fewer.
 */
const EMPTY: ReadonlySet<FailureCode> = new Set(["empty_stream", "stream_corrupted"]);

/** A first token that is late twice would be late again, and each attempt is paid for. */
const MOST_LATE = 2;

/** @param random between 0 and 1; for the jitter. */
export function createAttemptPolicy(options: AttemptPolicyOptions, random: () => number = Math.random): AttemptPolicy {
  const { candidate, retry } = options;
  const maxAttempts = options.idempotent ? retry.maxAttempts : 1;

  function plan(history: readonly PastAttempt[], delayMs: number): Decision {
    const isLast = history.length + 1 >= maxAttempts;
    const acceptEmpty = isLast && history.every(({ failure }) => failure.formallyWhole);
    return { plan: { candidate, ask: chooseAsk(options, history, isLast), delayMs, acceptEmpty } };
  }

  return {
    next({ history, state, remainingMs }) {
      const last = history.at(-1);
      if (last === undefined) return remainingMs > 0 ? plan(history, 0) : { giveUp: noTimeLeft() };
      const { failure } = last;
      if (state.at === "committed") return afterBreak(options, history, state, remainingMs);
      if (state.at !== "waiting" || failure.scope !== "again" || history.length >= maxAttempts) return { giveUp: failure };
      if (failure.code === "first_token_timeout" && countOf(history, failure.code) >= MOST_LATE) return { giveUp: failure };
      const delayMs = delayAfter(options, history.length, failure, random);
      // Waiting into the deadline would trade a failure that says something for one that does not.
      if (delayMs > longestWait(retry, failure) || delayMs >= remainingMs) return { giveUp: failure };
      return plan(history, delayMs);
    },
  };
}

/** What ends a run from outside, or is a defect of ours, is told as what it is. */
const ENDS_RUN: ReadonlySet<FailureCode> = new Set(["client_gone", "draining", "internal_error"]);

/** Clients have some of an answer that broke: it goes on, or they are told why it broke, and why it could not go on. */
function afterBreak(
  { candidate, retry, afterBreak: legOptions }: AttemptPolicyOptions,
  history: readonly PastAttempt[],
  { attempt, legs: told = [attempt], given }: RunState & { at: "committed" },
  remainingMs: number,
): Decision {
  const [first] = told;
  const last = history.at(-1);
  const failure = last?.failure ?? new Failure("internal_error", "an answer broke without a failure");
  if (legOptions === undefined || given === undefined || ENDS_RUN.has(failure.code)) return { giveUp: failure };
  const legs = history.slice(history.findIndex((past) => past.attempt === first)).map((past) => ({
    ask: typeof past.plan.ask === "object" ? past.plan.ask : undefined,
    failure: past.failure,
    isTold: told.includes(past.attempt),
  }));
  const next = nextLeg(legOptions, given, legs, remainingMs);
  if ("rule" in next) return { giveUp: withSeam(breakOf(legs) ?? failure, next.rule) };
  // At once where clients wait for the rest, but not of an upstream that has just refused.
  const isRefused = legs.at(-1)?.isTold === false;
  const delayMs = isRefused ? (failure.retryAfterMs ?? retry.backoff.initial) : 0;
  if (delayMs >= remainingMs || delayMs > longestWait(retry, failure)) {
    return { giveUp: withSeam(breakOf(legs) ?? failure, "refused") };
  }
  return { plan: { candidate, ask: next.ask, delayMs, acceptEmpty: true } };
}

/** The same failure, and why the answer could not go on after it. */
function withSeam(failure: Failure, seam: SeamRule): Failure {
  const known = Object.entries({ ...failure, cause: failure.cause, seam }).filter(([, value]) => value !== undefined);
  return new Failure(failure.code, failure.message, Object.fromEntries(known));
}

function noTimeLeft(): Failure {
  return new Failure("deadline_exceeded", "the request took all of its time to arrive");
}

function countOf(history: readonly PastAttempt[], code: FailureCode): number {
  return history.filter(({ failure }) => failure.code === code).length;
}

function chooseAsk({ kind, candidate }: AttemptPolicyOptions, history: readonly PastAttempt[], isLast: boolean): Ask {
  const { nonStreaming, emptyFallback } = candidate.policy;
  if (kind === "whole") return nonStreaming === "viaStream" ? "via-stream" : "as-asked";
  if (kind === "passthrough" || history.length === 0) return "as-asked";
  // What came after may have been another failure: the stream would be as empty as it was.
  if (emptyFallback === "next" && history.some(({ failure }) => EMPTY.has(failure.code))) return "whole";
  if (emptyFallback === "last" && isLast && history.every(({ failure }) => failure.code === "empty_stream")) return "whole";
  return "as-asked";
}

/** Exponential backoff; jitter takes up to half of it off, so that clients which failed together do not return together. */
function delayAfter(options: AttemptPolicyOptions, attempts: number, failure: Failure, random: () => number): number {
  if (failure.retryAfterMs !== undefined) return failure.retryAfterMs;
  // The next attempt asks in another way: waiting would not make it likelier to succeed.
  const asksWholeNext = options.kind === "streamed" && options.candidate.policy.emptyFallback === "next";
  if (attempts === 1 && asksWholeNext && EMPTY.has(failure.code)) return 0;
  const { initial, factor, max, jitter } = options.retry.backoff;
  const full = Math.min(initial * factor ** (attempts - 1), max);
  return Math.round(jitter ? full * (0.5 + random() / 2) : full);
}

/** An upstream's own wish has a limit; the backoff has one of its own. */
function longestWait({ maxRetryAfter }: RetryOptions, failure: Failure): number {
  return failure.retryAfterMs === undefined ? Number.POSITIVE_INFINITY : maxRetryAfter;
}
