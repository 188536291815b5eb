/** How an upstream is asked: with the client's own request, or with the same request streamed or not, where that may help. */
import type { Candidate } from "../balance/candidate.ts";
import { Failure, type FailureCode } from "../core/failure.ts";
import type { Ask, AttemptPolicyOptions, PastAttempt } from "./attempt-policy.ts";
import { attemptsAt } from "./failover.ts";

/**
 * Failures of streams that an answer asked for whole may not have. Some servers cannot stream some answers, and would fail at
 * every attempt: ChatGLM3 streams nothing when the answer has 7 characters or fewer.
 */
const EMPTY: ReadonlySet<FailureCode> = new Set(["empty_stream", "stream_corrupted"]);

/** What the upstream refuses in an altered request may be the alteration. */
const REFUSES_REQUEST: ReadonlySet<number> = new Set([400, 422]);

/** A request that Perennial had altered was refused: the client must not be blamed for what it has not asked. */
export function isRefusedAlteration({ plan, failure }: PastAttempt): boolean {
  // Asked whole it is told as what made us ask so.
  const refusal = failure.cause instanceof Failure ? failure.cause : failure;
  return plan.ask !== "as-asked" && refusal.code === "upstream_status" && REFUSES_REQUEST.has(refusal.status);
}

/** The attempts that may have cost something, and those that count since the client's own request had been sent before them. */
export function costlyOf(history: readonly PastAttempt[]): readonly PastAttempt[] {
  return history.filter((past, index) => {
    const isFree = isRefusedAlteration(past) && !history.slice(0, index).some(({ plan }) => plan.ask === "as-asked");
    return past.failure.outage === undefined && !isFree;
  });
}

/** Where empty streams are asked again whole at once, they are known to say nothing of the answer, which may be empty all the same. */
export function saysNothing({ plan, failure }: PastAttempt, next: Ask): boolean {
  if (plan.candidate.policy.emptyFallback !== "next") return false;
  return next === "whole" && plan.ask === "as-asked" && EMPTY.has(failure.code);
}

/** @param all the attempts at every upstream: what one of them cannot do says nothing of the others. */
export function chooseAsk(
  options: AttemptPolicyOptions,
  candidate: Candidate,
  all: readonly PastAttempt[],
  isLast: boolean,
): Ask {
  const { kind, hasTools } = options;
  const history = attemptsAt(all, candidate);
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
    return emptyFallback === "last" && isLast && isEmpty
      ? "whole"
      : options.inBackground?.(candidate)
        ? "background"
        : "as-asked";
  })();
  const isRefused =
    options.refusedAsks(candidate).has(ask) || history.some((past) => past.plan.ask === ask && isRefusedAlteration(past));
  return isRefused ? "as-asked" : ask;
}

/** The next attempt asks in another way: waiting would not make it likelier to succeed. */
export function asksOtherwiseNext(options: AttemptPolicyOptions, candidate: Candidate, history: readonly PastAttempt[]): boolean {
  const [last, ...earlier] = history.toReversed();
  if (last === undefined || !EMPTY.has(last.failure.code) || earlier.some(({ failure }) => EMPTY.has(failure.code))) return false;
  return chooseAsk(options, candidate, history, false) !== last.plan.ask;
}
