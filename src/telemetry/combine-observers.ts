/** Several observers as one that cannot hurt: what one of them throws reaches neither the others nor the exchange. */
import type { Observer, Propagator } from "../core/observer.ts";

/** A record, so that a new event cannot be forgotten here. */
const EVENTS: Readonly<Record<keyof Observer, true>> = {
  onFirstRequest: true,
  onExchangeStart: true,
  onQueueStart: true,
  onQueueEnd: true,
  onRateWaitStart: true,
  onRateWaitEnd: true,
  onRateRefused: true,
  onAttemptStart: true,
  onAttemptEnd: true,
  onRetry: true,
  onRetryRefused: true,
  onCommit: true,
  onComeBack: true,
  onExchangeEnd: true,
  onRejected: true,
};

/** Told of what an observer threw, which is a defect of that observer. */
export type OnDefect = (thrown: unknown) => void;

/** @param observers told in this order; those that are not there are left out. */
export function combineObservers(observers: readonly (Observer | undefined)[], onDefect: OnDefect): Observer {
  const present = observers.filter((observer) => observer !== undefined);
  const tell = (event: keyof Observer) => {
    return (...told: unknown[]): void => {
      for (const observer of present) {
        const listen = observer[event] as ((...told: unknown[]) => unknown) | undefined;
        if (listen !== undefined) guard(() => listen.apply(observer, told), onDefect);
      }
    };
  };
  return Object.fromEntries((Object.keys(EVENTS) as (keyof Observer)[]).map((event) => [event, tell(event)]));
}

/** The headers of all of them; one that throws adds none. */
export function combinePropagators(propagators: readonly (Propagator | undefined)[], onDefect: OnDefect): Propagator {
  return {
    headersFor(exchange, attempt) {
      const headers: Record<string, string> = {};
      for (const propagator of propagators) {
        guard(() => void Object.assign(headers, propagator?.headersFor(exchange, attempt)), onDefect);
      }
      return headers;
    },
  };
}

function guard(act: () => unknown, onDefect: OnDefect): void {
  // The defect may be the log's own, and telling of it then fails as well.
  const tell = (thrown: unknown): void => {
    try {
      onDefect(thrown);
    } catch {}
  };
  try {
    const result = act();
    // An async function suits the type too, and its rejection would end the process.
    if (result instanceof Promise) result.catch(tell);
  } catch (thrown) {
    tell(thrown);
  }
}
