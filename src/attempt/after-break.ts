/** What follows when an answer breaks that clients have some of: another leg of it, here or elsewhere, or the end of the run. */
import type { Candidate } from "../balance/candidate.ts";
import { isAvailable, standingOf } from "../balance/selector.ts";
import type { AnswerRecord } from "../core/answer-record.ts";
import { Failure, type FailureCode, withDetails } from "../core/failure.ts";
import {
  type AttemptPolicyOptions,
  type Decision,
  longestWait,
  type PastAttempt,
  type RunState,
  type RunView,
  TIMER_SLACK_MS,
} from "./attempt-policy.ts";
import { mayGoElsewhere } from "./failover.ts";
import { type AskLeg, breakOf, type NextLeg, nextLeg, type PastLeg } from "./seam/next-leg.ts";

/** What ends a run from outside, or is a defect of ours, is told as what it is. */
const ENDS_RUN: ReadonlySet<FailureCode> = new Set(["client_gone", "draining", "internal_error"]);

interface Break {
  readonly options: AttemptPolicyOptions;
  readonly view: RunView;
  readonly given: AnswerRecord;
  /** Whose answer it is. */
  readonly broken: Candidate;
  /** The attempts from the one that committed on. */
  readonly legs: readonly PastAttempt[];
  /** Clients have some of it. */
  isTold(past: PastAttempt): boolean;
  /** What was asked for since clients were last given something, and brought them nothing. */
  readonly inVain: readonly PastAttempt[];
}

/** Clients have some of an answer that broke: it goes on, or they are told why it broke, and why it could not go on. */
export function afterBreak(
  options: AttemptPolicyOptions,
  view: RunView,
  { attempt, legs: told = [attempt], given }: RunState & { at: "committed" },
): Decision {
  const { history } = view;
  const failure = history.at(-1)?.failure ?? new Failure("internal_error", "an answer broke without a failure");
  const legs = history.slice(history.findIndex((past) => past.attempt === told[0]));
  const broken = legs[0]?.plan.candidate;
  if (broken === undefined || options.afterBreak?.(broken) === undefined || given === undefined || ENDS_RUN.has(failure.code))
    return { giveUp: failure };
  const isTold = (past: PastAttempt): boolean => told.includes(past.attempt);
  const inVain = legs.slice(legs.findLastIndex(isTold) + 1);
  return decide({ options, view, given, broken, legs, isTold, inVain }, failure);
}

function decide(it: Break, failure: Failure): Decision {
  const { broken, inVain, view } = it;
  const here = legAt(it, broken);
  const others = othersOf(it);
  // Of several the one that is out is none to wait for.
  const outage = others.length === 0 || isOut(it, broken) ? view.outage : undefined;
  const ask = "ask" in here && outage === undefined && !hasFailed(it, broken) ? here.ask : undefined;
  // What has fallen silent may do so again, but what it has kept is certain.
  const isPreferred = ask?.kind === "native" || breakOf(pastOf(it, broken))?.code !== "stream_stalled";
  if (ask !== undefined && isPreferred) return planOf(broken, ask);
  for (const other of others) {
    const there = hasFailed(it, other) ? undefined : legAt(it, other);
    if (there !== undefined && "ask" in there) return planOf(other, there.ask);
  }
  if (ask !== undefined) return planOf(broken, ask);
  if ("rule" in here) {
    // The upstream that was asked last knows best why not.
    const last = inVain.at(-1)?.plan.candidate ?? broken;
    const there = last.shared === broken.shared ? here : legAt(it, last);
    return giveUp(it, failure, "rule" in there ? there.rule : here.rule);
  }
  return wait(it, failure, here.ask, outage);
}

/** The same upstream is asked again, later: it is out, or has just refused. */
function wait(it: Break, failure: Failure, ask: AskLeg, outage: RunView["outage"]): Decision {
  const { retry } = it.options;
  const { remainingMs } = it.view;
  if (outage !== undefined) {
    const isOver = outage.lastedMs + TIMER_SLACK_MS >= retry.outage || outage.waitMs >= remainingMs;
    return isOver ? giveUp(it, failure, "refused") : planOf(it.broken, ask, outage.waitMs, true);
  }
  const delayMs = failure.retryAfterMs ?? retry.backoff.initial;
  const isHopeless = failure.outage !== undefined || delayMs >= remainingMs || delayMs > longestWait(retry, failure);
  return isHopeless ? giveUp(it, failure, "refused") : planOf(it.broken, ask, delayMs);
}

function planOf(candidate: Candidate, ask: AskLeg, delayMs = 0, atGate = false): Decision {
  return { plan: { candidate, ask, delayMs, atGate, acceptEmpty: true } };
}

function giveUp(it: Break, failure: Failure, seam: Failure["seam"]): Decision {
  return { giveUp: withDetails(breakOf(pastOf(it, it.broken)) ?? failure, { seam }) };
}

/** How the answer goes on at this upstream, or why it does not. */
function legAt(it: Break, place: Candidate): NextLeg {
  const { options, view, given, broken, legs } = it;
  const legOptions = options.afterBreak?.(place);
  if (legOptions === undefined) return { rule: "unsupported" };
  const model = legs[0]?.attempt.servedModel ?? given.head.model;
  const elsewhere = place === broken ? undefined : { model: typeof model === "string" ? model : undefined };
  return nextLeg({ ...legOptions, elsewhere }, given, pastOf(it, place), view.remainingMs);
}

function pastOf({ legs, isTold }: Break, place: Candidate): PastLeg[] {
  return legs.map((past) => ({
    ask: typeof past.plan.ask === "object" ? past.plan.ask : undefined,
    failure: past.failure,
    isTold: isTold(past),
    isElsewhere: past.plan.candidate.shared !== place.shared,
  }));
}

/** Other upstreams of the same model that can be asked now, each once, with whichever of its keys. */
function othersOf({ options, broken, legs, isTold }: Break): readonly Candidate[] {
  const broke = legs.findLast(isTold)?.failure;
  const nameOf = ({ model }: Candidate): string | undefined => model ?? options.model;
  // Whose model is not known may be another.
  if (broke === undefined || !mayGoElsewhere(broke, options.failover) || nameOf(broken) === undefined) return [];
  const standings = options.candidates
    .filter((other) => other.shared !== broken.shared && nameOf(other) === nameOf(broken))
    .map((other) => standingOf(other, options.part))
    .filter(isAvailable);
  const sorted = standings.toSorted((a, b) => Number(b.hasRoom) - Number(a.hasRoom)).map(({ candidate }) => candidate);
  return sorted.filter(({ shared }, index) => sorted.findIndex((other) => other.shared === shared) === index);
}

function hasFailed({ inVain }: Break, { shared }: Candidate): boolean {
  return inVain.some((past) => past.plan.candidate.shared === shared);
}

function isOut({ options }: Break, candidate: Candidate): boolean {
  return standingOf(candidate, options.part).outage !== undefined;
}
