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
  const tellDefect = defectTeller(onDefect);
  const combined: Partial<Record<keyof Observer, (...told: unknown[]) => void>> = {};
  for (const event of Object.keys(EVENTS) as (keyof Observer)[]) {
    const listeners = observers.flatMap((observer) => {
      const listen = observer?.[event] as ((...told: unknown[]) => unknown) | undefined;
      return listen === undefined ? [] : [listen.bind(observer)];
    });
    // Nobody is called for what nobody listens to.
    if (listeners.length > 0) combined[event] = (...told) => tellAll(listeners, told, tellDefect);
  }
  return combined;
}

/** The headers of all of them; one that throws adds none. */
export function combinePropagators(propagators: readonly (Propagator | undefined)[], onDefect: OnDefect): Propagator {
  const tellDefect = defectTeller(onDefect);
  return {
    headersFor(exchange, attempt) {
      const headers: Record<string, string> = {};
      for (const propagator of propagators) {
        try {
          Object.assign(headers, propagator?.headersFor(exchange, attempt));
        } catch (thrown) {
          tellDefect(thrown);
        }
      }
      return headers;
    },
  };
}

function tellAll(listeners: readonly ((...told: unknown[]) => unknown)[], told: readonly unknown[], tellDefect: OnDefect): void {
  for (const listen of listeners) {
    try {
      const result = listen(...told);
      // An async function suits the type too, and its rejection would end the process.
      if (result instanceof Promise) result.catch(tellDefect);
    } catch (thrown) {
      tellDefect(thrown);
    }
  }
}

/** The defect may be the log's own, and telling of it then fails as well. */
function defectTeller(onDefect: OnDefect): OnDefect {
  return (thrown) => {
    try {
      onDefect(thrown);
    } catch {}
  };
}
