/** The station that holds an attempt's events until it opens, so that a failure before that can be retried unseen. */
import { type EventKind, type EventSink, isContent } from "../core/event-sink.ts";
import { type Failure, toFailure } from "../core/failure.ts";
import { detached, type HeldShare, heldBytes } from "../core/held-memory.ts";
import { type StreamEvent, wireBytes } from "../core/stream-event.ts";
import type { TimedSink } from "./lag.ts";

export interface GateOptions {
  readonly next: TimedSink;
  readonly held: HeldShare;
  /** At the first content, or only when the answer is whole (`gate.open`). */
  readonly openAt: "content" | "whole";
  /** So long after the first content, in milliseconds (`gate.lag`): what breaks before can be retried unseen. @defaultValue 0 */
  readonly lagMs?: number;
  /** It was time to open, and could not be done. */
  onFailure?(failure: Failure): void;
  /** How much may be held (`limits.maxGateBytes`, `limits.maxBodyBytes` of a whole answer); past that it opens, so nothing is lost. */
  readonly maxBytes: number;
  /** This attempt has won. @returns false when another has: then nothing of this one may reach the client. */
  commit(): boolean;
}

interface HeldEvent {
  readonly event: StreamEvent;
  readonly kind: EventKind;
  /** On the clock of `performance.now()`; undefined where nothing depends on it. */
  readonly cameAt: number | undefined;
}

type GateState =
  | {
      readonly at: "holding";
      readonly events: HeldEvent[];
      bytes: number;
      heldBytes: number;
      /** From the first content, where that is shown late. */
      opening?: NodeJS.Timeout;
    }
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
    const { openAt, lagMs = 0, maxBytes } = this.#options;
    state.bytes += wireBytes(event);
    const isTime = openAt === "content" && isContent(kind);
    const opens = (isTime && lagMs === 0) || state.bytes > maxBytes;
    state.events.push({ event: opens ? event : detached(event), kind, cameAt: lagMs === 0 ? undefined : performance.now() });
    if (opens) {
      this.#open();
      return;
    }
    this.#hold(state, heldBytes(event));
    if (isTime) state.opening ??= setTimeout(() => this.#openLate(), lagMs);
  }

  flush(): boolean {
    return this.#state.at !== "open" || this.#options.next.flush();
  }

  finish(): void {
    this.#open();
    if (this.#state.at === "open") this.#options.next.finish();
  }

  /** The attempt is over: what is held is not shown any more. */
  stop(): void {
    if (this.#state.at !== "holding") return;
    clearTimeout(this.#state.opening);
    this.#state = { at: "lost" };
  }

  #openLate(): void {
    try {
      this.#open();
      this.flush();
    } catch (thrown) {
      this.#options.onFailure?.(toFailure(thrown));
    }
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
    clearTimeout(state.opening);
    this.#options.held.add(-state.heldBytes);
    this.#state = { at: this.#options.commit() ? "open" : "lost" };
    if (this.#state.at !== "open") return;
    for (const { event, kind, cameAt } of state.events) this.#options.next.push(event, kind, cameAt);
  }
}
