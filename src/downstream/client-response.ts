/** The response as the client sees it: one HTTP reply, or one stream that ends whole or with an error event. */
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import type { Exchange } from "../core/exchange.ts";
import { KEEP_ALIVE } from "../sse/encode.ts";
import { breakConnection } from "./break-connection.ts";

export type ReplyHeaders = Readonly<Record<string, string | string[]>>;

export interface ClientResponseOptions {
  /** After the error event: end the body cleanly, or close the connection without the last chunk. */
  readonly interruptEnd: "clean" | "cut";
  /** Comments that keep a silent stream alive; times in milliseconds. */
  readonly heartbeat: false | { readonly after: number; readonly every: number };
}

/**
 * A client that takes not one more byte for this long gets no further: its connection would be held for ever. In milliseconds;
 * Node notices after once or twice this time.
 */
const STALLED_MS = 30_000;
/** The same for one that was too slow already: the error event is all that is left to send. */
const STALLED_AFTER_FAILURE_MS = 3_000;

/** How long a client may take to read the error event before a reset, in milliseconds. */
const READ_BEFORE_RESET_MS = 200;

/** Proxies buffer and compress event streams unless they are told not to. */
const STREAM_HEADERS = {
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-cache, no-transform",
  "x-accel-buffering": "no",
} as const;

/**
 * `headersSent` and `committed` are two things: a heartbeat sends the headers, yet any attempt may still win;
 * from the commit on one attempt has won, and what it says is what the client gets.
 */
export class ClientResponse {
  committed = false;
  /** The HTTP status that was sent. */
  status: number | undefined;
  readonly #raw: ServerResponse;
  readonly #exchange: Exchange;
  readonly #options: ClientResponseOptions;
  #heartbeat: NodeJS.Timeout | undefined;
  #quiet = true;
  /** When content came last. */
  #contentAt: number | undefined;

  constructor(raw: ServerResponse, exchange: Exchange, options: ClientResponseOptions) {
    this.#raw = raw;
    this.#exchange = exchange;
    this.#options = options;
  }

  get headersSent(): boolean {
    return this.status !== undefined;
  }

  /** From now on the client hears a comment when it has heard nothing else for long. For event streams only. */
  keepAlive(): void {
    const { heartbeat } = this.#options;
    if (heartbeat === false) return;
    const beat = (): void => {
      if (this.#raw.destroyed || this.#raw.writableEnded) return;
      if (this.#quiet && !this.#raw.writableNeedDrain) {
        if (!this.headersSent) this.#begin(200, STREAM_HEADERS);
        this.#send(KEEP_ALIVE);
      }
      this.#quiet = true;
      this.#heartbeat = setTimeout(beat, heartbeat.every);
    };
    this.#heartbeat = setTimeout(beat, heartbeat.after);
  }

  /** One attempt has won: its headers, unless a heartbeat went before them. */
  commit(headers: ReplyHeaders): void {
    this.committed = true;
    this.#contentAt = Date.now();
    this.#exchange.stats.firstTokenMs = this.#contentAt - this.#exchange.startedAt;
    if (this.headersSent) return;
    const { "content-length": _length, "content-encoding": _encoding, ...kept } = headers;
    this.#begin(200, { ...kept, ...STREAM_HEADERS });
  }

  /** Whole events in wire form. @returns false when the client reads too slowly: wait for {@link onDrain}. */
  write(text: string, events: number, hasContent = false): boolean {
    this.#quiet = false;
    this.#exchange.stats.events += events;
    if (hasContent) this.#measureGap();
    return this.#send(text);
  }

  /** How much a gate in front of this response holds back, in bytes. */
  set heldBytes(bytes: number) {
    this.#exchange.stats.heldBytes = bytes;
  }

  /** Bytes of a body that is passed through. @returns as {@link write} does. */
  writeBytes(chunk: Buffer): boolean {
    this.#exchange.stats.bytes += chunk.length;
    return this.#raw.write(chunk);
  }

  onDrain(listener: () => void): void {
    this.#raw.on("drain", listener);
  }

  offDrain(listener: () => void): void {
    this.#raw.off("drain", listener);
  }

  /** Status and headers of a body that is passed through. */
  begin(status: number, headers: ReplyHeaders): void {
    this.committed = true;
    this.#begin(status, headers);
  }

  /** The stream is whole. */
  end(terminator: string): void {
    this.stopTimers();
    if (terminator !== "") this.write(terminator, 1);
    this.#raw.end();
    this.#giveUpAfter(STALLED_MS);
  }

  /** The stream is over and not whole: the error event, then nothing. */
  interrupt(errorEvent: string): void {
    this.stopTimers();
    this.write(errorEvent, 1);
    if (this.#options.interruptEnd === "clean") this.#raw.end();
    // Only when the event has left: a connection destroyed earlier would take it along.
    else this.#raw.write("", () => this.#cutAfterEvent());
    this.#giveUpAfter(STALLED_AFTER_FAILURE_MS);
  }

  /** A body that was passed through broke off: the client must see it break. */
  cut(): void {
    this.stopTimers();
    if (this.#needsReset) breakConnection(this.#raw.socket);
    this.#raw.destroy();
  }

  /** To HTTP/1.0 without a length the end of the connection is the end of the body: only a reset can say that it is not. */
  get #needsReset(): boolean {
    return this.#raw.req.httpVersionMinor === 0;
  }

  #cutAfterEvent(): void {
    // A reset overtakes what the client has not read yet.
    if (this.#needsReset) setTimeout(() => this.cut(), READ_BEFORE_RESET_MS);
    else this.cut();
  }

  /** A whole HTTP reply. */
  reply(status: number, headers: ReplyHeaders, body: Buffer | string): void {
    this.stopTimers();
    const bytes = typeof body === "string" ? Buffer.from(body) : body;
    // An answer to HEAD, and a 304, give the length of a body that does not come (RFC 9110 §8.6): what the upstream said of it stands.
    const isOnlyHead = bytes.length === 0 && (status === 304 || this.#raw.req.method === "HEAD");
    this.#begin(status, isOnlyHead ? headers : { ...headers, "content-length": String(bytes.length) });
    this.#exchange.stats.bytes += bytes.length;
    this.#raw.end(bytes);
    this.#giveUpAfter(STALLED_MS);
  }

  /**
   * Resolves when the connection has taken the last byte, or never will, or `signal` says that nobody waits any longer.
   * @returns whether it was taken.
   */
  async flushed(signal: AbortSignal): Promise<boolean> {
    if (!this.#raw.writableFinished) await once(this.#raw, "close", { signal }).catch(() => {});
    return this.#raw.writableFinished;
  }

  stopTimers(): void {
    clearTimeout(this.#heartbeat);
    this.#heartbeat = undefined;
  }

  /** Counts silence of the socket, not time: slow is allowed. */
  #giveUpAfter(ms: number): void {
    const { socket } = this.#raw;
    if (this.#raw.writableFinished) return;
    if (socket === null) {
      // A pipelined request: its turn comes later, and only after the one before has put Node's own time in place of its.
      this.#raw.once("socket", () => setImmediate(() => this.#giveUpAfter(ms)));
      return;
    }
    this.#raw.setTimeout(ms, () => this.cut());
    // Node puts its own time in place of ours, but not when the answer to a pipelined request comes next.
    this.#raw.once("finish", () => {
      if (socket.timeout === ms) socket.setTimeout(0);
    });
  }

  /** One clock read for each network read: one for each event would be felt. */
  #measureGap(): void {
    const { stats } = this.#exchange;
    const now = Date.now();
    if (this.#contentAt !== undefined) stats.longestGapMs = Math.max(stats.longestGapMs ?? 0, now - this.#contentAt);
    this.#contentAt = now;
  }

  #begin(status: number, headers: ReplyHeaders): void {
    const { id, attempts } = this.#exchange;
    const upstream = attempts.at(-1)?.upstream;
    this.status = status;
    this.#raw.writeHead(status, {
      ...headers,
      "x-perennial-id": id,
      "x-perennial-attempts": String(attempts.length),
      ...(upstream === undefined ? {} : { "x-perennial-upstream": upstream }),
    });
    // A head without a body yet would wait for the first write.
    this.#raw.flushHeaders();
  }

  #send(text: string): boolean {
    // Encoded once, here: the response would otherwise measure the text first and encode it later, at nearly twice the cost.
    const bytes = Buffer.from(text);
    this.#exchange.stats.bytes += bytes.length;
    return this.#raw.write(bytes);
  }
}
