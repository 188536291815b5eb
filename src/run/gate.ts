/** The station that holds an attempt's events until it opens, so that a failure before that can be retried unseen. */
import { type EventKind, type EventSink, isContent } from "../core/event-sink.ts";
import type { HeldShare } from "../core/held-memory.ts";
import { type StreamEvent, wireBytes } from "../core/stream-event.ts";

export interface GateOptions {
  readonly next: EventSink;
  readonly held: HeldShare;
  /** At the first content, or only when the answer is whole (`gate.open`). */
  readonly openAt: "content" | "whole";
  /** How much may be held (`limits.maxGateBytes`, `limits.maxBodyBytes` of a whole answer); past that it opens, so nothing is lost. */
  readonly maxBytes: number;
  /** This attempt has won. @returns false when another has: then nothing of this one may reach the client. */
  commit(): boolean;
}

type GateState =
  | { readonly at: "holding"; readonly events: { readonly event: StreamEvent; readonly kind: EventKind }[]; bytes: number }
  | { readonly at: "open" }
  | { readonly at: "lost" };

export class Gate implements EventSink {
  readonly #options: GateOptions;
  #state: GateState = { at: "holding", events: [], bytes: 0 };

  constructor(options: GateOptions) {
    this.#options = options;
  }

  push(event: StreamEvent, kind: EventKind): void {
    const state = this.#state;
    if (state.at === "open") {
      this.#options.next.push(event, kind);
      return;
    }
    if (state.at === "lost") return;
    const bytes = wireBytes(event);
    state.events.push({ event, kind });
    state.bytes += bytes;
    this.#options.held.add(bytes);
    const { openAt, maxBytes } = this.#options;
    if ((openAt === "content" && isContent(kind)) || state.bytes > maxBytes) this.#open();
  }

  flush(): boolean {
    return this.#state.at !== "open" || this.#options.next.flush();
  }

  finish(): void {
    this.#open();
    if (this.#state.at === "open") this.#options.next.finish();
  }

  #open(): void {
    const state = this.#state;
    if (state.at !== "holding") return;
    this.#options.held.add(-state.bytes);
    this.#state = { at: this.#options.commit() ? "open" : "lost" };
    if (this.#state.at === "open") for (const { event, kind } of state.events) this.#options.next.push(event, kind);
  }
}
