/** What the lower floors tell whoever listens (log lines, counters, traces), so that they need not know who does. */
import type { Attempt } from "./attempt.ts";
import type { Exchange, ExchangeEnd } from "./exchange.ts";
import type { Failure } from "./failure.ts";

export interface Observer {
  /**
   * An attempt begins; its request is sent next.
   * @returns headers to add to that request.
   */
  onAttemptStart?(exchange: Exchange, attempt: Attempt): Readonly<Record<string, string>> | undefined;
  /** An attempt is over, well or not; called exactly once for each. */
  onAttemptEnd?(exchange: Exchange, attempt: Attempt): void;
  /** An attempt failed and another will follow after `delayMs`. */
  onRetry?(exchange: Exchange, attempt: Attempt, failure: Failure, delayMs: number): void;
  /** The exchange is over; called exactly once for each. */
  onExchangeEnd?(exchange: Exchange, end: ExchangeEnd): void;
}
