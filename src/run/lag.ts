/** The station that shows a stream late (`gate.lag`), so that a break, and the proof that the answer goes on, fall into that time unseen. */
import type { EventKind, EventSink } from "../core/event-sink.ts";
import { type Failure, toFailure } from "../core/failure.ts";
import { detached, type HeldShare, heldBytes } from "../core/held-memory.ts";
import type { StreamEvent } from "../core/stream-event.ts";

/** A sink that can be told that an event came earlier. */
export interface TimedSink extends EventSink {
  /** @param cameAt on the clock of `performance.now()`. @defaultValue now */
  push(event: StreamEvent, kind: EventKind, cameAt?: number): void;
}

export interface LagOptions {
  readonly next: EventSink;
  readonly held: HeldShare;
  /** How late it is shown, in milliseconds. */
  readonly ms: number;
  /** How much may be held, in bytes (`limits.maxGateBytes`); past that it is shown at once. */
  readonly maxBytes: number;
  /** What was due could not be handed on. */
  onFailure(failure: Failure): void;
}

interface Late {
  readonly event: StreamEvent;
  readonly kind: EventKind;
  /** On the clock of `performance.now()`. */
  readonly dueAt: number;
  readonly bytes: number;
}

export class Lag implements TimedSink {
  readonly #options: LagOptions;
  /** What is left of the time, which breaks use up. */
  #ms: number;
  #queue: Late[] = [];
  #bytes = 0;
  #lastCameAt = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: LagOptions) {
    this.#options = options;
    this.#ms = options.ms;
    options.held.onPressure(() => {
      this.#handOn(Number.POSITIVE_INFINITY);
      options.next.flush();
    });
  }

  push(event: StreamEvent, kind: EventKind, cameAt = performance.now()): void {
    this.#lastCameAt = cameAt;
    if (this.#ms === 0 && this.#queue.length === 0) {
      this.#options.next.push(event, kind);
      return;
    }
    const bytes = heldBytes(event);
    // Never before the one that came before it, although less time may be left by now.
    const dueAt = Math.max(cameAt + this.#ms, this.#queue.at(-1)?.dueAt ?? 0);
    this.#queue.push({ event: detached(event), kind, dueAt, bytes });
    this.#bytes += bytes;
    this.#options.held.add(bytes);
  }

  /** The answer goes on over a break: what the client has not seen yet covers so much of the time that this took. */
  goOn(): void {
    this.#ms = Math.max(0, this.#ms - (performance.now() - this.#lastCameAt));
  }

  flush(): boolean {
    this.#handOn(this.#bytes > this.#options.maxBytes ? Number.POSITIVE_INFINITY : performance.now());
    this.#wait();
    return this.#options.next.flush();
  }

  finish(): void {
    this.#handOn(Number.POSITIVE_INFINITY);
    this.#options.next.finish();
  }

  /** Nothing more comes. What came is shown: the failure that is told next stands behind all of it. */
  end(): void {
    this.#handOn(Number.POSITIVE_INFINITY);
    this.#options.next.flush();
    this.drop();
  }

  /** There is nobody to show it to. */
  drop(): void {
    clearTimeout(this.#timer);
    this.#queue = [];
    this.#options.held.release();
  }

  /** One timer, for the first that is due, as late as that is: not one for each event. */
  #wait(): void {
    const [first] = this.#queue;
    if (first === undefined || this.#timer !== undefined) return;
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        try {
          this.flush();
        } catch (thrown) {
          this.#options.onFailure(toFailure(thrown));
        }
      },
      Math.ceil(first.dueAt - performance.now()),
    );
  }

  #handOn(until: number): void {
    const { next, held } = this.#options;
    const later = this.#queue.findIndex(({ dueAt }) => dueAt > until);
    const due = later === -1 ? this.#queue : this.#queue.slice(0, later);
    if (later === -1) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
    }
    if (due.length === 0) return;
    this.#queue = later === -1 ? [] : this.#queue.slice(later);
    const bytes = due.reduce((sum, one) => sum + one.bytes, 0);
    this.#bytes -= bytes;
    held.add(-bytes);
    for (const { event, kind } of due) next.push(event, kind);
  }
}
