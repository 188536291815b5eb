/** What follows when an answer breaks that clients have some of: another leg of it, or the end of the run. */
import type { SeamRule } from "../core/answer-record.ts";
import { Failure, type FailureCode, withDetails } from "../core/failure.ts";
import {
  type AttemptPolicyOptions,
  type Decision,
  longestWait,
  type RunState,
  type RunView,
  TIMER_SLACK_MS,
} from "./attempt-policy.ts";
import { breakOf, nextLeg } from "./seam/next-leg.ts";

/** What ends a run from outside, or is a defect of ours, is told as what it is. */
const ENDS_RUN: ReadonlySet<FailureCode> = new Set(["client_gone", "draining", "internal_error"]);

/** Clients have some of an answer that broke: it goes on, or they are told why it broke, and why it could not go on. */
export function afterBreak(
  options: AttemptPolicyOptions,
  { history, remainingMs, outage }: RunView,
  { attempt, legs: told = [attempt], given }: RunState & { at: "committed" },
): Decision {
  const { retry } = options;
  // No other upstream has the answer that is to go on.
  const broken = history.find((past) => past.attempt === told[0])?.plan.candidate;
  const legOptions = broken && options.afterBreak?.(broken);
  const failure = history.at(-1)?.failure ?? new Failure("internal_error", "an answer broke without a failure");
  if (broken === undefined || legOptions === undefined || given === undefined || ENDS_RUN.has(failure.code))
    return { giveUp: failure };
  const legs = history.slice(history.findIndex((past) => past.attempt === told[0])).map((past) => ({
    ask: typeof past.plan.ask === "object" ? past.plan.ask : undefined,
    failure: past.failure,
    isTold: told.includes(past.attempt),
  }));
  const giveUp = (seam: SeamRule): Decision => ({ giveUp: withDetails(breakOf(legs) ?? failure, { seam }) });
  const next = nextLeg(legOptions, given, legs, remainingMs);
  if ("rule" in next) return giveUp(next.rule);
  const plan = (delayMs: number, atGate = false): Decision => ({
    plan: { candidate: broken, ask: next.ask, delayMs, atGate, acceptEmpty: true },
  });
  if (outage !== undefined) {
    const isOver = outage.lastedMs + TIMER_SLACK_MS >= retry.outage || outage.waitMs >= remainingMs;
    return isOver ? giveUp("refused") : plan(outage.waitMs, true);
  }
  // At once where a leg broke, but not of an upstream that has just refused one.
  if (legs.at(-1)?.isTold !== false) return plan(0);
  const delayMs = failure.retryAfterMs ?? retry.backoff.initial;
  const isHopeless = failure.outage !== undefined || delayMs >= remainingMs || delayMs > longestWait(retry, failure);
  return isHopeless ? giveUp("refused") : plan(delayMs);
}
