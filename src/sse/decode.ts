/** Bytes in, whole server-sent events out: UTF-8, every line end, a size limit, and the lines that are no SSE at all. */
import { createParser, type ParseError } from "eventsource-parser";
import { Failure } from "../core/failure.ts";
import type { StreamEvent } from "../core/stream-event.ts";

export interface SseSink {
  onEvent(event: StreamEvent): void;
  /** A line that is no SSE field, as it came. llama.cpp once sent its errors so (`error: {…}`). */
  onStrayLine(line: string): void;
}

export interface SseDecoder {
  /** @throws Failure `stream_corrupted` on bytes that are not UTF-8, an event over the limit, or a long line that is no field. */
  feed(chunk: Buffer): void;
  /**
   * The body has ended: hands over a last event that lacks its blank line. What it hands over may be cut short.
   * @returns whether the body stopped within an event.
   */
  flush(): boolean;
}

/** A line that is one for certain: a comment, or a field that the parser knows. */
const FIELD_OR_COMMENT = /^(?:data|event|id|retry)?:/;
/** What a body ends with that was not cut. */
const BLANK_LINE = /(?:\n\n|\r\r|\r\n\r\n)$/;
/** How much of a line that is no field is kept until it is whole. */
const MAX_STRAY_CHARACTERS = 16_384;

/** @param maxEventBytes largest event, in bytes; counted in characters, which are never more. */
export function createSseDecoder(sink: SseSink, maxEventBytes: number): SseDecoder {
  // Not one decoder for all: it keeps the half of a character that a read ended in. It also drops a leading BOM.
  const utf8 = new TextDecoder("utf-8", { fatal: true });
  let broken: Failure | undefined;

  const parser = createParser({
    maxBufferSize: maxEventBytes,
    onEvent(event) {
      // The parser's own limit holds for what it must buffer; an event that came whole in one read passes it.
      if (event.data.length > maxEventBytes) broken ??= overLimit(maxEventBytes);
      else if (broken === undefined) sink.onEvent({ event: event.event, data: event.data });
    },
    onError(error: ParseError) {
      if (error.type === "max-buffer-size-exceeded") broken ??= overLimit(maxEventBytes);
      else if (error.type === "unknown-field" && broken === undefined) sink.onStrayLine(error.line ?? "");
    },
  });

  /** The beginning of a line that may be no field: the parser drops such a line when it does not come in one read. */
  let begun = "";
  let isAtLineStart = true;
  /** What came last; at least as much as a blank line takes, once there was so much. */
  let last = "";

  function feedText(read: string): void {
    let text = begun + read;
    begun = "";
    // Most reads end with a line: nothing is looked for then, through text that may be long.
    const lineStart = text.endsWith("\n") ? text.length : Math.max(text.lastIndexOf("\n"), text.lastIndexOf("\r")) + 1;
    const startsLine = lineStart > 0 || isAtLineStart;
    let isTooLong = false;
    if (startsLine && lineStart < text.length) {
      const line = text.slice(lineStart);
      if (!FIELD_OR_COMMENT.test(line)) {
        if (line.length < MAX_STRAY_CHARACTERS) {
          begun = line;
          text = text.slice(0, lineStart);
        } else isTooLong = true;
      }
    }
    isAtLineStart = begun !== "" || text === "" ? startsLine : lineStart === text.length;
    if (text !== "") parser.feed(text);
    if (broken !== undefined) throw broken;
    // The parser would drop it without a word, and nobody could tell what it was.
    if (isTooLong) throw new Failure("stream_corrupted", "the upstream sent a long line that is no event");
  }

  return {
    feed(chunk) {
      let text: string;
      try {
        text = utf8.decode(chunk, { stream: true });
      } catch (cause) {
        throw new Failure("stream_corrupted", "the upstream's stream is not valid UTF-8", { cause });
      }
      last = text.length < 4 ? last.slice(-4) + text : text;
      feedText(text);
    },
    flush() {
      // Half a character left in the decoder belongs to an event that was cut: nothing is lost by not asking for it.
      feedText("\n\n");
      return last !== "" && !BLANK_LINE.test(last);
    },
  };
}

function overLimit(maxEventBytes: number): Failure {
  return new Failure("stream_corrupted", `the upstream sent an event larger than limits.maxEventBytes (${maxEventBytes} bytes)`, {
    scope: "never",
  });
}
