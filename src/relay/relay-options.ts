/** The settings of an exchange, as configured and as narrowed by its client. */
import type { RetryOptions } from "../attempt/retry-policy.ts";
import type { UpstreamPolicy } from "../balance/candidate.ts";
import type { Exchange } from "../core/exchange.ts";
import type { Observer, Propagator } from "../core/observer.ts";
import type { ClientResponseOptions } from "../downstream/client-response.ts";
import type { Upstream } from "../upstream/upstream.ts";

/** Times in milliseconds, sizes in bytes. */
export interface RelayOptions extends UpstreamPolicy {
  readonly upstream: Upstream;
  readonly retry: RetryOptions;
  readonly response: ClientResponseOptions;
  readonly limits: { readonly maxBodyBytes: number; readonly maxEventBytes: number; readonly maxGateBytes: number };
  readonly observer: Observer;
  readonly propagator: Propagator;
}

/** The client's own policy can only be stricter than the configured one. */
export function narrowOptions(options: RelayOptions, { overrides }: Exchange): RelayOptions {
  const { maxAttempts, firstTokenMs, idleMs, totalMs } = overrides;
  const { timeouts, retry } = options;
  return {
    ...options,
    retry: { ...retry, maxAttempts: Math.min(retry.maxAttempts, maxAttempts ?? retry.maxAttempts) },
    timeouts: {
      firstToken: Math.min(timeouts.firstToken, firstTokenMs ?? timeouts.firstToken),
      idle: Math.min(timeouts.idle, idleMs ?? timeouts.idle),
      total: Math.min(timeouts.total, totalMs ?? timeouts.total),
    },
  };
}
