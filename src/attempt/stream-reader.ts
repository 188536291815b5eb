/** Reads one attempt's event stream: decodes it, lets the dialect judge every event, and hands on what is good. */
import type { Dialect, DialectRequest } from "../core/dialect.ts";
import { Failure, toFailure } from "../core/failure.ts";
import type { StreamEvent } from "../core/stream-event.ts";
import { createSseDecoder } from "../sse/decode.ts";
import type { BodyReader } from "./body-reader.ts";

/** Where good events go: to the client, or to where they are collected. */
export interface EventSink {
  /** Whole events in wire form, as many as one read brought. @returns false when no more should come for now. */
  push(text: string, events: number, hasContent: boolean): boolean;
  /** The stream is whole: nothing may be held back any longer. */
  open(): void;
}

export interface StreamReaderOptions {
  readonly dialect: Pick<Dialect, "inspectStream" | "encodeEvent" | "repairsTerminator" | "oneEventPerWrite">;
  readonly asked: DialectRequest;
  readonly sink: EventSink;
  /** Largest event, in bytes. */
  readonly maxEventBytes: number;
  /** Tool calls are handed on when they are complete, and not at all when they are cut. */
  readonly holdToolCalls: boolean;
  /** How much of a tool call may be held, in bytes of what the tool is to be called with. */
  readonly maxHeldBytes: number;
  /** The same in bytes of events, in which a few characters are wrapped in hundreds. */
  readonly maxHeldEventBytes: number;
  readonly requireTerminator: boolean;
  readonly acceptEmpty: boolean;
  /** Content has come. */
  onContent(): void;
  /** The client reads too slowly. */
  onFull(): void;
  /** The stream is whole. `repaired`: its terminator was missing. Called once, or onFailure is. */
  onWhole(end: { repaired: boolean; bodyEnded: boolean }): void;
  onFailure(failure: Failure, characters: number): void;
}

export function createStreamReader(options: StreamReaderOptions): BodyReader {
  const { dialect, sink } = options;
  const inspector = dialect.inspectStream(options.asked);
  const decoder = createSseDecoder({ onEvent, onStrayLine }, options.maxEventBytes);
  // What one read brought, to be written at once.
  let batch = "";
  let batchEvents = 0;
  let batchHasContent = false;
  // A tool call that is not complete, and whatever came after its beginning: the order of events is kept.
  let held = "";
  let heldEvents = 0;
  let heldEventBytes = 0;
  let toolBytesBefore = 0;
  let progressed = false;
  let terminated = false;
  let failure: Failure | undefined;
  /** The body has ended, and what the decoder still hands over may be half an event. */
  let flushing = false;
  /** The decoder handed over a last event that lacks no more than its blank line. */
  let flushed = false;
  let torn = false;
  let over = false;

  function onEvent(event: StreamEvent): void {
    if (terminated || failure !== undefined) return;
    const verdict = inspector.onEvent(event);
    if (verdict instanceof Failure) {
      // Half an event at the end of a body is a cut, which the end itself will tell.
      if (!(flushing && verdict.code === "stream_corrupted")) failure = verdict;
      return;
    }
    if (verdict === "ignored") return;
    if (flushing) flushed = true;
    if (verdict === "terminator" || verdict === "final") terminated = true;
    if (verdict === "terminator") return;
    const isContent = verdict === "content" || verdict === "tool-call";
    if (isContent) progressed = true;
    const text = dialect.encodeEvent(event);
    if (options.holdToolCalls && (heldEvents > 0 || verdict === "tool-call")) hold(text);
    else add(text, 1, isContent);
    if (dialect.oneEventPerWrite) forward();
  }

  function hold(text: string): void {
    held += text;
    heldEvents++;
    heldEventBytes += Buffer.byteLength(text);
    if (!inspector.hasOpenToolCall()) {
      release();
      return;
    }
    const { maxHeldBytes, maxHeldEventBytes } = options;
    const heldBytes = inspector.toolBytes === undefined ? heldEventBytes : inspector.toolBytes - toolBytesBefore;
    if (heldBytes > maxHeldBytes) failure = tooLarge(`limits.maxGateBytes (${maxHeldBytes} bytes)`);
    else if (heldEventBytes > maxHeldEventBytes) failure = tooLarge(`limits.maxBodyBytes (${maxHeldEventBytes} bytes of events)`);
  }

  function release(): void {
    if (heldEvents > 0) add(held, heldEvents, true);
    held = "";
    heldEvents = 0;
    heldEventBytes = 0;
    toolBytesBefore = inspector.toolBytes ?? 0;
  }

  function add(text: string, events: number, hasContent: boolean): void {
    batch += text;
    batchEvents += events;
    if (hasContent) batchHasContent = true;
  }

  function onStrayLine(line: string): void {
    if (!terminated && !flushing) failure ??= inspector.onStrayLine(line);
  }

  function forward(): void {
    let flowing = true;
    if (batchEvents > 0) {
      flowing = sink.push(batch, batchEvents, batchHasContent);
      batch = "";
      batchEvents = 0;
      batchHasContent = false;
    }
    if (progressed) options.onContent();
    progressed = false;
    if (!flowing) options.onFull();
  }

  function finish(cause: Failure | undefined, bodyEnded: boolean): void {
    over = true;
    const problem = inspector.onEnd({
      terminated,
      cause,
      torn,
      requireTerminator: options.requireTerminator,
      acceptEmpty: options.acceptEmpty,
    });
    if (problem !== undefined) {
      options.onFailure(problem, inspector.characters);
      return;
    }
    release();
    forward();
    sink.open();
    options.onWhole({ repaired: !terminated && dialect.repairsTerminator, bodyEnded });
  }

  return {
    onData(chunk) {
      if (over) return;
      try {
        decoder.feed(chunk);
      } catch (thrown) {
        failure ??= toFailure(thrown);
      }
      // What came before the failure is part of the answer.
      forward();
      if (failure !== undefined || terminated) finish(failure, false);
    },
    onEnd(cause) {
      if (over) return;
      flushing = true;
      try {
        torn = decoder.flush() && !flushed;
      } catch (thrown) {
        failure ??= toFailure(thrown);
      }
      forward();
      finish(failure ?? cause, true);
    },
  };
}

function tooLarge(limit: string): Failure {
  return new Failure("stream_corrupted", `a tool call is larger than ${limit} allows: raise it, or set gate.toolCalls: stream`, {
    retryable: false,
  });
}
