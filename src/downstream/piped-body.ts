/** A body that is passed through unread, as its client got it: whether it is an event stream, and where an event has ended. */
import type { ReplyHeaders } from "../core/reply.ts";

/** How an event stream begins that does not say what it is: with a named event, or with data in JSON. */
const BEGINS_AS_EVENTS = /^\uFEFF?(?:event: ?[\w.-]+\r?[\n\r]|data: ?[[{])/;
/** Enough of a body to tell by. */
const BEGINNING_BYTES = 128;
/** The end of a line and the blank line behind it take no more. */
const LAST_BYTES = 4;
const LF = 10;
const CR = 13;
const LINE_FEED = Buffer.from([LF]);
/** An `id` field at the start of a line. */
const ID_FIELDS: readonly Buffer[] = [Buffer.from("\nid:"), Buffer.from("\rid:")];

/** Proxies buffer and compress event streams unless they are told not to. */
const EVENT_STREAM_HEADERS = { "cache-control": "no-cache, no-transform", "x-accel-buffering": "no" } as const;

export class PipedBody {
  /** What the client is to get of the upstream's headers, and with them. */
  readonly headers: ReplyHeaders;
  /** Some event of the stream has an `id`. */
  carriesIds = false;
  /** Undefined before the first bytes of a body that does not say what it is. */
  #isEvents: boolean | undefined;
  #last: Buffer = Buffer.alloc(0);

  constructor(method: string, status: number, headers: ReplyHeaders) {
    const hasBody = method !== "HEAD" && status !== 204 && status !== 304;
    const type = String(headers["content-type"] ?? "");
    const isCompressed = (headers["content-encoding"] ?? "identity") !== "identity";
    const isSaid = /^\s*text\/event-stream\s*(?:;|$)/i.test(type);
    if (!hasBody || isCompressed) this.#isEvents = false;
    else if (isSaid) this.#isEvents = true;
    // A length would not hold for a comment more; and what has a length is a document, not a stream.
    else if (headers["content-length"] !== undefined) this.#isEvents = false;
    else if (type !== "" && !/^\s*(?:text\/plain|application\/octet-stream)\b/i.test(type)) this.#isEvents = false;
    this.headers = hasBody ? withStreamHeaders(headers, isSaid, this.#isEvents === true) : headers;
  }

  get isEventStream(): boolean {
    return this.#isEvents === true;
  }

  /** Something of ours may go between what has come and what is to come. */
  get isBetweenEvents(): boolean {
    return this.isEventStream && (this.#last.length === 0 || endsWithBlankLine(this.#last));
  }

  /** Bytes that the client is given next. */
  append(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.#isEvents ??= BEGINS_AS_EVENTS.test(chunk.toString("utf8", 0, BEGINNING_BYTES));
    if (!this.#isEvents) return;
    if (!this.carriesIds) this.#findId(chunk);
    // Copies: a part of the chunk would keep all of it.
    if (chunk.length >= LAST_BYTES) this.#last = Buffer.from(chunk.subarray(-LAST_BYTES));
    else this.#last = Buffer.concat([this.#last, chunk]).subarray(-LAST_BYTES);
  }

  /** Looks through what may be a picture in base64, so byte by byte is left to Buffer; and at the seam of two reads. */
  #findId(chunk: Buffer): void {
    // So little has come that the beginning of the body is among it, which begins a line as well.
    const isAtBeginning = this.#last.length < LAST_BYTES;
    const seam = Buffer.concat([...(isAtBeginning ? [LINE_FEED] : []), this.#last, chunk.subarray(0, LAST_BYTES)]);
    this.carriesIds = ID_FIELDS.some((field) => seam.includes(field) || chunk.includes(field));
  }
}

/** Any stream suffers from buffers on its way; what is cached, and how, is said of event streams only. */
function withStreamHeaders(headers: ReplyHeaders, isSaidToBeEvents: boolean, isEvents: boolean): ReplyHeaders {
  if (isEvents) {
    const { "content-length": _length, ...kept } = headers;
    return { ...kept, ...EVENT_STREAM_HEADERS };
  }
  if (isSaidToBeEvents) return { ...headers, ...EVENT_STREAM_HEADERS };
  return headers["content-length"] === undefined ? { "x-accel-buffering": "no", ...headers } : headers;
}

/** A line that ended, and another end of a line: `\n\n`, `\r\r`, `\r\n\r\n`, and any two of them mixed. */
function endsWithBlankLine(bytes: Buffer): boolean {
  const last = bytes.at(-1);
  const endOfLine = last === LF && bytes.at(-2) === CR ? 2 : last === LF || last === CR ? 1 : 0;
  const before = bytes.at(-1 - endOfLine);
  return before === LF || before === CR;
}
