/** One call to one upstream: chooses the reader for what comes back, watches the clocks, ends everything on abort. */
import { Readable } from "node:stream";
import type { Attempt } from "../core/attempt.ts";
import { Failure, type FailureScope, toFailure } from "../core/failure.ts";
import type { ReplyHeaders } from "../core/reply.ts";
import { readReplyBody } from "../dialect/openai-error.ts";
import type { Call, Upstream, UpstreamRequest } from "../upstream/upstream.ts";
import { createAnswerReader } from "./answer-reader.ts";
import type { BodyReader } from "./body-reader.ts";
import { readRetryAfterMs, readShouldRetry } from "./retry-after.ts";
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
  /** Largest error reply that is kept, in bytes. */
  readonly maxReplyBytes: number;
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
    let call: Call | undefined;
    let settled = false;
    /** What came last while the upload still ran. */
    let early: Sign | undefined;
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
        watchdog.pause();
        call?.pause();
      },
      resume() {
        if (settled) return;
        watchdog.resume();
        call?.resume();
      },
      succeed(result, bodyEnded) {
        if (!settle()) return;
        if (!bodyEnded) call?.release();
        resolve(result);
      },
      fail(failure) {
        if (!settle()) return;
        call?.abort();
        reject(failure);
      },
    };

    function settle(): boolean {
      if (settled) return false;
      settled = true;
      watchdog.stop();
      signal.removeEventListener("abort", onAbort);
      upload?.off("close", onUploadEnd);
      stopListening?.();
      for (const listener of settleListeners) listener();
      return true;
    }

    /** Ends the attempt from outside. What was read may already be whole, which only the reader knows. */
    function endWith(cause: Failure): void {
      if (settled) return;
      // A client that left takes no answer, whole or not.
      if (reader === undefined || cause.code === "client_gone") control.fail(cause);
      else guarded((body) => body.onEnd(cause));
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

    const stopListening = options.onDrain?.(() => control.resume());
    signal.addEventListener("abort", onAbort);
    upload?.once("close", onUploadEnd);
    call = upstream.send(
      { ...request, set: { ...request.set, ...options.propagated } },
      {
        onHandover: () => watchdog.begin(),
        onHead(status, headers) {
          attempt.status = status;
          const isAnswer = status < options.answersBelow;
          if (!isAnswer || options.watchdog.idleFrom === "head") control.notice("content");
          try {
            reader = isAnswer ? readBody({ status, headers }, control) : readErrorReply(status, headers, options, control);
          } catch (thrown) {
            control.fail(toFailure(thrown));
          }
        },
        onData: (chunk) => guarded((body) => body.onData(chunk)),
        onEnd: () => guarded((body) => body.onEnd(undefined)),
        onFailure(failure) {
          if (reader === undefined) control.fail(failure);
          else guarded((body) => body.onEnd(failure));
        },
      },
    );
    if (signal.aborted) onAbort();
  });
}

function readErrorReply<T>(status: number, headers: ReplyHeaders, options: CallOptions, control: CallControl<T>): BodyReader {
  return createAnswerReader({
    maxBytes: options.maxReplyBytes,
    onProgress: () => control.notice("content"),
    onWhole(body) {
      const retryAfterMs = readRetryAfterMs(headers, dateOf(headers), { status, body });
      // Its message is for a client that has had its headers, and cannot get this reply as it is.
      const said = readReplyBody(status, body, retryAfterMs !== undefined);
      control.fail(
        new Failure("upstream_status", `the upstream answered with HTTP status ${status}`, {
          status: said.status,
          scope: scopeOfReply(said.scope, headers),
          ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
          ...(said.message === undefined ? {} : { upstreamMessage: said.message }),
          reply: { status: said.status, headers, body },
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

/** What the upstream says outright wins over what its reply means. */
function scopeOfReply(scope: FailureScope, headers: ReplyHeaders): FailureScope {
  const shouldRetry = readShouldRetry(headers);
  if (shouldRetry === undefined) return scope;
  return shouldRetry ? "again" : "never";
}
