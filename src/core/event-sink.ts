/** A station on the way of an attempt's events: the tool-call hold, the gate, the journal, a client's stream. */
import type { StreamEvent } from "./stream-event.ts";

/** What a judged event means to the stations; see Verdict for the words. */
export type EventKind = "content" | "tool-call" | "meta" | "final";

/** Each station pushes to the next one, in the order in which events came. */
export interface EventSink {
  /** @throws Failure when the station cannot take it; the attempt then ends with that. */
  push(event: StreamEvent, kind: EventKind): void;
  /** One read of the network has been pushed. @returns false when no more should come for now. */
  flush(): boolean;
  /** The stream is whole: nothing may be held back any longer. */
  finish(): void;
}

/** Something that the user asked for, as text or as a call of a tool. */
export function isContent(kind: EventKind): boolean {
  return kind === "content" || kind === "tool-call";
}

/** The last station where only the verdict matters: a probe keeps nothing of the answer. */
export const DISCARD: EventSink = { push() {}, flush: () => true, finish() {} };
