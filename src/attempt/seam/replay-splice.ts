/** The station for the same generation, told from its beginning: what the client has is swallowed, event by event, and the rest goes on. */
import type { AnswerRecord, AnswerRecorder } from "../../core/answer-record.ts";
import type { EventKind, EventSink } from "../../core/event-sink.ts";
import type { StreamEvent } from "../../core/stream-event.ts";
import { refusedSeam } from "./splice.ts";

export interface ReplaySpliceOptions {
  readonly next: EventSink;
  /** What the client has. */
  readonly given: AnswerRecord;
  /** Writes down what is told again. */
  readonly again: AnswerRecorder;
  accept(): boolean;
}

export class ReplaySplice implements EventSink {
  readonly #options: ReplaySpliceOptions;
  readonly #given: { readonly events: number; readonly text: string; readonly id: unknown };
  #state: "swallowing" | "open" | "lost" = "swallowing";

  constructor(options: ReplaySpliceOptions) {
    this.#options = options;
    const { events, text, head } = options.given;
    // Taken now: what is told behind the seam is written down there too.
    this.#given = { events, text, id: head.id };
  }

  /** @throws Failure `sequence` when it is not what the client has. */
  push(event: StreamEvent, kind: EventKind): void {
    if (this.#state === "open") this.#options.next.push(event, kind);
    if (this.#state !== "swallowing") return;
    const { again, accept } = this.#options;
    again.add(event);
    // Compared once, at its end: with each event it would take as long as the answer is, squared.
    if (again.text.length > this.#given.text.length) throw refusedSeam("sequence");
    if (again.events < this.#given.events) return;
    if (again.text !== this.#given.text || again.head.id !== this.#given.id) throw refusedSeam("sequence");
    this.#state = accept() ? "open" : "lost";
  }

  flush(): boolean {
    return this.#state !== "open" || this.#options.next.flush();
  }

  /** @throws Failure as {@link push} does. */
  finish(): void {
    if (this.#state === "swallowing") throw refusedSeam("sequence");
    if (this.#state === "open") this.#options.next.finish();
  }
}
