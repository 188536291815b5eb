/** One client request and everything that is known of it, from its arrival to its one outcome. */
import type { Readable } from "node:stream";
import type { Attempt } from "./attempt.ts";
import type { Dialect, DialectRequest } from "./dialect.ts";
import type { Failure, FailureCode } from "./failure.ts";
import type { Outcome } from "./outcome.ts";

export type Headers = Readonly<Record<string, string | string[] | undefined>>;

/** What the client asked for; never changes. */
export interface ExchangeRequest {
  readonly method: string;
  /** Path and query under the base URL, beginning with `/`. */
  readonly path: string;
  /** As received, names in lower case. */
  readonly headers: Headers;
  /** The original bytes; a stream where they are passed through unread; null when there are none. */
  readonly body: Buffer | Readable | null;
  /** What a compressed body says, to be read, or sent without its content-encoding where it is rewritten; absent where `body` is plain. */
  readonly plain?: Buffer;
}

/** A client's own, narrower policy for one request (`x-perennial-…` headers). All times in milliseconds. */
export interface PolicyOverrides {
  readonly maxAttempts?: number;
  readonly firstTokenMs?: number;
  readonly idleMs?: number;
  readonly totalMs?: number;
}

/** What is counted while the exchange runs; one object, mutated in place, read once at the end. */
export interface ExchangeStats {
  /** Milliseconds from arrival to the first content. */
  firstTokenMs: number | undefined;
  /** Events sent to the client. */
  events: number;
  /** Body bytes sent to the client. */
  bytes: number;
  /** Characters of text that the client has got. */
  characters: number;
  /** Longest silence between two reads that brought content, in milliseconds; undefined before the second. */
  longestGapMs: number | undefined;
  /** Bytes that the gate holds back at this moment. */
  heldBytes: number;
}

export function createExchangeStats(): ExchangeStats {
  return { firstTokenMs: undefined, events: 0, bytes: 0, characters: 0, longestGapMs: undefined, heldBytes: 0 };
}

export interface Exchange {
  readonly id: string;
  /** What was asked, and in which dialect; undefined for a request that is passed through. */
  readonly ask: { readonly dialect: Dialect; readonly asked: DialectRequest } | undefined;
  readonly request: ExchangeRequest;
  readonly overrides: PolicyOverrides;
  /** Unix time in milliseconds. */
  readonly startedAt: number;
  /** On the clock of `performance.now()`: the request was there, with its body where that is buffered. */
  readonly arrivedAt: number;
  /** Aborted with a Failure as its reason: the client left, the deadline passed, or Perennial is draining. */
  readonly signal: AbortSignal;
  /** Ends the exchange for a reason of ours or the client's. */
  abort(reason: Failure): void;
  readonly attempts: Attempt[];
  readonly stats: ExchangeStats;
}

/** The end of an exchange, as every listener hears it. */
export interface ExchangeEnd {
  readonly outcome: Outcome;
  /** Present for `failed`, `interrupted` and `rejected`. */
  readonly failure: FailureCode | undefined;
  /** HTTP status sent to the client; undefined when none was. */
  readonly status: number | undefined;
  readonly durationMs: number;
  /** The underlying error of a defect of ours, for the log. */
  readonly defect: unknown;
}
