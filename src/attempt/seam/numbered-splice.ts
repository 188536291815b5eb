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
  /** The number of the newest event. */
  #last: number | undefined;

  constructor(options: NumberedSpliceOptions) {
    this.#options = options;
    this.#last = options.last;
  }

  /** @throws Failure `sequence` when it does not begin with the next event, or tells one again. */
  push(event: StreamEvent, kind: EventKind): void {
    const { next, numberOf, accept } = this.#options;
    const last = this.#last;
    const number = numberOf(event);
    if (this.#state === "waiting") {
      if (last === undefined || number !== last + 1) throw refusedSeam("sequence");
      this.#state = accept() ? "open" : "lost";
    }
    if (number !== undefined && last !== undefined && number <= last) throw refusedSeam("sequence");
    this.#last = number ?? last;
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
