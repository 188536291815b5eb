/** An answer that is kept for clients that come back: what it is, and how it ended. */
import type { AttemptResult } from "../core/attempt-output.ts";
import type { Api } from "../core/exchange.ts";
import type { Failure } from "../core/failure.ts";
import type { Outcome, ResumedBy } from "../core/outcome.ts";
import type { StreamEvent } from "../core/stream-event.ts";
import type { RunClient } from "./journal.ts";

/** Whose answer it is, and to what. */
export interface KeptFacts {
  /** Tells its client from others; see `clientOf`. */
  readonly client: string;
  /** Of the path and the body of its request. */
  readonly request: string;
  readonly api: Api;
}

/** How an answer ended, for all who come for it. */
export type KeptEnd = {
  /** How the answer went on over each of its breaks. */
  readonly seams: readonly ResumedBy[];
} & (
  | { readonly kind: "answered"; readonly result: AttemptResult; readonly outcome: Outcome }
  | {
      readonly kind: "failed";
      readonly failure: Failure;
      /** In plain words, the same for everybody. */
      readonly message: string;
      /** The same in wire form, for clients that have had their headers. */
      readonly errorEvent: string;
    }
);

/** The end of one client's reading: that of the answer, or why the client got no further. */
export type ReadEnd =
  | { readonly kind: "over"; readonly end: KeptEnd }
  /** Another replica goes on with it: what follows event number `after` is to be had there. */
  | { readonly kind: "moved"; readonly after: number }
  | { readonly kind: "left"; readonly failure: Failure; readonly lastEvent: StreamEvent | undefined };

/** What is told of an answer without reading it. */
export interface KeptState {
  readonly state: "running" | "whole" | "failed";
  /** Of text. */
  readonly characters: number;
  /** How many events can be asked for, the last one included. */
  readonly events: number;
  /** The number of the last of these, by which what follows it can be asked for. */
  readonly last: number;
  /** Undefined where its beginning is not kept any more, and where it is no text. */
  readonly text: string | undefined;
  readonly failure: Failure | undefined;
}

/** The answer as its readers see it, wherever it is made. */
export interface KeptAnswer extends KeptFacts {
  /** 128 random bits. */
  readonly id: string;
  /** An upstream works on it, as far as is known; see Run. */
  readonly isTaken: boolean;
  readonly isOver: boolean;
  /** What follows event number `after` can be given: it is kept, or will be made. */
  canGiveAfter(after: number): boolean;
  /** Nothing follows event number `after`. */
  isLast(after: number): boolean;
  /** Gives all that follows event number `after`, until the answer is over, or `signal` ends the client's part in it. */
  read(client: RunClient, after: number, signal: AbortSignal): Promise<ReadEnd>;
  tell(): Promise<KeptState>;
  /** Ends it where it still runs, and forgets it. */
  stop(): Promise<void>;
  /** Its body is passed on as it comes, and is not kept. */
  readonly isPiped: boolean;
  /** Milliseconds since it was started, or since its last client left, whichever is less. */
  readonly quietMs: number;
}

/** How many events stand behind the last one of the answer itself: the terminator, or the error event. */
export function lastWords(end: KeptEnd | undefined, { dialect }: Api): 0 | 1 {
  if (end === undefined) return 0;
  return end.kind === "failed" || (end.result.kind === "streamed" && dialect.terminator !== "") ? 1 : 0;
}
