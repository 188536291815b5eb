/** One client of an answer that is kept, and how far it has come. */
import type { Failure } from "../core/failure.ts";
import type { StreamEvent } from "../core/stream-event.ts";
import type { RunClient } from "./journal.ts";
import type { ReadEnd } from "./kept-answer.ts";
import type { KeptEvents } from "./kept-events.ts";
import { OFF_RECORD } from "./kept-ledger.ts";

/** What a reader that catches up is given at once; in bytes. Between two of them others have their turn. */
const CATCH_UP_BYTES = 65_536;

export class KeptReader {
  readonly client: RunClient;
  /** Why its client's part has ended, where it waits for how the answer ended. */
  goneFor: Failure | undefined;
  /** It is given events as they come. Otherwise it reads what is kept, at its own pace, until it has caught up. */
  isLive = false;
  /** The number of the last event that it was given. */
  cursor: number;
  /** The number of the event behind which its client is given other numbers. */
  renumbersAfter: number | undefined;
  /** That event, where it could take no more: it may not be kept for as long as that lasts. */
  stoppedAt: StreamEvent | undefined;
  readonly #onEnd: (end: ReadEnd) => void;
  #stopListening: () => void = () => {};

  constructor(client: RunClient, after: number, onEnd: (end: ReadEnd) => void) {
    this.client = client;
    this.cursor = after;
    this.#onEnd = onEnd;
  }

  onDrain(listener: () => void): void {
    this.#stopListening = this.client.onDrain(listener);
  }

  /**
   * Gives it the next of what it lacks.
   * @param upTo the number of the last event that it may be given.
   * @returns `done` where that was all, `slow` where it takes no more now, `lost` where what follows is not kept any more.
   */
  catchUp(events: KeptEvents, upTo: number): "done" | "more" | "slow" | "lost" {
    this.#renumber();
    if (this.cursor >= upTo) return "done";
    const from = this.cursor;
    if (from < events.dropped) return "lost";
    while (this.cursor < upTo && events.bytesAfter(from) - events.bytesAfter(this.cursor) < CATCH_UP_BYTES) {
      const kept = events.at(++this.cursor);
      if (kept !== undefined) this.client.push(kept.event, kept.kind);
      this.#renumber();
    }
    const isFlowing = this.client.flush();
    if (this.cursor === upTo) return "done";
    return isFlowing ? "more" : "slow";
  }

  #renumber(): void {
    if (this.cursor !== this.renumbersAfter) return;
    this.renumbersAfter = undefined;
    this.client.renumber?.(OFF_RECORD);
  }

  end(end: ReadEnd): void {
    this.#stopListening();
    this.#onEnd(end);
  }
}
