/** Whether, when and where a second attempt is made beside one that is slow. */
import type { Candidate } from "../balance/candidate.ts";
import { selectCandidate, standingOf } from "../balance/selector.ts";
import type { AttemptPlan, AttemptPolicyOptions, RunView } from "./attempt-policy.ts";
import { chooseAsk } from "./choose-ask.ts";
import { attemptsAt } from "./failover.ts";

export interface HedgeOptions {
  /** How long an attempt may be without content, in milliseconds; undefined while that is not known. */
  afterMs(): number | undefined;
  /** Whether one more may be made, of all requests; it is counted then. */
  take(): boolean;
  /** Told how long an attempt took to its first content, in milliseconds; undefined where `afterMs` does not depend on it. */
  readonly learn?: ((ms: number) => void) | undefined;
}

/**
 * Undefined where no other upstream could be asked: of one that is slow the second answer would be as late, and twice the work.
 * Not for what is not streamed, which shows nothing before it is whole.
 */
export function hedgeAfter(
  { hedge, kind, idempotent, candidates }: AttemptPolicyOptions,
  { shared }: Candidate,
): number | undefined {
  if (hedge === undefined || kind !== "streamed" || !idempotent) return undefined;
  return candidates.some((other) => other.shared !== shared) ? hedge.afterMs() : undefined;
}

export interface HedgeChoice {
  readonly slow: AttemptPlan;
  /** Those that may still be asked. */
  readonly remaining: readonly Candidate[];
  readonly random: number;
}

/** Never one that is out, has failed on this request, or has no room: a hedge waits for nothing. */
export function planHedge(
  options: AttemptPolicyOptions,
  { history, state }: RunView,
  { slow, remaining, random }: HedgeChoice,
): AttemptPlan | undefined {
  if (state.at !== "waiting") return undefined;
  const [first, ...others] = remaining
    .filter((each) => each.shared !== slow.candidate.shared && attemptsAt(history, each).length === 0)
    .map((each) => standingOf(each, options.part))
    .filter(({ outage, hasRoom }) => outage === undefined && hasRoom);
  if (first === undefined || options.hedge?.take() !== true) return undefined;
  const candidate = selectCandidate([first, ...others], random);
  return { candidate, ask: chooseAsk(options, candidate, history, false), delayMs: 0, acceptEmpty: false };
}
