/** Reads one attempt's event stream: decodes it, has every event judged, and hands on what is good. */
import type { StreamInspector } from "../core/dialect.ts";
import { type EventSink, isContent } from "../core/event-sink.ts";
import { Failure, toFailure } from "../core/failure.ts";
import type { HeldShare } from "../core/held-memory.ts";
import type { StreamEvent } from "../core/stream-event.ts";
import { createSseDecoder } from "../sse/decode.ts";
import type { BodyReader } from "./body-reader.ts";
import type { CallControl } from "./call-upstream.ts";
import type { Sign } from "./watchdog.ts";

export interface StreamReaderOptions {
  /** Judges this stream and no other. */
  readonly inspector: StreamInspector;
  /** The first station on the way to the client. */
  readonly sink: EventSink;
  readonly control: Pick<CallControl<unknown>, "notice" | "pause" | "fail">;
  /** Largest event, in bytes. */
  readonly maxEventBytes: number;
  /** What has come of an event that is not whole counts here. @defaultValue it is not counted */
  readonly held?: HeldShare | undefined;
  readonly requireTerminator: boolean;
  /** See StreamEnd. @defaultValue false */
  readonly terminatorFinishes?: boolean;
  readonly acceptEmpty: boolean;
  /** A read has brought content: told before that is handed on. @defaultValue nobody is told */
  readonly onContent?: (() => unknown) | undefined;
  /** The stream is whole. Called once, or `control.fail` is. */
  onWhole(end: { terminated: boolean; bodyEnded: boolean }): void;
}

export function createStreamReader(options: StreamReaderOptions): BodyReader {
  const { inspector, sink, control, held } = options;
  const decoder = createSseDecoder({ onEvent, onStrayLine }, options.maxEventBytes);
  /** While `flushing`, the body has ended and what the decoder still hands over may be half an event. */
  let phase: "reading" | "flushing" | "over" = "reading";
  /** The stream cannot be whole, or needs no more: what else the decoder finds is not looked at. */
  let verdict: "terminated" | Failure | undefined;
  let hasContent = false;
  /** Bytes of an unfinished event that are counted as held. */
  let unfinished = 0;
  /** The decoder handed over a last event that lacks no more than its blank line. */
  let hasLastEvent = false;
  /** A station would not take an event: what the client has not got makes no whole answer, whatever the events say. */
  let refusal: Failure | undefined;

  function onEvent(event: StreamEvent): void {
    if (verdict !== undefined) return;
    const before = inspector.characters;
    const judged = inspector.onEvent(event);
    if (judged instanceof Failure) {
      // Half an event at the end of a body is a cut, which the end itself will tell.
      if (!(phase === "flushing" && judged.code === "stream_corrupted")) verdict = judged;
      return;
    }
    if (judged === "ignored") return;
    if (phase === "flushing") hasLastEvent = true;
    if (judged === "terminator") {
      verdict = "terminated";
      return;
    }
    if (isContent(judged)) {
      if (!hasContent) options.onContent?.();
      hasContent = true;
    }
    event.characters = inspector.characters - before;
    try {
      sink.push(event, judged);
    } catch (thrown) {
      verdict = refusal = toFailure(thrown);
      return;
    }
    if (judged === "final") verdict = "terminated";
  }

  function onStrayLine(line: string): void {
    if (phase === "reading") verdict ??= inspector.onStrayLine(line);
  }

  /** A failure of the decoder, or of a station, is the stream's. */
  function onThrown(thrown: unknown): void {
    verdict ??= toFailure(thrown);
  }

  /** The decoder has made what it can of more bytes, or of their end. What came before a failure is part of the answer. */
  function onDecoded(): void {
    const isFlowing = sink.flush();
    countUnfinished();
    if (phase === "reading") control.notice(signOf());
    hasContent = false;
    if (!isFlowing) control.pause();
  }

  function countUnfinished(): void {
    const bytes = decoder.unfinishedBytes();
    if (bytes === unfinished) return;
    held?.add(bytes - unfinished);
    unfinished = bytes;
  }

  /** Whatever was read, a comment or half an event, is a sign of life: a dead server sends nothing. */
  function signOf(): Sign {
    if (inspector.isFinished === true && !options.requireTerminator) return "finished";
    return hasContent ? "content" : "life";
  }

  function finish(cause: Failure | undefined, torn: boolean): void {
    const bodyEnded = phase === "flushing";
    const terminated = verdict === "terminated";
    phase = "over";
    const problem =
      refusal ??
      inspector.onEnd({
        terminated,
        cause: verdict instanceof Failure ? verdict : cause,
        torn,
        requireTerminator: options.requireTerminator,
        terminatorFinishes: options.terminatorFinishes ?? false,
        acceptEmpty: options.acceptEmpty,
      });
    if (problem !== undefined) {
      control.fail(problem);
      return;
    }
    sink.finish();
    options.onWhole({ terminated, bodyEnded });
  }

  return {
    onData(chunk) {
      if (phase === "over") return;
      try {
        decoder.feed(chunk);
      } catch (thrown) {
        onThrown(thrown);
      }
      onDecoded();
      if (verdict !== undefined) finish(undefined, false);
    },
    onEnd(cause) {
      if (phase === "over") return;
      phase = "flushing";
      let stopped: "event" | "line" | undefined;
      try {
        stopped = decoder.flush();
      } catch (thrown) {
        onThrown(thrown);
      }
      onDecoded();
      finish(cause, stopped === "line" || (stopped === "event" && !hasLastEvent));
    },
  };
}
