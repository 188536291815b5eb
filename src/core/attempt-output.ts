/** Where an attempt hands its answer: the run gives it to its clients, once the attempt has won. */
import type { AnswerRecord } from "./answer-record.ts";
import type { EventSink } from "./event-sink.ts";
import type { Failure } from "./failure.ts";
import type { ResumedBy } from "./outcome.ts";
import type { ReplyHeaders } from "./reply.ts";

export interface AttemptOutput {
  /** The upstream works on it, as far as can be known: from here on the attempt may cost something. */
  onTaken(): void;
  /** It has brought its first content; undefined where nobody wants to know. @returns false when another has before it. */
  readonly onContent?: (() => boolean) | undefined;
  /** The way of a streamed answer's events: held until the first content, or until the answer is whole, which commits the attempt. */
  openStream(headers: ReplyHeaders, opening: StreamOpening): EventSink;
  /** What clients have of a streamed answer; undefined where it is not to be continued. */
  readonly given: AnswerRecord | undefined;
  /** The way of another leg of the answer that clients have some of, once its seam is accepted. */
  nextLeg(by: ResumedBy): NextLegOutput;
  /** The head of a body that is passed through; it commits the attempt. */
  openBody(status: number, headers: ReplyHeaders): void;
  /** Bytes of that body. @returns false when the client reads too slowly. */
  write(chunk: Buffer): boolean;
  /** The client has caught up. @returns what ends the subscription. */
  onDrain(listener: () => void): () => void;
}

/** When clients are shown a streamed answer. */
export interface StreamOpening {
  readonly at: "content" | "whole";
  /** How late they are shown what comes, in milliseconds: until then it can be retried unseen. */
  readonly lagMs: number;
  /** It was time, and could not be done. */
  onFailure(failure: Failure): void;
  /** Once the attempt is over, however: what still waits for its time must stop. */
  onSettle(listener: () => void): void;
}

export interface NextLegOutput {
  readonly sink: EventSink;
  /** @returns false when the run does not want it any more: then nothing of it may reach the sink. */
  accept(): boolean;
}

/** How an attempt won: with a stream that has been handed over, a reply that has not, or a body that was passed through. */
export type AttemptResult =
  | { readonly kind: "streamed"; readonly repaired: boolean }
  | {
      readonly kind: "reply";
      readonly status: number;
      readonly headers: ReplyHeaders;
      readonly body: Buffer;
      readonly repaired: boolean;
    }
  | { readonly kind: "piped" };
