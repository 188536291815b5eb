/** Where an answer that is kept here is kept as well, for others. */
import type { ReplyHeaders } from "../core/reply.ts";
import type { KeptEnd } from "./kept-answer.ts";
import type { KeptEvent } from "./kept-events.ts";
import type { MadeLeg } from "./takeover.ts";

/** None of it is waited for, and none of it throws. */
export interface KeptMirror {
  /** Another replica may have to go on with the answer: clients are to be given only what is written by then. */
  readonly isAhead: boolean;
  begin(headers: ReplyHeaders): void;
  /** An attempt has won, or goes on with the answer. */
  leg(legs: readonly MadeLeg[]): void;
  /**
   * @param first the number of the first of these. @param dropped the number of the last that is to be kept no more.
   * @param onWritten called where {@link isAhead}.
   */
  append(events: readonly KeptEvent[], first: number, dropped: number, onWritten: () => void): void;
  /**
   * @param last the number of its last event.
   * @param isKept others may come for it from now on, and not only those that read it.
   * @param onWritten called where {@link isAhead}.
   */
  end(end: KeptEnd, last: number, isKept: boolean, onWritten: () => void): void;
  /** Called once at most, where {@link isAhead}. */
  onBroken(listener: (why: MirrorBreak) => void): void;
  /** Its last client has left, here. */
  left(): void;
  forgetName(): void;
  forget(): void;
}

/** Something could not be written, so that what follows is not; or another replica has taken the answer over. */
export type MirrorBreak = "unwritten" | "taken over";
