/** The one decision after each attempt, and before the first: what to try next, or with which failure to give up. */
import type { Candidate } from "../balance/candidate.ts";
import type { OutagePace, OutageView } from "../balance/outage-gate.ts";
import type { AlteredAsk } from "../balance/refused-asks.ts";
import type { AnswerRecord } from "../core/answer-record.ts";
import type { Attempt } from "../core/attempt.ts";
import { Failure, type FailureCode, withDetails } from "../core/failure.ts";
import { afterBreak } from "./after-break.ts";
import { asksOtherwiseNext, chooseAsk, costlyOf, isRefusedAlteration, saysNothing } from "./choose-ask.ts";
import {
  attemptsAt,
  chooseNext,
  circuitOpen,
  type FailoverOptions,
  mostTelling,
  nobodyServes,
  outageOfAll,
  remainingOf,
} from "./failover.ts";
import { type HedgeOptions, hedgeAfter, planHedge } from "./plan-hedge.ts";
import type { AskLeg, NextLegOptions } from "./seam/next-leg.ts";

export interface AttemptPolicyOptions {
  /** Those that can serve the request, in the order of the configuration. */
  readonly candidates: readonly Candidate[];
  readonly failover: FailoverOptions;
  readonly retry: RetryOptions;
  /** What is asked: a model, or a path; it may be out by itself. */
  readonly part: string;
  /** As the client named it. */
  readonly model: string | undefined;
  /** How the client asked: streamed, not streamed, or in no dialect that is known, so that the body is passed through. */
  readonly kind: "streamed" | "whole" | "passthrough";
  /** Safe to send twice. */
  readonly idempotent: boolean;
  /** Names tools that the model may call. */
  readonly hasTools: boolean;
  /** Ways in which an upstream has refused to be asked for this model. */
  refusedAsks(candidate: Candidate): ReadonlySet<Ask>;
  /** Whether one more retry that may cost something can be made, of all that run; it is counted then. @defaultValue always */
  takeRetry?(): boolean;
  /** Its answer is to be made in the background, where this upstream keeps it. @defaultValue not */
  inBackground?(candidate: Candidate): boolean;
  /** When another upstream is asked beside one that is slow; undefined for never. */
  readonly hedge?: HedgeOptions | undefined;
  /** How an answer of this upstream goes on that breaks once clients have some of it; undefined where it does not. */
  afterBreak?(candidate: Candidate): NextLegOptions | undefined;
}

export interface RetryOptions {
  readonly maxAttempts: number;
  /** How long an upstream may be out before its clients are told, in milliseconds; 0 for not at all. */
  readonly outage: number;
  /** Times in milliseconds. */
  readonly backoff: { readonly initial: number; readonly factor: number; readonly max: number; readonly jitter: boolean };
  /** The longest wait that an upstream may ask for, in milliseconds; asked for more, we give up at once. */
  readonly maxRetryAfter: number;
}

/** How an upstream is asked: with the client's own request, or with the same request not streamed or streamed; or for the rest of an answer. */
export type Ask = "as-asked" | AlteredAsk | AskLeg;

export interface AttemptPlan {
  readonly candidate: Candidate;
  readonly ask: Ask;
  /** The wait before it begins, in milliseconds. */
  readonly delayMs: number;
  /** After so many milliseconds without content another upstream is asked beside this one; undefined for never. */
  readonly hedgeAfterMs?: number;
  /** That wait is where all wait that would ask this upstream, since it is out. */
  readonly atGate?: boolean;
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
  /** The upstream has just been seen to be out, by this run or by another that asked for all; undefined before that. */
  readonly outage?: OutageView | undefined;
}

export type Decision = { readonly plan: AttemptPlan } | { readonly giveUp: Failure };

export interface AttemptPolicy {
  /** Pure: the same view gives the same decision, but for the jitter. */
  next(view: RunView): Decision;
  /** A second attempt beside one that is slow, at another upstream; undefined where none may be made. */
  hedge?(view: RunView, slow: AttemptPlan): AttemptPlan | undefined;
  /** Told how long an attempt took to its first content, in milliseconds; undefined where that is of no interest. */
  readonly learnFirstContent?: ((ms: number) => void) | undefined;
  /** How the upstream is asked while it is out; undefined where a request is sent once, whatever happens. */
  readonly outagePace: OutagePace | undefined;
  /** Another upstream can be asked in place of one that rests. */
  readonly hasOthers: boolean;
}

/** A first token that is late twice would be late again, and each attempt is paid for. */
const MOST_LATE = 2;
/** A timer may fire so much before its time. */
export const TIMER_SLACK_MS = 5;

/**
 * @param random between 0 and 1; for the jitter.
 * @param draw the same; for the shares of several upstreams.
 */
export function createAttemptPolicy(
  options: AttemptPolicyOptions,
  random: () => number = Math.random,
  draw: () => number = random,
): AttemptPolicy {
  const { candidates, failover, retry, part } = options;
  const maxAttempts = options.idempotent ? retry.maxAttempts : 1;
  // An outage may take so long that it must not be asked without a pause.
  const slowly = { ...retry.backoff, initial: Math.max(retry.backoff.initial, 1) };

  function plan(candidate: Candidate, history: readonly PastAttempt[], delayMs: number, atGate = false): Decision {
    const costly = costlyOf(history);
    const isLast = costly.length + 1 >= maxAttempts;
    const ask = chooseAsk(options, candidate, history, isLast);
    const acceptEmpty = isLast && costly.every((past) => past.failure.formallyWhole || saysNothing(past, ask));
    const hedgeAfterMs = isLast || atGate || ask !== "as-asked" ? undefined : hedgeAfter(options, candidate);
    const planned = { candidate, ask, delayMs, atGate, acceptEmpty };
    return { plan: hedgeAfterMs === undefined ? planned : { ...planned, hedgeAfterMs } };
  }

  function remainingAfter(history: readonly PastAttempt[]): readonly Candidate[] {
    const isFinal = (past: PastAttempt): boolean => {
      const before = history.slice(0, history.indexOf(past) + 1);
      return (past.failure.scope !== "again" && !isRefusedAlteration(past)) || isRepeated(before);
    };
    return remainingOf({ candidates, history, failover, isFinal });
  }

  /** How long an upstream is left alone that has failed on this request. */
  function waitOf(candidate: Candidate, history: readonly PastAttempt[], jitter: boolean): number {
    const own = attemptsAt(history, candidate);
    const last = own.at(-1);
    if (last === undefined) return 0;
    if (last.failure.retryAfterMs !== undefined) return last.failure.retryAfterMs;
    if (asksOtherwiseNext(options, candidate, own)) return 0;
    return backoff({ ...retry.backoff, jitter }, Math.max(1, costlyOf(own).length), random);
  }

  /** Another upstream where there is one, else the same once it has been left alone for a while. */
  function next({ history, remainingMs }: RunView, remaining: readonly Candidate[]): Decision {
    const waits = (candidate: Candidate): number => waitOf(candidate, history, false);
    const chosen = chooseNext({ remaining, history, part, random: draw(), waitOf: waits });
    if (chosen === undefined) return { giveUp: nobodyServes(options.model) };
    const { candidate, isFresh } = chosen;
    if (isFresh) return plan(candidate, history, 0);
    const failure = attemptsAt(history, candidate).at(-1)?.failure;
    const delayMs = waitOf(candidate, history, retry.backoff.jitter);
    // Waiting into the deadline would trade a failure that says something for one that does not.
    const isTooLong = delayMs > longestWait(retry, failure) || delayMs >= remainingMs;
    return isTooLong ? { giveUp: mostTelling(history) } : plan(candidate, history, delayMs);
  }

  function afterOutage(view: RunView, outage: OutageView, remaining: readonly Candidate[]): Decision {
    const { history, remainingMs } = view;
    const [only] = candidates;
    if (only === undefined || candidates.length > 1 || outage.rests) return afterOneOfSeveral(view, outage, remaining);
    const { failure, lastedMs, waitMs } = outage;
    const own = history.at(-1)?.failure;
    const told = own?.outage === undefined ? withoutReply(failure) : own;
    const isOver = lastedMs + TIMER_SLACK_MS >= retry.outage || waitMs >= remainingMs;
    if (isOver || (told.retryAfterMs ?? 0) > retry.maxRetryAfter) return { giveUp: passedOn(told, retry) };
    return plan(only, history, waitMs, true);
  }

  /** One that is out is no reason to wait while another can be asked. */
  function afterOneOfSeveral(view: RunView, { keptMs = 0 }: OutageView, remaining: readonly Candidate[]): Decision {
    const all = outageOfAll(remaining, part);
    if (all === undefined) return next(view, remaining);
    const isOver = Math.max(all.lastedMs, keptMs) + TIMER_SLACK_MS >= retry.outage;
    const isTooLong = all.waitMs >= view.remainingMs || all.waitMs > retry.maxRetryAfter;
    if (isOver || isTooLong) return { giveUp: circuitOpen(remaining, part, Math.max(all.waitMs, retry.outage)) };
    return plan(all.candidate, view.history, all.waitMs, true);
  }

  return {
    hedge: (view, slow) => planHedge(options, view, { slow, remaining: remainingAfter(view.history), random: draw() }),
    learnFirstContent: options.hedge?.learn,
    hasOthers: new Set(candidates.map(({ shared }) => shared)).size > 1,
    outagePace:
      maxAttempts === 1 ? undefined : { limitMs: retry.outage, pauseMs: (failures) => backoff(slowly, failures, random) },
    next(view) {
      const { history, state, remainingMs, outage } = view;
      const last = history.at(-1);
      if (candidates.length === 0) return { giveUp: nobodyServes(options.model) };
      if (last === undefined) {
        if (remainingMs <= 0) return { giveUp: noTimeLeft() };
        if (outage !== undefined) return afterOutage(view, outage, candidates);
        const all = outageOfAll(candidates, part);
        // There is no use in waiting for what comes too late.
        const isInVain = all?.rests === true && all.waitMs > Math.min(retry.outage, remainingMs);
        return isInVain ? { giveUp: circuitOpen(candidates, part, all.waitMs) } : next(view, candidates);
      }
      const { failure } = last;
      if (state.at === "committed") return afterBreak(options, view, state);
      if (state.at !== "waiting") return { giveUp: failure };
      const costly = costlyOf(history).length;
      if (isRefusedAlteration(last)) {
        if (costly >= maxAttempts) return { giveUp: failure };
        const { candidate } = last.plan;
        return outage === undefined ? plan(candidate, history, 0) : afterOutage(view, outage, [candidate]);
      }
      const remaining = remainingAfter(history);
      if (remaining.length === 0) return { giveUp: mostTelling(history) };
      if (outage !== undefined) return afterOutage(view, outage, remaining);
      // A request that may be sent once was, though it cost nothing.
      if (failure.outage !== undefined) return { giveUp: failure };
      const isLateAgain = failure.code === "first_token_timeout" && countOf(history, failure.code) >= MOST_LATE;
      if (costly >= maxAttempts || isLateAgain) return { giveUp: withDetails(mostTelling(history), { exhausted: true }) };
      const decision = next(view, remaining);
      // What an upstream has merely refused cost nothing, and is not multiplied.
      const isFree = failure.scope !== "again" || "giveUp" in decision;
      return isFree || (options.takeRetry?.() ?? true) ? decision : { giveUp: mostTelling(history) };
    },
  };
}

function noTimeLeft(): Failure {
  return new Failure("deadline_exceeded", "the request took all of its time to arrive");
}

function countOf(history: readonly PastAttempt[], code: FailureCode): number {
  return history.filter(({ failure }) => failure.code === code).length;
}

/** The same bytes twice: they would come a third time. */
function isRepeated(history: readonly PastAttempt[]): boolean {
  const last = history.at(-1);
  const { code, fingerprint, message } = last?.failure ?? {};
  if (code !== "stream_corrupted" || fingerprint === undefined) return false;
  return history.some((past) => {
    const isSame = past.failure.fingerprint === fingerprint && past.failure.message === message;
    const isSameAsk = past.plan.ask === last?.plan.ask && past.plan.candidate.shared === last?.plan.candidate.shared;
    return past !== last && isSame && isSameAsk;
  });
}

/** Exponential backoff; jitter takes up to half of it off, so that clients which failed together do not return together. */
function backoff({ initial, factor, max, jitter }: RetryOptions["backoff"], failures: number, random: () => number): number {
  const full = Math.min(initial * factor ** (failures - 1), max);
  return Math.round(jitter ? full * (0.5 + random() / 2) : full);
}

/** An upstream's own wish has a limit; the backoff has one of its own. */
export function longestWait({ maxRetryAfter }: RetryOptions, failure: Failure | undefined): number {
  return failure?.retryAfterMs === undefined ? Number.POSITIVE_INFINITY : maxRetryAfter;
}

/** The upstream's last word. Its client may come back as it likes, but need not before another such time has passed. */
function passedOn(failure: Failure, { outage }: RetryOptions): Failure {
  return withDetails(failure, { retryAfterMs: failure.retryAfterMs ?? Math.max(1_000, outage) });
}

/** What another client was told word for word is not for this one. */
function withoutReply(failure: Failure): Failure {
  return withDetails(failure, { reply: undefined, upstreamMessage: undefined });
}
