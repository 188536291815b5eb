/** What the lower floors tell whoever listens (log lines, counters, traces), so that they need not know who does. */
import type { Attempt } from "./attempt.ts";
import type { Exchange, ExchangeEnd } from "./exchange.ts";
import type { Failure } from "./failure.ts";

export interface Observer {
  /** A request has been read, and is about to be answered. */
  onExchangeStart?(exchange: Exchange): void;
  /** It waits for one of an upstream's connections, whose number is limited (`maxConnections`). */
  onQueueStart?(exchange: Exchange, upstream: string): void;
  /** That wait is over, with a connection or without. */
  onQueueEnd?(exchange: Exchange, upstream: string, waitedMs: number): void;
  /** An attempt begins; its request is sent next. */
  onAttemptStart?(exchange: Exchange, attempt: Attempt): void;
  /** An attempt has brought its first content, and has won. */
  onCommit?(exchange: Exchange, attempt: Attempt): void;
  /** An attempt is over, well or not; called exactly once for each. */
  onAttemptEnd?(exchange: Exchange, attempt: Attempt): void;
  /** An attempt failed and another will follow after `delayMs`. */
  onRetry?(exchange: Exchange, attempt: Attempt, failure: Failure, delayMs: number): void;
  /** The exchange is over; called exactly once for each. */
  onExchangeEnd?(exchange: Exchange, end: ExchangeEnd): void;
}

/** Adds headers to the requests that upstreams get, such as `traceparent`. */
export interface Propagator {
  headersFor(exchange: Exchange, attempt: Attempt): Readonly<Record<string, string>>;
}
