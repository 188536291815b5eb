/** Runs what the policy decides, until one attempt wins or it gives up. */
import { setTimeout as sleep } from "node:timers/promises";
import pRetry from "p-retry";
import type { Attempt } from "../core/attempt.ts";
import type { Exchange } from "../core/exchange.ts";
import { toFailure } from "../core/failure.ts";
import type { Observer } from "../core/observer.ts";
import type { AttemptPlan, AttemptPolicy, PastAttempt, RunState } from "./attempt-policy.ts";

export interface AttemptLoopOptions {
  /** To whom attempts are reported. */
  readonly exchange: Exchange;
  /** Each attempt is added as it begins. */
  readonly attempts: Attempt[];
  readonly policy: AttemptPolicy;
  readonly observer: Observer;
  /** On the clock of `performance.now()`: after this no attempt may begin. */
  readonly deadlineAt: number;
  readonly signal: AbortSignal;
  readonly state: () => RunState;
}

export interface PlannedAttempt {
  readonly attempt: Attempt;
  readonly plan: AttemptPlan;
}

/** @throws Failure with which the policy gave up, or the reason for which `signal` was aborted. */
export async function runAttempts<T>(options: AttemptLoopOptions, run: (planned: PlannedAttempt) => Promise<T>): Promise<T> {
  const { exchange, attempts, policy, observer, signal } = options;
  const history: PastAttempt[] = [];
  let plan = nextPlan();

  /** @throws Failure */
  function nextPlan(): AttemptPlan {
    const decision = policy.next({
      history,
      state: options.state(),
      remainingMs: options.deadlineAt - performance.now(),
    });
    if ("giveUp" in decision) throw decision.giveUp;
    return decision.plan;
  }

  return pRetry(
    async (number) => {
      signal.throwIfAborted();
      const began = performance.now();
      const attempt: Attempt = {
        number,
        upstream: plan.candidate.upstream.name,
        startedAt: Date.now(),
        durationMs: 0,
        failure: undefined,
        status: undefined,
      };
      attempts.push(attempt);
      observer.onAttemptStart?.(exchange, attempt);
      try {
        return await run({ attempt, plan });
      } catch (thrown) {
        const failure = toFailure(thrown);
        attempt.failure = failure.code;
        history.push({ attempt, plan, failure });
        throw failure;
      } finally {
        attempt.durationMs = Math.round(performance.now() - began);
        observer.onAttemptEnd?.(exchange, attempt);
      }
    },
    {
      // Whether and when is the policy's to say.
      retries: Number.POSITIVE_INFINITY,
      minTimeout: 0,
      // No signal here: it would undo an attempt that was found whole at the moment of the abort. The call and the wait heed it.
      async onFailedAttempt({ error }) {
        const past = history.at(-1);
        // Nothing was tried: the signal was aborted before.
        if (past?.failure !== error) throw error;
        plan = nextPlan();
        observer.onRetry?.(exchange, past.attempt, past.failure, plan.delayMs);
        await sleep(plan.delayMs, undefined, { signal }).catch(() => signal.throwIfAborted());
      },
    },
  );
}
