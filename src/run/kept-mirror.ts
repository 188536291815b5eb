/** Where an answer that is kept here is kept as well, for others. */
import type { ReplyHeaders } from "../core/reply.ts";
import type { KeptEnd } from "./kept-answer.ts";
import type { KeptEvent } from "./kept-events.ts";

/** None of it is waited for, and none of it throws. */
export interface KeptMirror {
  begin(headers: ReplyHeaders): void;
  /** @param first the number of the first of these. @param dropped the number of the last that is to be kept no more. */
  append(events: readonly KeptEvent[], first: number, dropped: number): void;
  /**
   * @param last the number of its last event.
   * @param isKept others may come for it from now on, and not only those that read it.
   */
  end(end: KeptEnd, last: number, isKept: boolean): void;
  /** Its last client has left, here. */
  left(): void;
  forgetName(): void;
  forget(): void;
}
