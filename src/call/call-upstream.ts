/** One call to one upstream: chooses the reader for what comes back, watches the clocks, ends everything on abort. */
import { Readable } from "node:stream";
import type { Attempt } from "../core/attempt.ts";
import { Failure, toFailure, withDetails } from "../core/failure.ts";
import type { HeldShare } from "../core/held-memory.ts";
import type { ReplyHeaders } from "../core/reply.ts";
import type { Call, Upstream, UpstreamRequest } from "../upstream/upstream.ts";
import { createAnswerReader } from "./answer-reader.ts";
import { BodyFingerprint } from "./body-fingerprint.ts";
import type { BodyReader } from "./body-reader.ts";
import { createInflatingReader, encodingOf, type InflatingReader, inflaterBytes, withoutEncoding } from "./inflating-reader.ts";
import { ReadTurns } from "./read-turns.ts";
import { redirected } from "./redirect.ts";
import { meaningOf, OUTAGE_WITHIN_MS } from "./reply-scope.ts";
import { readRetryAfterMs, readUsedUp } from "./retry-after.ts";
import { type Sign, Watchdog, type WatchdogOptions } from "./watchdog.ts";

export interface CallOptions {
  readonly upstream: Upstream;
  readonly request: UpstreamRequest;
  readonly attempt: Attempt;
  readonly signal: AbortSignal;
  readonly watchdog: WatchdogOptions;
  /** Headers that continue a trace at the upstream. */
  readonly propagated: Readonly<Record<string, string>>;
  /** Subscribes to the client's catching up; undefined where there is no client. @returns what ends the subscription. */
  readonly onDrain?: ((listener: () => void) => () => void) | undefined;
  /** Statuses below this are an answer, and read as one; the rest are the upstream's refusals. */
  readonly answersBelow: 300 | 400;
  /** Identity was asked for: a body that is compressed all the same is inflated. Otherwise it is read as it comes. */
  readonly inflates: boolean;
  /** What is buffered of an error reply, and in an inflater, counts here. @defaultValue it is not counted */
  readonly held?: HeldShare | undefined;
  /** Largest error reply that is kept, in bytes. */
  readonly maxReplyBytes: number;
  /** The upstream has begun to answer, or has had the request for so long that it may work on it. */
  readonly onTaken?: (() => void) | undefined;
  /** Told by an answer's head that a budget is used up, and for how long, in milliseconds. */
  readonly onLimit?: ((forMs: number) => void) | undefined;
}

/** What a running call offers to the reader of its body. */
export interface CallControl<T> {
  /** Something came: what it was moves the clocks. */
  notice(sign: Sign): void;
  /** The client is slow: the upstream waits, and its clock with it. */
  pause(): void;
  resume(): void;
  /** The attempt has succeeded. `bodyEnded` is false when the response has not come to its end yet. */
  succeed(result: T, bodyEnded: boolean): void;
  fail(failure: Failure): void;
  /** Once the attempt is over, however: what still runs for it must stop. */
  onSettle(listener: () => void): void;
}

export type ReaderFactory<T> = (
  head: { readonly status: number; readonly headers: ReplyHeaders },
  control: CallControl<T>,
) => BodyReader;

/**
 * Resolves with what the reader made of an answer.
 * @throws Failure for everything else; `upstream_status` carries the upstream's own reply.
 */
export function callUpstream<T>(options: CallOptions, readBody: ReaderFactory<T>): Promise<T> {
  const { upstream, attempt, signal, request } = options;
  const upload = request.body instanceof Readable ? request.body : undefined;
  return new Promise<T>((resolve, reject) => {
    let reader: BodyReader | undefined;
    /** Before the reader, where the body is compressed. */
    let inflater: InflatingReader | undefined;
    let call: Call | undefined;
    let settled = false;
    /** The client is slow. */
    let isPaused = false;
    /** What came last while the upload still ran. */
    let early: Sign | undefined;
    /** On the clock of `performance.now()`; undefined while there is no connection. */
    let handedOverAt: number | undefined;
    let takenTimer: NodeJS.Timeout | undefined;
    const fingerprint = new BodyFingerprint();
    const watchdog = new Watchdog(options.watchdog, endWith);

    const settleListeners: (() => void)[] = [];

    const control: CallControl<T> = {
      onSettle: (listener) => void settleListeners.push(listener),
      notice(sign) {
        // Until it has the whole upload an upstream may have nothing to say; one that stops is bounded by timeouts.request.
        if (upload === undefined || upload.closed) watchdog.notice(sign);
        else early = sign;
      },
      pause() {
        isPaused = true;
        watchdog.pause();
        call?.pause();
        inflater?.pause();
      },
      resume() {
        if (settled) return;
        isPaused = false;
        watchdog.resume();
        if (!turns.isWaiting) call?.resume();
        inflater?.resume();
      },
      succeed(result, bodyEnded) {
        if (!settle()) return;
        if (!bodyEnded) call?.release();
        resolve(result);
      },
      fail(failure) {
        if (!settle()) return;
        call?.abort();
        reject(failure.code === "stream_corrupted" ? withDetails(failure, { fingerprint: fingerprint.read() }) : failure);
      },
    };

    const turns = new ReadTurns(
      () => call?.pause(),
      () => {
        if (!isPaused && !settled) call?.resume();
      },
    );

    const tookMs = (): number => (handedOverAt === undefined ? 0 : performance.now() - handedOverAt);

    function onHandover(): void {
      handedOverAt = performance.now();
      watchdog.begin();
      clearTimeout(takenTimer);
      takenTimer = setTimeout(() => options.onTaken?.(), OUTAGE_WITHIN_MS);
    }

    function settle(): boolean {
      if (settled) return false;
      settled = true;
      watchdog.stop();
      clearTimeout(takenTimer);
      signal.removeEventListener("abort", onAbort);
      upload?.off("close", onUploadEnd);
      stopListening?.();
      for (const listener of settleListeners) listener();
      inflater?.close();
      return true;
    }

    /** Ends the attempt from outside. What was read may already be whole, which only the reader knows. */
    function endWith(cause: Failure): void {
      if (settled) return;
      // A client that left takes no answer, whole or not.
      if (reader === undefined || cause.code === "client_gone") control.fail(cause);
      else take((body) => body.onEnd(cause));
      call?.abort();
    }

    function onUploadEnd(): void {
      if (early !== undefined) watchdog.notice(early);
    }

    function onAbort(): void {
      endWith(toFailure(signal.reason));
    }

    /** A defect in a reader ends this attempt, and nothing else. */
    function guarded(use: (body: BodyReader) => void): void {
      if (settled || reader === undefined) return;
      try {
        use(reader);
      } catch (thrown) {
        control.fail(toFailure(thrown));
      }
    }

    /** What comes from the upstream goes to the reader, through the inflater where there is one. */
    function take(use: (body: BodyReader) => void): void {
      if (inflater === undefined) guarded(use);
      else use(inflater);
    }

    function read(status: number, head: ReplyHeaders, isAnswer: boolean): void {
      const encoding = options.inflates ? encodingOf(head) : undefined;
      const headers = encoding === undefined ? head : withoutEncoding(head);
      reader = isAnswer
        ? readBody({ status, headers }, control)
        : readErrorReply(status, headers, { ...options, tookMs }, control);
      if (encoding === undefined) return;
      options.held?.add(inflaterBytes(encoding));
      const inflated: BodyReader = {
        onData: (chunk) => guarded((body) => body.onData(chunk)),
        onEnd: (cause) => guarded((body) => body.onEnd(cause)),
      };
      inflater = createInflatingReader(encoding, inflated, (failure) => {
        // A refusal stays one, with as much of its reason as can be read.
        if (isAnswer) control.fail(failure);
        else inflated.onEnd(undefined);
      });
    }

    const stopListening = options.onDrain?.(() => control.resume());
    signal.addEventListener("abort", onAbort);
    upload?.once("close", onUploadEnd);
    call = upstream.send(
      { ...request, set: { ...request.set, ...options.propagated } },
      {
        onHandover,
        onHead(status, headers) {
          attempt.status = status;
          const isAnswer = status < options.answersBelow;
          if (isAnswer) options.onTaken?.();
          if (isAnswer && options.onLimit !== undefined) tellLimit(headers, options.onLimit);
          if (!isAnswer || options.watchdog.idleFrom === "head") control.notice("content");
          try {
            if (!isAnswer && status < 400 && status !== 304)
              throw redirected(status, headers, upstream.addressOf(request.path), request.path);
            read(status, headers, isAnswer);
          } catch (thrown) {
            control.fail(toFailure(thrown));
          }
        },
        // Written out, since it is done for each read: `take` would make a closure for it.
        onData(chunk) {
          fingerprint.add(chunk);
          turns.onRead(chunk.length);
          if (settled || reader === undefined) return;
          try {
            (inflater ?? reader).onData(chunk);
          } catch (thrown) {
            control.fail(toFailure(thrown));
          }
        },
        onEnd: () => take((body) => body.onEnd(undefined)),
        onFailure(failure) {
          // What took its time may have been worked on.
          const isLate = failure.outage === "answer" && tookMs() > OUTAGE_WITHIN_MS;
          if (reader === undefined) control.fail(isLate ? withDetails(failure, { outage: false }) : failure);
          else take((body) => body.onEnd(failure));
        },
      },
    );
    if (signal.aborted) onAbort();
  });
}

function tellLimit(headers: ReplyHeaders, onLimit: (forMs: number) => void): void {
  const resetMs = readUsedUp(headers, dateOf(headers));
  if (resetMs !== undefined && resetMs > 0) onLimit(resetMs);
}

interface ErrorReplyOptions extends CallOptions {
  tookMs(): number;
}

function readErrorReply<T>(
  status: number,
  headers: ReplyHeaders,
  { maxReplyBytes, held, upstream, tookMs }: ErrorReplyOptions,
  control: CallControl<T>,
): BodyReader {
  return createAnswerReader({
    maxBytes: maxReplyBytes,
    held,
    onProgress: () => control.notice("content"),
    onWhole(body) {
      const waitMs = readRetryAfterMs(headers, dateOf(headers), { status, body });
      const context = { hasOwnKey: !upstream.getsClientKey, namesWait: waitMs !== undefined, tookMs: tookMs() };
      const { status: meant, scope, message, isOutage, isLoading } = meaningOf({ status, headers, body }, context);
      control.fail(
        new Failure("upstream_status", `the upstream answered with HTTP status ${status}`, {
          status: meant,
          scope,
          // How long a model loads is guessed, and to ask costs nothing.
          ...(waitMs === undefined || (isOutage && isLoading) ? {} : { retryAfterMs: waitMs }),
          // For a client that has had its headers, and cannot get this reply as it is.
          ...(message === undefined ? {} : { upstreamMessage: message }),
          ...(isOutage ? { outage: "answer" } : {}),
          reply: { status: meant, headers, body },
        }),
      );
    },
    onFailure: control.fail,
  });
}

/** A date to wait for is one of the upstream's clock: what it says the time is counts, whatever this machine's clock says. */
function dateOf({ date }: ReplyHeaders): number {
  const at = typeof date === "string" ? Date.parse(date) : Number.NaN;
  return Number.isNaN(at) ? Date.now() : at;
}
