/** The wait for one of an upstream's connections: it is ours, so no attempt is counted and no clock of the upstream's runs. */
import type { Candidate } from "../balance/candidate.ts";
import type { Release } from "../balance/connection-queue.ts";
import type { Exchange } from "../core/exchange.ts";
import type { Observer } from "../core/observer.ts";

/** @throws Failure `overloaded` when none came free within `timeouts.queue`; the reason of the signal. */
export async function enterQueue(
  { upstream, policy, shared }: Candidate,
  exchange: Exchange,
  observer: Observer,
  signal: AbortSignal,
): Promise<Release> {
  let beganAt: number | undefined;
  try {
    return await shared.connections.acquire({
      signal,
      maxWaitMs: policy.timeouts.queue,
      onWait() {
        beganAt = performance.now();
        observer.onQueueStart?.(exchange, upstream.name);
      },
    });
  } finally {
    if (beganAt !== undefined) {
      const waitedMs = performance.now() - beganAt;
      exchange.stats.waitedMs = (exchange.stats.waitedMs ?? 0) + waitedMs;
      observer.onQueueEnd?.(exchange, upstream.name, waitedMs);
    }
  }
}
