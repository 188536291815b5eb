/** A stream as one client gets it: events in wire form, one write for each read, heartbeats while it is silent. */
import type { ServerResponse } from "node:http";
import type { Dialect } from "../core/dialect.ts";
import { type EventKind, isContent } from "../core/event-sink.ts";
import type { Exchange } from "../core/exchange.ts";
import type { HeldShare } from "../core/held-memory.ts";
import type { Progress } from "../core/progress.ts";
import type { ReplyHeaders } from "../core/reply.ts";
import type { StreamEvent } from "../core/stream-event.ts";
import { encodeComment, KEEP_ALIVE, KEEP_ALIVE_LINE } from "../sse/encode.ts";
import { Batch } from "./batch.ts";
import { cut, endInterrupted, endWhole, giveUpStalled } from "./connection-end.ts";
import { failsOnCommentBlocks, raisesErrorEvents } from "./known-clients.ts";
import { PipedBody } from "./piped-body.ts";
import { writeResponseHead } from "./response-head.ts";

export interface ClientStreamOptions {
  /** After the error event: end the body cleanly, or close the connection without the last chunk; `auto`: as its client needs it. */
  readonly interruptEnd: "auto" | "clean" | "cut";
  /** Comments that keep a silent stream alive; times in milliseconds. */
  readonly heartbeat: false | { readonly after: number; readonly every: number };
  /** Comments that say what a client waits for. @defaultValue false */
  readonly progress?: boolean;
}

/** Proxies buffer and compress event streams unless they are told not to. */
const STREAM_HEADERS = {
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-cache, no-transform",
  "x-accel-buffering": "no",
} as const;

/** How soon it is looked again whether heartbeats may begin, in milliseconds. */
const RECHECK_MS = 1_000;

/**
 * Its head may go out long before the answer begins: a heartbeat sends the headers, yet any attempt may still win.
 * What is counted of the delivery is counted here.
 */
export class ClientStream {
  /** The HTTP status that was sent. */
  status: number | undefined;
  readonly #raw: ServerResponse;
  readonly #exchange: Exchange;
  readonly #dialect: Dialect | undefined;
  readonly #options: ClientStreamOptions;
  /** What the client has not read; counted from where it is slow. */
  readonly #unread: HeldShare;
  /** The body that is passed through, where there is one in place of a dialect's events. */
  #piped: PipedBody | undefined;
  #heartbeat: NodeJS.Timeout | undefined;
  #isQuiet = true;
  /** Whether it may be told anything yet; undefined where comments may not be sent. */
  #mayBegin: (() => boolean) | undefined;
  /** What it was told last of what it waits for. */
  #told = "";
  /** See {@link takeOrLeave}. */
  #isToTake = false;
  /** What one read of the upstream's socket brought, to be written at once. */
  readonly #batch = new Batch();
  #isWriteDue = false;
  /** Its head has been made, and leaves with the first bytes. */
  #isHeadDue = false;
  #batchHasContent = false;
  /** Its events carry ids, by which its client can come back for the rest. */
  #ids: { readonly stream: string; last: number } | undefined;
  /** When content came last, on the clock of `performance.now()`. */
  #contentAt: number | undefined;

  constructor(raw: ServerResponse, exchange: Exchange, options: ClientStreamOptions, unread: HeldShare) {
    this.#raw = raw;
    this.#exchange = exchange;
    this.#dialect = exchange.api?.dialect;
    this.#options = options;
    this.#unread = unread;
    raw.on("drain", () => unread.set(0));
  }

  get headersSent(): boolean {
    return this.status !== undefined;
  }

  /** From now on each event says where it stands in its stream. @param after the number of the last one that the client has. */
  giveIds(stream: string, after: number): void {
    this.#ids = { stream, last: after };
  }

  /** The numbers of the events that follow are higher by so much. */
  renumber(by: number): void {
    if (this.#ids !== undefined) this.#ids.last += by;
  }

  /**
   * From now on the client hears a comment when it has heard nothing else for long. For event streams only.
   * @param mayBegin whether the first of them may go out: with it the client loses the chance of an HTTP error.
   */
  keepAlive(mayBegin: () => boolean = () => true): void {
    const { heartbeat } = this.#options;
    this.#mayBegin = mayBegin;
    if (heartbeat === false) return;
    this.stopTimers();
    const beat = (): void => {
      if (this.#raw.destroyed || this.#raw.writableEnded) return;
      if (!this.headersSent && !mayBegin()) {
        this.#heartbeat = setTimeout(beat, Math.min(heartbeat.every, RECHECK_MS));
        return;
      }
      if (this.#isQuiet && this.#isBetweenEvents && !this.#raw.writableNeedDrain) {
        if (!this.headersSent) this.#begin(200, STREAM_HEADERS);
        this.#exchange.stats.heartbeats++;
        this.#write(this.#needsLine ? KEEP_ALIVE_LINE : KEEP_ALIVE);
      }
      this.#isQuiet = true;
      this.#heartbeat = setTimeout(beat, heartbeat.every);
    };
    this.#heartbeat = setTimeout(beat, heartbeat.after);
  }

  /** What the client waits for: told at once, unless an HTTP error must still be possible, and never within an answer. */
  progress(progress: Progress): void {
    const text = describe(progress);
    if (!this.#options.progress || text === this.#told || this.#mayBegin?.() !== true) return;
    const hasBegun = this.#contentAt !== undefined || this.#piped !== undefined;
    if (hasBegun || this.#raw.destroyed || this.#raw.writableEnded || this.#raw.writableNeedDrain) return;
    if (!this.headersSent) this.#begin(200, STREAM_HEADERS);
    this.#told = text;
    this.#isQuiet = false;
    this.#exchange.stats.heartbeats++;
    this.#write(encodeComment(text, this.#needsLine));
  }

  /** A streamed answer begins: its headers, unless a heartbeat went before them. */
  commit(headers: ReplyHeaders): void {
    const { stats, arrivedAt } = this.#exchange;
    this.#contentAt = performance.now();
    stats.firstTokenMs = this.#contentAt - arrivedAt;
    if (this.headersSent) return;
    const { "content-length": _length, "content-encoding": _encoding, ...kept } = headers;
    // With the first events, which are there already, as one write.
    this.#makeHead(200, { ...kept, ...STREAM_HEADERS });
    this.#isHeadDue = true;
    this.#writeSoon();
  }

  push(event: StreamEvent, kind: EventKind): void {
    const dialect = this.#dialect as Dialect;
    const encoded = dialect.encodeEvent(event);
    this.#batch.add(this.#ids === undefined ? encoded : this.#numbered(String(encoded)));
    if (isContent(kind)) this.#batchHasContent = true;
    const { stats } = this.#exchange;
    stats.events++;
    stats.characters += event.characters ?? 0;
    if (dialect.oneEventPerWrite) this.#writeBatch();
  }

  /**
   * One read of the socket may bring many HTTP chunks, each of which is flushed: they are written together, when all are there.
   * @returns false when the client reads too slowly: wait for {@link onDrain}.
   */
  flush(): boolean {
    if (!this.#batch.isEmpty) this.#writeSoon();
    return !this.#countUnread();
  }

  #writeSoon(): void {
    if (this.#isWriteDue) return;
    this.#isWriteDue = true;
    queueMicrotask(this.#writeDue);
  }

  /** Made once, and not for each read. */
  readonly #writeDue = (): void => {
    this.#isWriteDue = false;
    this.#writeBatch();
    // Nothing has come with it after all.
    if (this.#isHeadDue && !this.#raw.writableEnded && !this.#raw.destroyed) this.#raw.flushHeaders();
    this.#isHeadDue = false;
    this.#countUnread();
  };

  /** @returns whether the client is slow. */
  #countUnread(): boolean {
    const isFull = this.#raw.writableNeedDrain;
    if (isFull) this.#unread.set(this.#raw.writableLength);
    return isFull;
  }

  /** What follows, the terminator or the error event, may leave with what is there. */
  finish(): void {
    if (!this.#batch.isEmpty) this.#writeSoon();
  }

  takeOrLeave(): void {
    if (this.#isToTake) return;
    this.#isToTake = true;
    giveUpStalled(this.#raw);
  }

  /** Status and headers of a body that is passed through. */
  begin(status: number, headers: ReplyHeaders): void {
    this.#piped = new PipedBody(this.#exchange.request.method, status, headers);
    this.#begin(status, this.#piped.headers);
    if (this.#piped.isEventStream) this.keepAlive();
  }

  /** Bytes of a body that is passed through. @returns as {@link flush} does. */
  write(chunk: Buffer): boolean {
    const wasEventStream = this.#piped?.isEventStream;
    this.#piped?.append(chunk);
    if (this.#piped?.isEventStream && !wasEventStream) this.keepAlive();
    this.#isQuiet = false;
    this.#exchange.stats.bytes += chunk.length;
    const isFlowing = this.#raw.write(chunk);
    if (!isFlowing) this.#unread.set(this.#raw.writableLength);
    return isFlowing;
  }

  onDrain(listener: () => void): () => void {
    this.#raw.on("drain", listener);
    return () => void this.#raw.off("drain", listener);
  }

  /** The stream is whole. @param terminator in wire form; empty for none. */
  end(terminator: string): void {
    this.stopTimers();
    this.#writeBatch();
    if (terminator !== "") {
      this.#exchange.stats.events++;
      this.#write(this.#numbered(terminator));
    }
    endWhole(this.#raw);
  }

  /**
   * The stream is over and not whole: the error event, then nothing. Where none can be read, the cut says it alone.
   * @param isKept the event is a part of the stream: whoever comes back behind it has it. Otherwise it is about this client alone.
   */
  interrupt(errorEvent: string, isKept = false): void {
    this.stopTimers();
    if (!this.#isBetweenEvents) {
      cut(this.#raw);
      return;
    }
    this.#exchange.stats.events++;
    this.#write(isKept ? this.#numbered(errorEvent) : errorEvent);
    endInterrupted(this.#raw, this.#interruptEnd());
  }

  stopTimers(): void {
    clearTimeout(this.#heartbeat);
    this.#heartbeat = undefined;
  }

  get #isBetweenEvents(): boolean {
    // Events of a dialect are written whole.
    return this.#piped === undefined || this.#piped.isBetweenEvents;
  }

  /** What Go's SDKs die of is a block; to openai-python one behind an `id` is an event without data. Others may need the block. */
  get #needsLine(): boolean {
    const carriesIds = this.#ids !== undefined || this.#piped?.carriesIds === true;
    return carriesIds || failsOnCommentBlocks(this.#exchange.request.headers);
  }

  #numbered(event: string): string {
    const ids = this.#ids;
    // Behind its data: fetch-event-source takes an id for that of an event that it has as soon as it has read the line.
    return ids === undefined ? event : `${event.slice(0, -1)}id: ${ids.stream}:${++ids.last}\n\n`;
  }

  #interruptEnd(): "clean" | "cut" {
    const { interruptEnd } = this.#options;
    if (interruptEnd !== "auto") return interruptEnd;
    return this.#dialect?.endsCleanly || raisesErrorEvents(this.#exchange.request.headers) ? "clean" : "cut";
  }

  /** At once: a head without a body yet would wait for the first write. */
  #begin(status: number, headers: ReplyHeaders): void {
    this.#makeHead(status, headers);
    this.#raw.flushHeaders();
  }

  #makeHead(status: number, headers: ReplyHeaders): void {
    this.status = status;
    writeResponseHead(this.#raw, this.#exchange, status, headers);
  }

  #writeBatch(): void {
    if (this.#batch.isEmpty) return;
    const bytes = this.#batch.take();
    this.#isQuiet = false;
    if (this.#batchHasContent) this.#measureGap();
    this.#batchHasContent = false;
    this.#writeBytes(bytes);
  }

  /** One clock read for each network read: one for each event would be felt. */
  #measureGap(): void {
    const { stats } = this.#exchange;
    const now = performance.now();
    if (this.#contentAt !== undefined) stats.longestGapMs = Math.max(stats.longestGapMs ?? 0, Math.round(now - this.#contentAt));
    this.#contentAt = now;
  }

  #write(text: string): void {
    this.#writeBatch();
    this.#writeBytes(Buffer.from(text));
  }

  /** Bytes, not text: the response would measure text first and encode it later, at nearly twice the cost. */
  #writeBytes(bytes: Buffer): void {
    this.#isHeadDue = false;
    this.#exchange.stats.bytes += bytes.length;
    this.#raw.write(bytes);
  }
}

/** Names of upstreams are letters, digits, dots and dashes: nothing in it can end the line. */
function describe(progress: Progress): string {
  if (progress.at === "queue") return `perennial ${progress.ahead === 0 ? "next" : `${progress.ahead} ahead`} in the queue`;
  const { number, of, upstream } = progress;
  return `perennial attempt ${number} of ${of}${upstream === undefined ? "" : `, upstream ${upstream}`}`;
}
