/** The one decision after each attempt, and before the first: what to try next, or with which failure to give up. */
import type { Candidate } from "../balance/candidate.ts";
import type { OutagePace, OutageView } from "../balance/outage-gate.ts";
import type { AlteredAsk } from "../balance/refused-asks.ts";
import type { AnswerRecord, SeamRule } from "../core/answer-record.ts";
import type { Attempt } from "../core/attempt.ts";
import { Failure, type FailureCode, withDetails } from "../core/failure.ts";
import { type AskLeg, breakOf, type NextLegOptions, nextLeg } from "./seam/next-leg.ts";

export interface AttemptPolicyOptions {
  readonly candidate: Candidate;
  readonly retry: RetryOptions;
  /** How the client asked: streamed, not streamed, or in no dialect that is known, so that the body is passed through. */
  readonly kind: "streamed" | "whole" | "passthrough";
  /** Safe to send twice. */
  readonly idempotent: boolean;
  /** Names tools that the model may call. */
  readonly hasTools: boolean;
  /** Ways in which this upstream has refused to be asked for this model. */
  readonly refusedAsks: ReadonlySet<Ask>;
  /** Its answer is to be made in the background, where the upstream keeps it. */
  readonly inBackground?: boolean;
  /** How an answer goes on that breaks once clients have some of it; undefined where it does not. */
  readonly afterBreak?: NextLegOptions | undefined;
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
  /** How the upstream is asked while it is out; undefined where a request is sent once, whatever happens. */
  readonly outagePace: OutagePace | undefined;
}

/**
 * Failures of streams that an answer asked for whole may not have. Some servers cannot stream some answers, and would fail at
 * every attempt: ChatGLM3 streams nothing when the answer has 7 characters or fewer.
 */
const EMPTY: ReadonlySet<FailureCode> = new Set(["empty_stream", "stream_corrupted"]);

/** A first token that is late twice would be late again, and each attempt is paid for. */
const MOST_LATE = 2;
/** A timer may fire so much before its time. */
const TIMER_SLACK_MS = 5;

/** What the upstream refuses in an altered request may be the alteration. */
const REFUSES_REQUEST: ReadonlySet<number> = new Set([400, 422]);

/** A request that Perennial had altered was refused: the client must not be blamed for what it has not asked. */
export function isRefusedAlteration({ plan, failure }: PastAttempt): boolean {
  // Asked whole it is told as what made us ask so.
  const refusal = failure.cause instanceof Failure ? failure.cause : failure;
  return plan.ask !== "as-asked" && refusal.code === "upstream_status" && REFUSES_REQUEST.has(refusal.status);
}

/** The attempts that may have cost something, and those that count since the client's own request had been sent before them. */
function costlyOf(history: readonly PastAttempt[]): readonly PastAttempt[] {
  return history.filter((past, index) => {
    const isFree = isRefusedAlteration(past) && !history.slice(0, index).some(({ plan }) => plan.ask === "as-asked");
    return past.failure.outage === undefined && !isFree;
  });
}

/** @param random between 0 and 1; for the jitter. */
export function createAttemptPolicy(options: AttemptPolicyOptions, random: () => number = Math.random): AttemptPolicy {
  const { candidate, retry } = options;
  const maxAttempts = options.idempotent ? retry.maxAttempts : 1;
  const backoffMs = (failures: number): number => backoff(retry.backoff, failures, random);
  // An outage may take so long that it must not be asked without a pause.
  const slowly = { ...retry.backoff, initial: Math.max(retry.backoff.initial, 1) };

  function plan(history: readonly PastAttempt[], delayMs: number): Decision {
    const costly = costlyOf(history);
    const isLast = costly.length + 1 >= maxAttempts;
    const ask = chooseAsk(options, history, isLast);
    const acceptEmpty = isLast && costly.every((past) => past.failure.formallyWhole || saysNothing(past, ask));
    return { plan: { candidate, ask, delayMs, acceptEmpty } };
  }

  function afterOutage({ history, remainingMs }: RunView, { failure, lastedMs, waitMs }: OutageView): Decision {
    const own = history.at(-1)?.failure;
    const told = own?.outage === undefined ? withoutReply(failure) : own;
    const isOver = lastedMs + TIMER_SLACK_MS >= retry.outage || waitMs >= remainingMs;
    if (isOver || (told.retryAfterMs ?? 0) > retry.maxRetryAfter) return { giveUp: passedOn(told, retry) };
    return plan(history, waitMs);
  }

  return {
    outagePace:
      maxAttempts === 1 ? undefined : { limitMs: retry.outage, pauseMs: (failures) => backoff(slowly, failures, random) },
    next(view) {
      const { history, state, remainingMs, outage } = view;
      const last = history.at(-1);
      if (last === undefined) {
        if (remainingMs <= 0) return { giveUp: noTimeLeft() };
        return outage === undefined ? plan(history, 0) : afterOutage(view, outage);
      }
      const { failure } = last;
      if (state.at === "committed") return afterBreak(options, view, state);
      if (state.at !== "waiting") return { giveUp: failure };
      if (isRefusedAlteration(last)) {
        if (costlyOf(history).length >= maxAttempts) return { giveUp: failure };
        return outage === undefined ? plan(history, 0) : afterOutage(view, outage);
      }
      if (failure.scope !== "again" || isRepeated(history)) return { giveUp: failure };
      if (outage !== undefined) return afterOutage(view, outage);
      // A request that may be sent once was, though it cost nothing.
      if (failure.outage !== undefined) return { giveUp: failure };
      const costly = costlyOf(history).length;
      const isLateAgain = failure.code === "first_token_timeout" && countOf(history, failure.code) >= MOST_LATE;
      if (costly >= maxAttempts || isLateAgain) return { giveUp: withDetails(failure, { exhausted: true }) };
      const delayMs = failure.retryAfterMs ?? (asksOtherwiseNext(options, history) ? 0 : backoffMs(costly));
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
  { history, remainingMs, outage }: RunView,
  { attempt, legs: told = [attempt], given }: RunState & { at: "committed" },
): Decision {
  const failure = history.at(-1)?.failure ?? new Failure("internal_error", "an answer broke without a failure");
  if (legOptions === undefined || given === undefined || ENDS_RUN.has(failure.code)) return { giveUp: failure };
  const legs = history.slice(history.findIndex((past) => past.attempt === told[0])).map((past) => ({
    ask: typeof past.plan.ask === "object" ? past.plan.ask : undefined,
    failure: past.failure,
    isTold: told.includes(past.attempt),
  }));
  const giveUp = (seam: SeamRule): Decision => ({ giveUp: withDetails(breakOf(legs) ?? failure, { seam }) });
  const next = nextLeg(legOptions, given, legs, remainingMs);
  if ("rule" in next) return giveUp(next.rule);
  const plan = (delayMs: number): Decision => ({ plan: { candidate, ask: next.ask, delayMs, acceptEmpty: true } });
  if (outage !== undefined) {
    const isOver = outage.lastedMs + TIMER_SLACK_MS >= retry.outage || outage.waitMs >= remainingMs;
    return isOver ? giveUp("refused") : plan(outage.waitMs);
  }
  // At once where a leg broke, but not of an upstream that has just refused one.
  if (legs.at(-1)?.isTold !== false) return plan(0);
  const delayMs = failure.retryAfterMs ?? retry.backoff.initial;
  const isHopeless = failure.outage !== undefined || delayMs >= remainingMs || delayMs > longestWait(retry, failure);
  return isHopeless ? giveUp("refused") : plan(delayMs);
}

function noTimeLeft(): Failure {
  return new Failure("deadline_exceeded", "the request took all of its time to arrive");
}

function countOf(history: readonly PastAttempt[], code: FailureCode): number {
  return history.filter(({ failure }) => failure.code === code).length;
}

/** Where empty streams are asked again whole at once, they are known to say nothing of the answer, which may be empty all the same. */
function saysNothing({ plan, failure }: PastAttempt, next: Ask): boolean {
  if (plan.candidate.policy.emptyFallback !== "next") return false;
  return next === "whole" && plan.ask === "as-asked" && EMPTY.has(failure.code);
}

function chooseAsk(options: AttemptPolicyOptions, history: readonly PastAttempt[], isLast: boolean): Ask {
  const { kind, candidate, hasTools, refusedAsks } = options;
  const { nonStreaming, emptyFallback } = candidate.policy;
  const ask = ((): Ask => {
    if (kind === "passthrough") return "as-asked";
    if (kind === "whole") {
      // A server that cannot stream every answer cannot stream its tool calls either: ChatGLM3 runs them itself.
      const cannotStream = emptyFallback === "next" && hasTools;
      const hasNoStream = emptyFallback !== "off" && history.some(({ failure }) => EMPTY.has(failure.code));
      const canStream = !cannotStream && !hasNoStream;
      return nonStreaming === "viaStream" && canStream ? "via-stream" : "as-asked";
    }
    const costly = costlyOf(history);
    // What came after may have been another failure: the stream would be as empty as it was.
    if (emptyFallback === "next" && costly.some(({ failure }) => EMPTY.has(failure.code))) return "whole";
    const isEmpty = costly.length > 0 && costly.every(({ failure }) => failure.code === "empty_stream");
    return emptyFallback === "last" && isLast && isEmpty ? "whole" : options.inBackground === true ? "background" : "as-asked";
  })();
  const isRefused = refusedAsks.has(ask) || history.some((past) => past.plan.ask === ask && isRefusedAlteration(past));
  return isRefused ? "as-asked" : ask;
}

/** The next attempt asks in another way: waiting would not make it likelier to succeed. */
function asksOtherwiseNext(options: AttemptPolicyOptions, history: readonly PastAttempt[]): boolean {
  const [last, ...earlier] = history.toReversed();
  if (last === undefined || !EMPTY.has(last.failure.code) || earlier.some(({ failure }) => EMPTY.has(failure.code))) return false;
  return chooseAsk(options, history, false) !== last.plan.ask;
}

/** The same bytes twice: they would come a third time. */
function isRepeated(history: readonly PastAttempt[]): boolean {
  const last = history.at(-1);
  const { code, fingerprint, message } = last?.failure ?? {};
  if (code !== "stream_corrupted" || fingerprint === undefined) return false;
  return history.some((past) => {
    const isSame = past.failure.fingerprint === fingerprint && past.failure.message === message;
    return past !== last && isSame && past.plan.ask === last?.plan.ask;
  });
}

/** Exponential backoff; jitter takes up to half of it off, so that clients which failed together do not return together. */
function backoff({ initial, factor, max, jitter }: RetryOptions["backoff"], failures: number, random: () => number): number {
  const full = Math.min(initial * factor ** (failures - 1), max);
  return Math.round(jitter ? full * (0.5 + random() / 2) : full);
}

/** An upstream's own wish has a limit; the backoff has one of its own. */
function longestWait({ maxRetryAfter }: RetryOptions, failure: Failure): number {
  return failure.retryAfterMs === undefined ? Number.POSITIVE_INFINITY : maxRetryAfter;
}

/** The upstream's last word. Its client may come back as it likes, but need not before another such time has passed. */
function passedOn(failure: Failure, { outage }: RetryOptions): Failure {
  return withDetails(failure, { retryAfterMs: failure.retryAfterMs ?? Math.max(1_000, outage) });
}

/** What another client was told word for word is not for this one. */
function withoutReply(failure: Failure): Failure {
  return withDetails(failure, { reply: undefined, upstreamMessage: undefined });
}
