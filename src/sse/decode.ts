/** Bytes in, whole server-sent events out: UTF-8, every line end, a size limit, and the lines that are no SSE at all. */
import { isUtf8 } from "node:buffer";
import { createParser, type ParseError } from "eventsource-parser";
import { Failure } from "../core/failure.ts";
import type { StreamEvent } from "../core/stream-event.ts";
import { LostDataFinder } from "./lost-data.ts";
import { endOfEvent, endsEvent, plainEvents, readPlainEvents } from "./plain-events.ts";

export interface SseSink {
  onEvent(event: StreamEvent): void;
  /**
   * A line that is no SSE field, as it came. llama.cpp once sent its errors so (`error: {…}`). Also a comment that ends like an
   * object, since an event that has lost the word `data` looks so, or that names a status, as DashScope's do: with its colon.
   * And the `event:` line of an event that has no data, which may have been lost.
   */
  onStrayLine(line: string): void;
}

export interface SseDecoder {
  /** @throws Failure `stream_corrupted` on bytes that are not UTF-8, an event over the limit, or a long line that is no field. */
  feed(chunk: Buffer): void;
  /** What has come of an event that is not whole yet, about; never less than is kept of it. */
  unfinishedBytes(): number;
  /**
   * The body has ended: hands over a last event that lacks its blank line. What it hands over may be cut short.
   * @returns what the body stopped within: an event, or a line that does not even belong to what is handed over.
   */
  flush(): "event" | "line" | undefined;
}

/** A line that may be read before it is whole: a comment, or a field that the parser knows. */
const FIELD_OR_COMMENT = /^(?:data|id|retry)?:/;
/** What a body ends with that was not cut. The two line ends need not be the same, but one that is split is one that was cut. */
const BLANK_LINE = /(?:\n\n|[\r\n]\r\n|(?<!\r)\n\r|\r\r)$/;
/** In characters, with what it looks at before it. */
const LONGEST_BLANK_LINE = 4;
/** How the line of an event without data is told. */
export const EVENT_FIELD = "event: ";
/** How much of a line that is no field is kept until it is whole. */
const MAX_STRAY_CHARACTERS = 16_384;
/** The parser buffers fields with their names: an event within the limit is within it however it is split. */
const AROUND_DATA = 1_024;
/** A comment that is more than a sign of life. */
const TELLING_COMMENT = /\}\s*,?\s*$|^\s*HTTP_STATUS\/\d/;
/** Some gateways put `data:` before what has it already, and add empty lines. */
const DOUBLED_FIELD = /^(?:data:\s*)+(?=[{[])/;

/** @param maxEventBytes largest event, in bytes; counted in characters, which are never more. */
export function createSseDecoder(sink: SseSink, maxEventBytes: number): SseDecoder {
  // Not one decoder for all: it keeps the half of a character that a read ended in. It also drops a leading BOM.
  const utf8 = new TextDecoder("utf-8", { fatal: true });
  /** The half of a character that the last read ended in. */
  let half: Buffer = NO_BYTES;
  let broken: Failure | undefined;
  let unfinishedBytes = 0;
  let events = 0;

  const parser = createParser({
    maxBufferSize: maxEventBytes + AROUND_DATA,
    onEvent(event) {
      events++;
      // The parser's own limit holds for what it must buffer; an event that came whole in one read passes it.
      if (event.data.length > maxEventBytes) broken ??= overLimit(maxEventBytes);
      else if (broken === undefined) sink.onEvent({ event: event.event, data: onceData(event.data), characters: undefined });
    },
    onError(error: ParseError) {
      if (error.type === "max-buffer-size-exceeded") broken ??= overLimit(maxEventBytes);
      else if (error.type === "unknown-field" && broken === undefined) onStrayLine(error.line ?? "");
    },
    onComment(comment) {
      if (broken === undefined && TELLING_COMMENT.test(comment)) sink.onStrayLine(`:${comment}`);
    },
  });

  function onStrayLine(line: string): void {
    // The same however it was split: what is not whole yet would be refused at this length.
    if (line.length >= MAX_STRAY_CHARACTERS) broken = longLine();
    else sink.onStrayLine(line);
  }

  /** The beginning of a line that must come whole: the parser drops one that is no field when it does not come in one read. */
  let begun = "";
  const lostData = new LostDataFinder();
  let isAtLineStart = true;
  /** What came last: as much as a blank line takes, with the line end before it. */
  let last = "";

  function feedText(read: string): void {
    let text = begun + read;
    begun = "";
    // Most reads end with a line: nothing is looked for then, through text that may be long.
    const lineStart = text.endsWith("\n") ? text.length : Math.max(text.lastIndexOf("\n"), text.lastIndexOf("\r")) + 1;
    const startsLine = lineStart > 0 || isAtLineStart;
    let isTooLong = false;
    if (startsLine) {
      const line = text.slice(lineStart);
      if (!FIELD_OR_COMMENT.test(line)) {
        if (line.length < MAX_STRAY_CHARACTERS) {
          begun = line;
          text = text.slice(0, lineStart);
        } else isTooLong = true;
      }
    }
    const wasAtLineStart = isAtLineStart;
    isAtLineStart = text === "" ? startsLine : lineStart === text.length;
    let fed = 0;
    for (const { name, from, to } of lostData.find(text, wasAtLineStart)) {
      parser.feed(text.slice(fed, from));
      const before = events;
      parser.feed(text.slice(from, to));
      fed = to;
      if (events === before && broken === undefined) sink.onStrayLine(`${EVENT_FIELD}${name}`);
    }
    if (fed < text.length) parser.feed(text.slice(fed));
    if (broken !== undefined) throw broken;
    // The parser would drop it without a word, and its reader could not tell what it was.
    if (isTooLong) throw longLine();
  }

  /** A blank line has just ended an event: neither the parser nor the text decoder holds anything back. */
  let isAtRest = false;
  const onPlainEvent = (event: StreamEvent): void => {
    events++;
    sink.onEvent(event);
  };

  function feed(chunk: Buffer): void {
    let at = 0;
    if (!isAtRest) {
      at = plainEvents.areOn ? endOfEvent(chunk) : chunk.length;
      feedBytes(chunk.subarray(0, at));
    }
    if (isAtRest) at = readPlainEvents(chunk, at, maxEventBytes, onPlainEvent);
    if (at < chunk.length) feedBytes(chunk.subarray(at));
  }

  function feedBytes(chunk: Buffer): void {
    let text: string;
    const eventsBefore = events;
    try {
      text = utf8.decode(chunk, { stream: true });
      half = halfAtEnd(half.length === 0 ? chunk : Buffer.concat([half, chunk]));
    } catch (cause) {
      // The events before the bad bytes are as good as if they had come in a read of their own.
      const valid = validPart(half.length === 0 ? chunk : Buffer.concat([half, chunk]));
      feedText(valid);
      throw new Failure("stream_corrupted", "the upstream's stream is not valid UTF-8", { cause });
    }
    last = (last + text.slice(-LONGEST_BLANK_LINE)).slice(-LONGEST_BLANK_LINE);
    feedText(text);
    if (BLANK_LINE.test(last)) unfinishedBytes = 0;
    else if (events > eventsBefore || BLANK_LINES.some((line) => text.includes(line))) unfinishedBytes = chunk.length;
    else unfinishedBytes += chunk.length + LINE_BYTES * countLines(text);
    isAtRest = plainEvents.areOn && endsEvent(chunk);
  }

  return {
    // No getter: V8 makes a hidden class for each literal with one, and what that closes over, the whole request, would outlive
    // every collection of the young, and be moved by each.
    unfinishedBytes: () => unfinishedBytes,
    feed,
    flush() {
      // Half a character left in the decoder belongs to an event that was cut: nothing is lost by not asking for it.
      const isWithinLine = begun !== "";
      feedText("\n\n");
      if (isWithinLine) return "line";
      return last === "" || BLANK_LINE.test(last) ? undefined : "event";
    },
  };
}

/** The data without a field name that is in it once more. */
function onceData(data: string): string {
  return data.startsWith("data:") && DOUBLED_FIELD.test(data) ? data.replace(DOUBLED_FIELD, "").trimEnd() : data;
}

/** The end of an event. */
const BLANK_LINES = ["\n\n", "\r\n\r\n", "\r\r"];

/** What each line of an unfinished event costs beside its text, about. */
const LINE_BYTES = 64;

function countLines(text: string): number {
  let lines = 0;
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) lines++;
  return lines;
}

const NO_BYTES = Buffer.alloc(0);

/** The bytes at the end that may be the beginning of a character; at most three. */
function halfAtEnd(bytes: Buffer): Buffer {
  for (let length = 1; length <= Math.min(3, bytes.length); length++) {
    const byte = bytes[bytes.length - length] ?? 0;
    if (byte < 0x80) break;
    // The lowest byte that begins a character of several.
    if (byte >= 0xc2) {
      const needed = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
      return needed > length ? Buffer.from(bytes.subarray(bytes.length - length)) : NO_BYTES;
    }
  }
  return NO_BYTES;
}

/** The text up to the first byte that is no UTF-8. */
function validPart(bytes: Buffer): string {
  let low = 0;
  let high = bytes.length;
  // Each beginning of the valid part is valid, but for half a character at its end.
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    const part = bytes.subarray(0, middle);
    if (isUtf8(part.subarray(0, part.length - halfAtEnd(part).length))) low = middle;
    else high = middle - 1;
  }
  const part = bytes.subarray(0, low);
  return part.subarray(0, part.length - halfAtEnd(part).length).toString("utf8");
}

function longLine(): Failure {
  return new Failure("stream_corrupted", "the upstream sent a long line that is no event");
}

/** A limit of ours: the same answer would meet it again. */
function overLimit(maxEventBytes: number): Failure {
  return new Failure("stream_corrupted", `the upstream sent an event larger than limits.maxEventBytes (${maxEventBytes} bytes)`, {
    scope: "never",
  });
}
