/** The events of a stream that are kept, numbered from 1: the latest of them, as many as there is room for. */
import type { EventKind } from "../core/event-sink.ts";
import { detached, heldBytes } from "../core/held-memory.ts";
import type { StreamEvent } from "../core/stream-event.ts";

export interface KeptEvent {
  readonly event: StreamEvent;
  readonly kind: EventKind;
  /** Of all events up to here, from the first. */
  readonly endsAt: number;
}

export class KeptEvents {
  #events: KeptEvent[] = [];
  /** How many were kept before, and are not any more. */
  #dropped: number;
  #droppedBytes = 0;
  #endsAt = 0;

  /** @param first the number that the first one gets. */
  constructor(first = 1) {
    this.#dropped = first - 1;
  }

  /** The number of the last. */
  get last(): number {
    return this.#dropped + this.#events.length;
  }

  /** The number of the last that is not kept any more; 0 while all are. */
  get dropped(): number {
    return this.#dropped;
  }

  get bytes(): number {
    return this.#endsAt - this.#droppedBytes;
  }

  get all(): readonly KeptEvent[] {
    return this.#events;
  }

  push(event: StreamEvent, kind: EventKind): void {
    this.#endsAt += heldBytes(event);
    this.#events.push({ event: detached(event), kind, endsAt: this.#endsAt });
  }

  /** Those that follow event `number`, as far as they are kept. */
  after(number: number): readonly KeptEvent[] {
    return this.#events.slice(Math.max(0, number - this.#dropped));
  }

  /** @param number from `dropped` + 1 to `last`. */
  at(number: number): KeptEvent | undefined {
    return this.#events[number - this.#dropped - 1];
  }

  /** Bytes of what follows event `number`. */
  bytesAfter(number: number): number {
    return this.#endsAt - (number <= this.#dropped ? this.#droppedBytes : (this.at(number)?.endsAt ?? this.#endsAt));
  }

  /** The number of the last event that has to go so that no more than `bytes` are kept. */
  lastBeyond(bytes: number): number {
    const surplus = this.bytes - bytes;
    if (surplus <= 0) return this.#dropped;
    const index = this.#events.findIndex(({ endsAt }) => endsAt - this.#droppedBytes >= surplus);
    return this.#dropped + index + 1;
  }

  /** Keeps what follows event `number`, and nothing before. */
  dropUpTo(number: number): void {
    const count = Math.min(number, this.last) - this.#dropped;
    if (count <= 0) return;
    this.#droppedBytes = this.#events[count - 1]?.endsAt ?? this.#droppedBytes;
    // A new list: what was walked when this was called stays as it was.
    this.#events = this.#events.slice(count);
    this.#dropped += count;
  }
}
