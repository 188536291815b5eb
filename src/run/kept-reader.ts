/** One client of an answer that is kept, and how far it has come. */
import type { Failure } from "../core/failure.ts";
import type { StreamEvent } from "../core/stream-event.ts";
import type { RunClient } from "./journal.ts";
import type { ReadEnd } from "./kept-answer.ts";

export class KeptReader {
  readonly client: RunClient;
  /** Why its client's part has ended, where it waits for how the answer ended. */
  goneFor: Failure | undefined;
  /** It is given events as they come. Otherwise it reads what is kept, at its own pace, until it has caught up. */
  isLive = false;
  /** The number of the last event that it was given. */
  cursor: number;
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

  end(end: ReadEnd): void {
    this.#stopListening();
    this.#onEnd(end);
  }
}
