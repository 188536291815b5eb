/** What is written down of a run, so that another replica can go on with its answer when this one is gone. */
import type { KeptName } from "../attempt/native-session.ts";
import type { Headers } from "../core/exchange.ts";
import { Failure } from "../core/failure.ts";
import type { ResumedBy } from "../core/outcome.ts";
import type { KeptStream } from "./kept-stream.ts";
import type { KeepOptions } from "./stream-store.ts";

/** A client's request as it may be kept: with nobody's credentials. */
export interface StoredRequest {
  readonly method: string;
  /** Path and query under the base URL. */
  readonly path: string;
  readonly headers: Headers;
  readonly body: string;
}

/** An attempt that clients have some of. */
export interface MadeLeg {
  /** The upstream's name. */
  readonly upstream: string;
  /** What its answer called the model, where clients are told another name. */
  readonly servedModel?: string | undefined;
  /** How it went on with the answer of the one before; undefined for the first. */
  readonly by?: ResumedBy | undefined;
  /** What the upstream keeps of it. */
  readonly kept?: KeptName | undefined;
}

/** An answer whose maker has gone, as this replica has to go on with it. */
export interface TakenOver {
  /** With all that clients may have. */
  readonly stream: KeptStream;
  readonly request: StoredRequest;
  /** In their order. */
  readonly legs: readonly MadeLeg[];
  /** Not all that clients may have is kept any more: nothing can go on with it. */
  readonly isCut: boolean;
}

/** A place among the exchanges that may run here. */
export interface Place {
  readonly keep: KeepOptions;
  /** Gives it back unused. */
  release(): void;
  begin(taken: TakenOver): void;
}

/** Who goes on with answers whose makers have gone. Never rejects. @returns undefined where there is no room, or none is to begin any more. */
export type Successor = () => Promise<Place | undefined>;

/** How an answer broke whose maker has gone. */
export function makerLost(): Failure {
  return new Failure("stream_truncated", "the replica of Perennial that made the answer has ended");
}
