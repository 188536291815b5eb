/** Whether to try again after a failure, and how long to wait first. */
import type { Failure, FailureCode } from "../core/failure.ts";

export interface RetryOptions {
  readonly maxAttempts: number;
  /** Times in milliseconds. */
  readonly backoff: { readonly initial: number; readonly factor: number; readonly max: number; readonly jitter: boolean };
  /** The longest wait that an upstream may ask for, in milliseconds; asked for more, we give up at once. */
  readonly maxRetryAfter: number;
  /** After these the second attempt asks in another way, and so at once: waiting would not make it likelier to succeed. */
  readonly otherwiseAfter?: ReadonlySet<FailureCode>;
}

export interface RetryPolicy {
  readonly maxAttempts: number;
  /** @returns the wait in milliseconds before the next attempt, or undefined to give up. `attempt` counts from 1. */
  delayAfter(attempt: number, failure: Failure): number | undefined;
}

/** Exponential backoff; jitter takes up to half of it off, so that clients which failed together do not return together. */
export function createRetryPolicy(options: RetryOptions, random: () => number = Math.random): RetryPolicy {
  const { backoff } = options;
  return {
    maxAttempts: options.maxAttempts,
    delayAfter(attempt, failure) {
      if (!failure.retryable || attempt >= options.maxAttempts) return undefined;
      const asked = failure.retryAfterMs;
      if (asked !== undefined) return asked > options.maxRetryAfter ? undefined : asked;
      if (attempt === 1 && options.otherwiseAfter?.has(failure.code)) return 0;
      const full = Math.min(backoff.initial * backoff.factor ** (attempt - 1), backoff.max);
      return Math.round(backoff.jitter ? full * (0.5 + random() / 2) : full);
    },
  };
}
