/** The station for the same generation, told from behind what the client has: it begins with the next number, or is none of it. */
import type { EventKind, EventSink } from "../../core/event-sink.ts";
import type { StreamEvent } from "../../core/stream-event.ts";
import { refusedSeam } from "./splice.ts";

export interface NumberedSpliceOptions {
  readonly next: EventSink;
  /** The number of the last event that the client has. */
  readonly last: number | undefined;
  numberOf(event: StreamEvent): number | undefined;
  accept(): boolean;
}

export class NumberedSplice implements EventSink {
  readonly #options: NumberedSpliceOptions;
  #state: "waiting" | "open" | "lost" = "waiting";

  constructor(options: NumberedSpliceOptions) {
    this.#options = options;
  }

  /** @throws Failure `sequence` when an event lies between it and the last, or it was told before. */
  push(event: StreamEvent, kind: EventKind): void {
    const { next, last, numberOf, accept } = this.#options;
    if (this.#state === "waiting") {
      if (last === undefined || numberOf(event) !== last + 1) throw refusedSeam("sequence");
      this.#state = accept() ? "open" : "lost";
    }
    if (this.#state === "open") next.push(event, kind);
  }

  flush(): boolean {
    return this.#state !== "open" || this.#options.next.flush();
  }

  /** @throws Failure as {@link push} does. */
  finish(): void {
    if (this.#state === "waiting") throw refusedSeam("sequence");
    if (this.#state === "open") this.#options.next.finish();
  }
}
