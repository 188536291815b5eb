/** One client's request and all that is known of how it is served, from its arrival to its one outcome. */
import type { Readable } from "node:stream";
import type { SeamRule } from "./answer-record.ts";
import type { Attempt } from "./attempt.ts";
import type { Dialect, DialectRequest } from "./dialect.ts";
import type { Failure, FailureCode } from "./failure.ts";
import type { Outcome, ResumedBy } from "./outcome.ts";
import type { Recording } from "./recording.ts";

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

/** A client's own policy for one request (`x-perennial-…` headers). All times in milliseconds. */
export interface PolicyOverrides {
  readonly maxAttempts?: number;
  readonly firstTokenMs?: number;
  readonly idleMs?: number;
  readonly totalMs?: number;
  readonly recovery?: Recovery;
  /** When the client wants to be shown its answer. */
  readonly gateOpen?: "content" | "whole";
}

/**
 * What becomes of a stream that breaks when its client has some of it: an error event, the rest of the same generation, or that of
 * another that is proved to go on with the answer. Each allows what stands before it.
 */
export const RECOVERIES = ["error", "resume", "continue"] as const;

export type Recovery = (typeof RECOVERIES)[number];

/** What is counted where the answer is delivered to the client; one object, mutated in place, read once at the end. */
export interface ExchangeStats {
  /** Milliseconds from arrival to the first content. */
  firstTokenMs: number | undefined;
  /** Milliseconds for which it waited for one of the upstream's connections; undefined where it did not. */
  waitedMs: number | undefined;
  /** Milliseconds for which it waited for a rate limit; undefined where it did not. */
  limitedMs: number | undefined;
  /** Events sent to the client. */
  events: number;
  /** Body bytes sent to the client. */
  bytes: number;
  /** Characters of text sent to the client. */
  characters: number;
  /** Longest silence between two reads that brought content, in milliseconds; undefined before the second. */
  longestGapMs: number | undefined;
  /** Comments that kept the client waiting. */
  heartbeats: number;
}

export function createExchangeStats(): ExchangeStats {
  return {
    firstTokenMs: undefined,
    waitedMs: undefined,
    limitedMs: undefined,
    events: 0,
    bytes: 0,
    characters: 0,
    longestGapMs: undefined,
    heartbeats: 0,
  };
}

/** A client's key by its name: what it may do. */
export interface ClientKey {
  /** Tells it from others, and cannot be turned back into the key. */
  readonly id: string;
  readonly name: string;
  /** Those of a lower number wait before the others. */
  readonly priority: number;
  /** The only models that it may use, where `*` stands for any characters; undefined for all. */
  readonly models: readonly string[] | undefined;
}

/** A request in a dialect that Perennial understands. */
export interface Api {
  readonly dialect: Dialect;
  readonly request: DialectRequest;
}

/** How a client came to an answer that another request had started: by the stream's id, or as a request that was made before. */
export type ComeBackWay = "get" | "last-event-id" | "idempotency-key" | "retry";

/** That an answer is kept, so that clients can come back for it. */
export interface KeptNote {
  /** The stream's id: to whoever knows it, and is the same client, it opens the answer. */
  readonly stream: string;
  /** Undefined for the request that started it. */
  readonly way: ComeBackWay | undefined;
  /** Another replica had begun it, and has gone: it has no client of its own. @defaultValue false */
  readonly takenOver?: boolean;
}

export interface Exchange {
  readonly id: string;
  /** The digest of the key that opened our door; empty where none is needed. */
  readonly key?: string;
  /** Undefined where its answer is not kept. */
  kept?: KeptNote;
  /** Undefined where what its upstreams send is not written down, as a rule. */
  recording?: Recording | undefined;
  /** Undefined for a request that is passed through. */
  readonly api: Api | undefined;
  readonly request: ExchangeRequest;
  readonly overrides: PolicyOverrides;
  /** Whose key the client has brought; undefined where keys have no names, or are not needed. */
  readonly client?: ClientKey | undefined;
  /** Unix time in milliseconds, for logs and traces alone: the time of day may be set back, and forward. */
  readonly startedAt: number;
  /** On the clock of `performance.now()`, on which all spans are measured: the request's head had been read. */
  readonly arrivedAt: number;
  /** On the same clock: the request was there, with its body where that is buffered. */
  readonly readAt: number;
  /** Aborted with a Failure as its reason: the client left, or Perennial is draining. */
  readonly signal: AbortSignal;
  /** Ends the exchange for a reason of ours or the client's. */
  abort(reason: Failure): void;
  /** Those of the run that answers it; none before it has one. */
  attempts: readonly Attempt[];
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
  /** How its answer went on over each of its breaks. */
  readonly seams?: readonly ResumedBy[];
  /** Why it did not go on over the last. */
  readonly seam?: SeamRule | undefined;
  /** The underlying error of a defect of ours, for the log. */
  readonly defect: unknown;
  /** What its run made while no client listened; undefined where that was never so. */
  readonly lingered?: Lingered | undefined;
}

/** What was made for clients that had left and might come back. */
export interface Lingered {
  readonly ms: number;
  readonly characters: number;
}
