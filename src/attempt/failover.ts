/** Which upstreams may still be asked after what has failed, which of them next, and after which wait. */
import type { Candidate } from "../balance/candidate.ts";
import { isAboutKey } from "../balance/credential-rests.ts";
import { isAvailable, type Standing, selectCandidate, soonest, standingOf } from "../balance/selector.ts";
import { Failure, type FailureCode, withDetails } from "../core/failure.ts";
import type { PastAttempt } from "./attempt-policy.ts";

/** After which failures another upstream is asked. */
export interface FailoverOptions {
  readonly on: ReadonlySet<FailoverCause>;
  /** HTTP statuses after which another one is asked although they say that the request itself is at fault. */
  readonly codes: ReadonlySet<number>;
}

export const FAILOVER_CAUSES = ["unreachable", "status", "timeout", "empty", "truncated", "credentials"] as const;

export type FailoverCause = (typeof FAILOVER_CAUSES)[number];

const CAUSES: Partial<Record<FailureCode, FailoverCause>> = {
  upstream_unreachable: "unreachable",
  upstream_status: "status",
  upstream_error_event: "status",
  first_token_timeout: "timeout",
  stream_stalled: "timeout",
  empty_stream: "empty",
  stream_truncated: "truncated",
  stream_corrupted: "truncated",
};

const CREDENTIALS: ReadonlySet<number> = new Set([401, 402, 403]);

/** The upstream's own word against the request, which another may not have. */
function isPassable({ code, status }: Failure, { codes }: FailoverOptions): boolean {
  return code === "upstream_status" && codes.has(status);
}

export function mayGoElsewhere(failure: Failure, options: FailoverOptions): boolean {
  if (isPassable(failure, options)) return true;
  const cause = failure.scope === "elsewhere" && CREDENTIALS.has(failure.status) ? "credentials" : CAUSES[failure.code];
  return failure.scope !== "never" && cause !== undefined && options.on.has(cause);
}

export interface Remaining {
  readonly candidates: readonly Candidate[];
  readonly history: readonly PastAttempt[];
  readonly failover: FailoverOptions;
  /** Whether an attempt has failed in a way that will not change at its upstream. */
  isFinal(past: PastAttempt): boolean;
}

/** Those that may still be asked, whoever has failed last among them. */
export function remainingOf({ candidates, history, failover, isFinal }: Remaining): readonly Candidate[] {
  const last = history.at(-1);
  if (last === undefined) return candidates;
  const { failure } = last;
  if (failure.scope === "never" && !isPassable(failure, failover)) return [];
  const refused = new Set(history.filter(isFinal).map(({ plan }) => plan.candidate.upstream));
  const willing = candidates.filter(({ upstream }) => !refused.has(upstream));
  return mayGoElsewhere(failure, failover)
    ? willing
    : willing.filter(({ upstream }) => upstream === last.plan.candidate.upstream);
}

export interface NextCandidate {
  readonly candidate: Candidate;
  /** It has not failed on this request, so that there is nothing to wait for. */
  readonly isFresh: boolean;
}

export interface Choosing {
  readonly remaining: readonly Candidate[];
  readonly history: readonly PastAttempt[];
  /** What is asked: a model, or a path. */
  readonly part: string;
  readonly random: number;
  /** How long an upstream is to be left alone that has failed, in milliseconds. */
  waitOf(candidate: Candidate): number;
}

/** Another than those that have failed, where there is one that can be asked; else the one that can be asked again first. */
export function chooseNext({ remaining, history, part, random, waitOf }: Choosing): NextCandidate | undefined {
  const standings = remaining.map((candidate) => standingOf(candidate, part));
  const fresh = standings.filter((each) => isAvailable(each) && attemptsAt(history, each.candidate).length === 0);
  if (isNotEmpty(fresh)) return { candidate: selectCandidate(fresh, random), isFresh: true };
  const from = standings.filter(isAvailable);
  if (from.length === 0 && isNotEmpty(standings)) from.push(soonest(standings));
  const timesOf = ({ candidate }: Standing): number => attemptsAt(history, candidate).length;
  // Of two that have failed on this request as often, the one that fails less often on others.
  const failedShareOf = ({ candidate }: Standing): number => candidate.shared.breaker.failedShare(part);
  const [first] = from.toSorted(
    (a, b) => waitOf(a.candidate) - waitOf(b.candidate) || timesOf(a) - timesOf(b) || failedShareOf(a) - failedShareOf(b),
  );
  return first && { candidate: first.candidate, isFresh: timesOf(first) === 0 };
}

/** All of them as one: out for as long as each of them is, and asked again when the first of them is. */
export interface AllOut {
  readonly candidate: Candidate;
  readonly lastedMs: number;
  readonly waitMs: number;
  /** That one rests: nobody asks it sooner, whoever comes. */
  readonly rests: boolean;
}

/** Undefined while one of them can be asked. */
export function outageOfAll(remaining: readonly Candidate[], part: string): AllOut | undefined {
  const standings = remaining.map((candidate) => standingOf(candidate, part));
  if (!isNotEmpty(standings) || standings.some(isAvailable)) return undefined;
  const next = soonest(standings);
  return {
    candidate: next.candidate,
    lastedMs: Math.min(...standings.map(({ outage }) => outage?.lastedMs ?? 0)),
    waitMs: next.outage?.waitMs ?? 0,
    rests: next.outage?.rests ?? false,
  };
}

/** None of several upstreams could be asked in time. What each was last seen to say is told; in words of ours, not of theirs. */
export function circuitOpen(remaining: readonly Candidate[], part: string, waitMs: number): Failure {
  const reasons = remaining.filter(isFirstOfItsUpstream).map((candidate) => {
    const { outage } = standingOf(candidate, part);
    return `${candidate.upstream.name}: ${outage?.failure.message ?? "not asked"}`;
  });
  return new Failure("circuit_open", `none of the upstreams can be asked (${reasons.join("; ")})`, {
    retryAfterMs: Math.max(1_000, waitMs),
  });
}

/** Candidates that differ in their keys alone are one upstream. */
function isFirstOfItsUpstream({ shared }: Candidate, index: number, all: readonly Candidate[]): boolean {
  return all.findIndex((other) => other.shared === shared) === index;
}

/** What the client is told of several failures: what may pass before what will not, and of refusals that of the upstream it prefers. */
export function mostTelling(history: readonly PastAttempt[]): Failure {
  const [first] = history;
  const last = history.at(-1);
  if (first === undefined || last === undefined) return new Failure("internal_error", "nothing was tried, and nothing failed");
  const isOne = history.every(({ plan }) => plan.candidate.shared === first.plan.candidate.shared);
  // What ended it from outside, such as a client that left, is told as what it is.
  if (isOne || last.failure.source !== "upstream") return last.failure;
  // With hedging the one that has failed last need not be the one that was asked last.
  const { name } = last.plan.candidate.upstream;
  if (last.failure.scope === "again") return withDetails(last.failure, { upstream: name });
  const told = history.findLast(({ failure }) => failure.scope === "again" && failure.outage === undefined) ?? first;
  return withDetails(told.failure, { upstream: told.plan.candidate.upstream.name });
}

/** The attempts that say something of an upstream as it would be asked now: with another key it may do what it has refused. */
export function attemptsAt(history: readonly PastAttempt[], candidate: Candidate): readonly PastAttempt[] {
  return history.filter((past) => saysOf(past, candidate));
}

function saysOf({ plan, failure }: PastAttempt, { shared, upstream }: Candidate): boolean {
  return plan.candidate.shared === shared && (plan.candidate.upstream === upstream || !isAboutKey(failure));
}

/** No upstream is configured for what is asked. */
export function nobodyServes(model: string | undefined): Failure {
  const what = model === undefined ? "this path" : `the model "${model.slice(0, 200)}"`;
  return new Failure("not_found", `no upstream is configured for ${what} (upstreams: api, models, only)`);
}

function isNotEmpty<T>(list: readonly T[]): list is readonly [T, ...T[]] {
  return list.length > 0;
}
