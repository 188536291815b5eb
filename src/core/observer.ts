/** What the lower floors report of requests, so that they need not know who listens: log lines, counters, traces. */
import type { Attempt } from "./attempt.ts";
import type { ComeBackWay, Exchange, ExchangeEnd } from "./exchange.ts";
import type { Failure, FailureCode } from "./failure.ts";

/** Whose rate limit it is: an upstream's, or that of a client's key, by the name that the configuration gives it. */
export interface RateOwner {
  readonly scope: "upstream" | "key";
  readonly name: string;
}

/** Only listens: what it returns is not looked at, and what it throws changes nothing (see combineObservers). */
export interface Observer {
  /** A connection has brought its first request, so long after it was accepted: its client's own time, and the event loop's. */
  onFirstRequest?(waitedMs: number): void;
  /** A request has become an exchange; its first attempt comes next. */
  onExchangeStart?(exchange: Exchange): void;
  /** It waits for one of an upstream's connections, whose number is limited (`maxConnections`). */
  onQueueStart?(exchange: Exchange, upstream: string): void;
  /** That wait is over, with a connection or without. */
  onQueueEnd?(exchange: Exchange, upstream: string, waitedMs: number): void;
  /** It waits for a rate limit. */
  onRateWaitStart?(exchange: Exchange, owner: RateOwner): void;
  /** That wait is over, well or not. */
  onRateWaitEnd?(exchange: Exchange, owner: RateOwner, waitedMs: number): void;
  /** A rate limit has let it wait for as long as it may, in vain. */
  onRateRefused?(exchange: Exchange, owner: RateOwner): void;
  /** An attempt begins; its request is sent next. */
  onAttemptStart?(exchange: Exchange, attempt: Attempt): void;
  /** An attempt is over, well or not; called exactly once for each. */
  onAttemptEnd?(exchange: Exchange, attempt: Attempt): void;
  /** An attempt failed and another will follow after `delayMs`. */
  onRetry?(exchange: Exchange, attempt: Attempt, failure: Failure, delayMs: number): void;
  /** An attempt failed, and none follows that would have: too many of all requests are retried (`retry.budget`). */
  onRetryRefused?(exchange: Exchange): void;
  /** An attempt has won: its content goes to the client, and no other can follow. */
  onCommit?(exchange: Exchange, attempt: Attempt): void;
  /** A client came for an answer that is kept: it runs still, it is over, or it cannot be given. */
  onComeBack?(way: ComeBackWay, found: "running" | "over" | "refused"): void;
  /** The exchange is over; called exactly once for each. */
  onExchangeEnd?(exchange: Exchange, end: ExchangeEnd): void;
  /** A request was answered without becoming an exchange. */
  onRejected?(refusal: Refusal): void;
}

/** A request that Perennial answered by itself, without asking an upstream. */
export interface Refusal {
  readonly id: string;
  readonly method: string;
  /** As received, without the query. */
  readonly path: string;
  readonly failure: FailureCode;
  /** HTTP status sent to the client. */
  readonly status: number;
  readonly durationMs: number;
  /** The underlying error of a defect of ours, for the log; undefined for a refusal that was meant. */
  readonly defect: unknown;
}

/** Adds headers to the requests that go upstream, such as `traceparent`. */
export interface Propagator {
  /** Asked once for each attempt, after its start was reported. */
  headersFor(exchange: Exchange, attempt: Attempt): Readonly<Record<string, string>>;
}
