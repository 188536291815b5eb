/** What a run has to know of the one before it, whose replica has gone: the attempts that clients have some of, and what is kept of them. */
import type { PastAttempt } from "../attempt/attempt-policy.ts";
import { keptBy } from "../attempt/kept-by.ts";
import type { NativeSession } from "../attempt/native-session.ts";
import type { AskLeg } from "../attempt/seam/next-leg.ts";
import type { Candidate } from "../balance/candidate.ts";
import type { Attempt } from "../core/attempt.ts";
import type { Exchange } from "../core/exchange.ts";
import type { PastRun } from "../run/run.ts";
import { type MadeLeg, makerLost, type TakenOver } from "../run/takeover.ts";

export interface PastOptions {
  readonly taken: TakenOver;
  readonly candidates: readonly Candidate[];
  readonly exchange: Exchange;
  readonly session: NativeSession;
  readonly maxReplyBytes: number;
}

/** Where clients have nothing all is asked anew. */
export function hasNothing({ stream }: TakenOver): boolean {
  return stream.last === 0;
}

/** Whose answer it is; undefined where it cannot go on: some of it is lost, or who made it is not asked any more. */
export function makerOf({ legs, isCut }: TakenOver, candidates: readonly Candidate[]): Candidate | undefined {
  return isCut ? undefined : candidateOf(legs[0], candidates);
}

/** @returns undefined where all is asked anew. */
export function pastRunOf({ taken, candidates, exchange, session, maxReplyBytes }: PastOptions): PastRun | undefined {
  const { stream, legs } = taken;
  const [first = { upstream: "" }] = legs;
  const candidate = candidateOf(first, candidates);
  if (candidate !== undefined && first.kept !== undefined) {
    const { upstream } = candidate;
    const attempt = attemptOf(first, 0);
    session.keep(keptBy(first.kept, { upstream, attempt, propagated: {}, maxReplyBytes, headers: exchange.request.headers }));
  }
  const [other] = candidates;
  if (hasNothing(taken) || other === undefined) return undefined;
  const attempts = (legs.length === 0 ? [first] : legs).map((leg, index): PastAttempt => {
    const plan = { candidate: candidateOf(leg, candidates) ?? other, ask: askOf(leg), delayMs: 0, acceptEmpty: true };
    return { attempt: attemptOf(leg, index), plan, failure: makerLost() };
  });
  const seams = legs.flatMap(({ by }) => by ?? []);
  return { attempts, seams, given: stream.given };
}

function candidateOf(leg: MadeLeg | undefined, candidates: readonly Candidate[]): Candidate | undefined {
  return candidates.find(({ upstream }) => upstream.name === leg?.upstream);
}

function attemptOf({ upstream, servedModel }: MadeLeg, index: number): Attempt {
  const failure = makerLost().code;
  return { number: index + 1, upstream, servedModel, startedAt: Date.now(), durationMs: 0, failure, status: 200 };
}

/** Only whether it was the same generation matters of how it was asked for. */
function askOf({ by }: MadeLeg): "as-asked" | AskLeg {
  if (by === undefined) return "as-asked";
  return by === "native" ? { kind: "native", path: "", from: "given" } : { kind: "rerun" };
}
