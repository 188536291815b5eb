/** The station that holds an attempt's events until it opens, so that a failure before that can be retried unseen. */
import { type EventKind, type EventSink, isContent } from "../core/event-sink.ts";
import { detached, type HeldShare, heldBytes } from "../core/held-memory.ts";
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

interface HeldEvent {
  readonly event: StreamEvent;
  readonly kind: EventKind;
}

type GateState =
  | { readonly at: "holding"; readonly events: HeldEvent[]; bytes: number; heldBytes: number }
  | { readonly at: "open" }
  | { readonly at: "lost" };

export class Gate implements EventSink {
  readonly #options: GateOptions;
  #state: GateState = { at: "holding", events: [], bytes: 0, heldBytes: 0 };

  constructor(options: GateOptions) {
    this.#options = options;
    options.held.onPressure(() => this.#relieve());
  }

  push(event: StreamEvent, kind: EventKind): void {
    const state = this.#state;
    if (state.at === "open") {
      this.#options.next.push(event, kind);
      return;
    }
    if (state.at === "lost") return;
    const { openAt, maxBytes } = this.#options;
    state.bytes += wireBytes(event);
    const opens = (openAt === "content" && isContent(kind)) || state.bytes > maxBytes;
    state.events.push({ event: opens ? event : detached(event), kind });
    if (opens) this.#open();
    else this.#hold(state, heldBytes(event));
  }

  flush(): boolean {
    return this.#state.at !== "open" || this.#options.next.flush();
  }

  finish(): void {
    this.#open();
    if (this.#state.at === "open") this.#options.next.finish();
  }

  #hold(state: Extract<GateState, { at: "holding" }>, bytes: number): void {
    state.heldBytes += bytes;
    this.#options.held.add(bytes);
  }

  /** There is no room for it any more: what came so far is given, and can then not be asked for again. */
  #relieve(): void {
    if (this.#state.at !== "holding" || this.#state.heldBytes === 0) return;
    this.#open();
    this.flush();
  }

  #open(): void {
    const state = this.#state;
    if (state.at !== "holding") return;
    this.#options.held.add(-state.heldBytes);
    this.#state = { at: this.#options.commit() ? "open" : "lost" };
    if (this.#state.at === "open") for (const { event, kind } of state.events) this.#options.next.push(event, kind);
  }
}
