/** Several observers as one. */
import type { Observer } from "../core/observer.ts";

/** @param observers told in this order; those that are not there are left out. */
export function combineObservers(observers: readonly (Observer | undefined)[]): Observer {
  const present = observers.filter((observer) => observer !== undefined);
  return {
    onQueueStart(exchange, upstream) {
      for (const observer of present) observer.onQueueStart?.(exchange, upstream);
    },
    onQueueEnd(exchange, upstream, waitedMs) {
      for (const observer of present) observer.onQueueEnd?.(exchange, upstream, waitedMs);
    },
    onAttemptStart(exchange, attempt) {
      for (const observer of present) observer.onAttemptStart?.(exchange, attempt);
    },
    onAttemptEnd(exchange, attempt) {
      for (const observer of present) observer.onAttemptEnd?.(exchange, attempt);
    },
    onRetry(exchange, attempt, failure, delayMs) {
      for (const observer of present) observer.onRetry?.(exchange, attempt, failure, delayMs);
    },
    onExchangeEnd(exchange, end) {
      for (const observer of present) observer.onExchangeEnd?.(exchange, end);
    },
  };
}
