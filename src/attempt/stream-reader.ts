/** Reads one attempt's event stream: decodes it, lets the dialect judge every event, and hands what is good to the gate. */
import type { Dialect, DialectRequest } from "../core/dialect.ts";
import { Failure, toFailure } from "../core/failure.ts";
import type { StreamEvent } from "../core/stream-event.ts";
import type { Gate } from "../downstream/gate.ts";
import { createSseDecoder } from "../sse/decode.ts";
import type { BodyReader } from "./body-reader.ts";

export interface StreamReaderOptions {
  readonly dialect: Dialect;
  readonly asked: DialectRequest;
  readonly gate: Gate;
  readonly maxEventBytes: number;
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
  const { dialect, gate } = options;
  const inspector = dialect.inspectStream(options.asked);
  const decoder = createSseDecoder({ onEvent, onStrayLine }, options.maxEventBytes);
  // What one read brought, to be written at once.
  let batch = "";
  let batchEvents = 0;
  let batchHasContent = false;
  let terminated = false;
  let failure: Failure | undefined;
  /** The body has ended, and what the decoder still hands over may be half an event. */
  let flushing = false;
  let over = false;

  function onEvent(event: StreamEvent): void {
    if (terminated || failure !== undefined) return;
    const verdict = inspector.onEvent(event);
    if (verdict instanceof Failure) {
      // Half an event at the end of a body is a cut, which the end itself will tell.
      if (!(flushing && verdict.code === "stream_corrupted")) failure = verdict;
      return;
    }
    if (verdict === "terminator") {
      terminated = true;
      return;
    }
    if (verdict === "ignored") return;
    if (verdict === "content") batchHasContent = true;
    batch += dialect.encodeEvent(event);
    batchEvents++;
  }

  function onStrayLine(line: string): void {
    if (!terminated && !flushing) failure ??= inspector.onStrayLine(line);
  }

  function forward(): void {
    if (batchEvents === 0) return;
    const flowing = gate.push(batch, batchEvents, batchHasContent);
    if (batchHasContent) options.onContent();
    batch = "";
    batchEvents = 0;
    batchHasContent = false;
    if (!flowing) options.onFull();
  }

  function finish(cause: Failure | undefined, bodyEnded: boolean): void {
    over = true;
    const problem = inspector.onEnd({
      terminated,
      cause,
      requireTerminator: options.requireTerminator,
      acceptEmpty: options.acceptEmpty,
    });
    if (problem !== undefined) {
      options.onFailure(problem, inspector.characters);
      return;
    }
    gate.open();
    options.onWhole({ repaired: !terminated && dialect.terminator !== "", bodyEnded });
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
        decoder.flush();
      } catch (thrown) {
        failure ??= toFailure(thrown);
      }
      forward();
      finish(failure ?? cause, true);
    },
  };
}
