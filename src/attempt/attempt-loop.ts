/** The loop over attempts: one wins, or the last failure is the exchange's. */
import { setTimeout as sleep } from "node:timers/promises";
import pRetry from "p-retry";
import type { Attempt } from "../core/attempt.ts";
import type { Exchange } from "../core/exchange.ts";
import { toFailure } from "../core/failure.ts";
import type { Observer, Propagator } from "../core/observer.ts";
import type { RetryPolicy } from "./retry-policy.ts";

export interface AttemptLoopOptions {
  readonly exchange: Exchange;
  readonly upstreamName: string;
  readonly policy: RetryPolicy;
  readonly observer: Observer;
  readonly propagator: Propagator;
  /** Unix time in milliseconds after which no attempt may begin. */
  readonly deadlineAt: number;
  /** No attempt can follow once the client has seen content. */
  readonly isCommitted: () => boolean;
}

export interface AttemptContext {
  readonly attempt: Attempt;
  /** Every earlier attempt was formally whole but empty and this is the last: an empty answer is then the answer. */
  readonly acceptEmpty: boolean;
  /** There were earlier attempts, and every one found an empty stream. */
  readonly afterEmptyOnly: boolean;
  readonly isLast: boolean;
}

/** @throws Failure the last attempt's, or the reason for which the exchange was aborted. */
export async function runAttempts<T>(options: AttemptLoopOptions, run: (context: AttemptContext) => Promise<T>): Promise<T> {
  const { exchange, policy, observer, propagator } = options;
  let onlyEmptySoFar = true;

  return pRetry(
    async (number) => {
      const attempt: Attempt = {
        number,
        upstream: options.upstreamName,
        startedAt: Date.now(),
        durationMs: 0,
        failure: undefined,
        status: undefined,
      };
      exchange.signal.throwIfAborted();
      exchange.attempts.push(attempt);
      observer.onAttemptStart?.(exchange, attempt);
      attempt.headers = propagator.headersFor(exchange, attempt);
      try {
        const isLast = number >= policy.maxAttempts;
        return await run({
          attempt,
          isLast,
          acceptEmpty: isLast && onlyEmptySoFar,
          afterEmptyOnly: number > 1 && exchange.attempts.slice(0, -1).every(({ failure }) => failure === "empty_stream"),
        });
      } catch (thrown) {
        const failure = toFailure(thrown);
        attempt.failure = failure.code;
        onlyEmptySoFar &&= failure.formallyWhole;
        throw failure;
      } finally {
        attempt.durationMs = Date.now() - attempt.startedAt;
        // Whatever its gate still held went with it.
        exchange.stats.heldBytes = 0;
        observer.onAttemptEnd?.(exchange, attempt);
      }
    },
    {
      retries: policy.maxAttempts - 1,
      // The wait is ours, since an upstream may name it; see shouldRetry.
      minTimeout: 0,
      maxTimeout: 0,
      // No signal here: it would undo an attempt that was found whole at the moment of the abort. The call and the wait heed it.
      async shouldRetry({ error, attemptNumber }) {
        const failure = toFailure(error);
        if (options.isCommitted()) return false;
        const delayMs = policy.delayAfter(attemptNumber, failure);
        // Sleeping into the deadline would trade a failure that says something for one that does not.
        if (delayMs === undefined || Date.now() + delayMs >= options.deadlineAt) return false;
        observer.onRetry?.(exchange, exchange.attempts.at(-1) as Attempt, failure, delayMs);
        await sleep(delayMs, undefined, { signal: exchange.signal }).catch(() => exchange.signal.throwIfAborted());
        return true;
      },
    },
  );
}
