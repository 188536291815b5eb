/** The station that hands tool calls on when they are complete, and not at all when they are cut. */
import type { StreamInspector } from "../core/dialect.ts";
import type { EventKind, EventSink } from "../core/event-sink.ts";
import { Failure } from "../core/failure.ts";
import type { HeldShare } from "../core/held-memory.ts";
import { type StreamEvent, wireBytes } from "../core/stream-event.ts";

export interface ToolCallHoldOptions {
  readonly next: EventSink;
  /** Knows whether a call has begun and is not complete. */
  readonly inspector: StreamInspector;
  readonly held: HeldShare;
  /** How much of one call may be held, in bytes of what the tool is to be called with (`limits.maxGateBytes`). */
  readonly maxBytes: number;
  /** The same in bytes of events, in which a few characters are wrapped in hundreds (`limits.maxBodyBytes`). */
  readonly maxEventBytes: number;
}

export class ToolCallHold implements EventSink {
  readonly #options: ToolCallHoldOptions;
  /** The call that is not complete, and whatever came after its beginning: the order of events is kept. */
  #events: { readonly event: StreamEvent; readonly kind: EventKind }[] = [];
  #eventBytes = 0;
  #toolBytesBefore = 0;

  constructor(options: ToolCallHoldOptions) {
    this.#options = options;
  }

  /** @throws Failure `stream_corrupted` for a call over a limit: half a call is never handed on. */
  push(event: StreamEvent, kind: EventKind): void {
    const { next, held, inspector } = this.#options;
    if (this.#events.length === 0 && kind !== "tool-call") {
      next.push(event, kind);
      return;
    }
    const bytes = wireBytes(event);
    this.#events.push({ event, kind });
    this.#eventBytes += bytes;
    held.add(bytes);
    if (inspector.hasOpenToolCall()) this.#refuseTooLarge();
    else this.#release();
  }

  flush(): boolean {
    return this.#options.next.flush();
  }

  finish(): void {
    this.#release();
    this.#options.next.finish();
  }

  #release(): void {
    const { next, held, inspector } = this.#options;
    const events = this.#events;
    held.add(-this.#eventBytes);
    this.#events = [];
    this.#eventBytes = 0;
    this.#toolBytesBefore = inspector.toolBytes ?? 0;
    for (const { event, kind } of events) next.push(event, kind);
  }

  #refuseTooLarge(): void {
    const { inspector, maxBytes, maxEventBytes } = this.#options;
    const heldBytes = inspector.toolBytes === undefined ? this.#eventBytes : inspector.toolBytes - this.#toolBytesBefore;
    if (heldBytes > maxBytes) throw tooLarge(`limits.maxGateBytes (${maxBytes} bytes)`);
    if (this.#eventBytes > maxEventBytes) throw tooLarge(`limits.maxBodyBytes (${maxEventBytes} bytes of events)`);
  }
}

function tooLarge(limit: string): Failure {
  return new Failure("stream_corrupted", `a tool call is larger than ${limit} allows: raise it, or set gate.toolCalls: stream`, {
    scope: "never",
  });
}
