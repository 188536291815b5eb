/** The settings of an exchange, as configured and as narrowed by its client. */
import type { RetryOptions } from "../attempt/retry-policy.ts";
import type { Exchange } from "../core/exchange.ts";
import type { Observer } from "../core/observer.ts";
import type { ClientResponseOptions } from "../downstream/client-response.ts";
import type { Upstream } from "../upstream/upstream.ts";

/** Times in milliseconds, sizes in bytes. */
export interface RelayOptions {
  readonly upstream: Upstream;
  readonly timeouts: { readonly firstToken: number; readonly idle: number; readonly total: number };
  readonly retry: RetryOptions;
  readonly response: ClientResponseOptions;
  readonly limits: { readonly maxBodyBytes: number; readonly maxEventBytes: number; readonly maxGateBytes: number };
  /** Tool calls reach the client whole, or as they come. */
  readonly gate: { readonly toolCalls: "hold" | "stream" };
  /** When a streamed request that finds only empty streams is asked whole: at the next attempt, at the last, or never. */
  readonly emptyFallback: "next" | "last" | "off";
  /** How a request that is not streamed is asked: as it is, or as a stream that is watched and joined. */
  readonly nonStreaming: "direct" | "viaStream";
  readonly observer: Observer;
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
