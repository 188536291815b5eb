/** The station that hands tool calls on when they are complete, and not at all when they are cut, within bounds. */
import type { StreamInspector } from "../core/dialect.ts";
import type { EventKind, EventSink } from "../core/event-sink.ts";
import { type Failure, toFailure } from "../core/failure.ts";
import { detached, type HeldShare, heldBytes } from "../core/held-memory.ts";
import { type StreamEvent, wireBytes } from "../core/stream-event.ts";

export interface ToolCallHoldOptions {
  readonly next: EventSink;
  /** Knows whether a call has begun and is not complete. */
  readonly inspector: StreamInspector;
  readonly held: HeldShare;
  /** How long one call may be held, in milliseconds: clients give up a stream in which no event comes. */
  readonly maxMs: number;
  /** How much of one call may be held, in bytes of what the tool is to be called with (`limits.maxGateBytes`). */
  readonly maxBytes: number;
  /** The same in bytes of events, in which a few characters are wrapped in hundreds (`limits.maxBodyBytes`). */
  readonly maxEventBytes: number;
  /** What came of a call could not be handed on when its time was up. */
  onFailure(failure: Failure): void;
}

interface HeldEvent {
  readonly event: StreamEvent;
  readonly kind: EventKind;
}

type HoldState =
  /** No call is under way. */
  | { readonly at: "open" }
  /** The call that is not complete, and whatever came after its beginning: the order of events is kept. */
  | { readonly at: "holding"; readonly events: HeldEvent[]; bytes: number; heldBytes: number; readonly timer: NodeJS.Timeout }
  /** This call was held for as long, or as much, as may be: it goes on as it comes. Should it be cut, the error event says so. */
  | { readonly at: "released"; readonly calls: number | undefined };

type Holding = Extract<HoldState, { at: "holding" }>;

const OPEN: HoldState = { at: "open" };

export class ToolCallHold implements EventSink {
  readonly #options: ToolCallHoldOptions;
  #state: HoldState = OPEN;
  #toolBytesBefore = 0;

  constructor(options: ToolCallHoldOptions) {
    this.#options = options;
    options.held.onPressure(() => this.#releaseEarly());
  }

  push(event: StreamEvent, kind: EventKind): void {
    const { next, inspector } = this.#options;
    // Nearly every event: no call is under way, and none begins.
    if (this.#state === OPEN && kind !== "tool-call") {
      next.push(event, kind);
      return;
    }
    const isOpen = inspector.hasOpenToolCall();
    const holding = this.#holdingFor(kind, isOpen);
    if (holding === undefined) next.push(event, kind);
    else {
      this.#hold(holding, event, kind);
      if (!isOpen) this.#handOn(holding);
      else if (this.#isOverLimit(holding.bytes)) this.#release(holding);
      else return;
    }
    if (!isOpen) this.#state = OPEN;
    this.#toolBytesBefore = inspector.toolBytes ?? 0;
  }

  flush(): boolean {
    return this.#options.next.flush();
  }

  finish(): void {
    if (this.#state.at === "holding") this.#handOn(this.#state);
    this.#state = OPEN;
    this.#options.next.finish();
  }

  /** The attempt is over: what is held is not handed on any more. */
  stop(): void {
    if (this.#state.at === "holding") clearTimeout(this.#state.timer);
    this.#state = OPEN;
  }

  /** What an event is added to; undefined where it goes on at once. */
  #holdingFor(kind: EventKind, isOpen: boolean): Holding | undefined {
    const state = this.#state;
    if (state.at === "holding") return state;
    if (kind !== "tool-call" || !isOpen) return undefined;
    const { inspector, maxMs } = this.#options;
    // The next call of the same message is held again.
    if (state.at === "released" && state.calls === inspector.toolCalls) return undefined;
    const timer = setTimeout(() => this.#releaseEarly(), maxMs);
    const holding: Holding = { at: "holding", events: [], bytes: 0, heldBytes: 0, timer };
    this.#state = holding;
    return holding;
  }

  #hold(holding: Holding, event: StreamEvent, kind: EventKind): void {
    const bytes = heldBytes(event);
    holding.events.push({ event: detached(event), kind });
    holding.bytes += wireBytes(event);
    holding.heldBytes += bytes;
    this.#options.held.add(bytes);
  }

  #isOverLimit(eventBytes: number): boolean {
    const { inspector, maxBytes, maxEventBytes } = this.#options;
    const heldBytes = inspector.toolBytes === undefined ? eventBytes : inspector.toolBytes - this.#toolBytesBefore;
    return heldBytes > maxBytes || eventBytes > maxEventBytes;
  }

  /** Its time is up, or there is no room for it any more. */
  #releaseEarly(): void {
    if (this.#state.at !== "holding") return;
    const { inspector } = this.#options;
    try {
      this.#release(this.#state);
      this.#toolBytesBefore = inspector.toolBytes ?? 0;
      // A client that is too slow for it pauses the upstream at its next read.
      this.#options.next.flush();
    } catch (thrown) {
      this.#options.onFailure(toFailure(thrown));
    }
  }

  #release(holding: Holding): void {
    this.#handOn(holding);
    this.#state = { at: "released", calls: this.#options.inspector.toolCalls };
  }

  #handOn({ events, heldBytes, timer }: Holding): void {
    const { next, held } = this.#options;
    clearTimeout(timer);
    held.add(-heldBytes);
    for (const { event, kind } of events) next.push(event, kind);
  }
}
