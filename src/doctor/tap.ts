/** An upstream whose answers are written down as they pass: what a whole answer's end looks like is known only behind its end. */
import { performance } from "node:perf_hooks";
import type { ReplyHeaders } from "../core/reply.ts";
import type { Upstream } from "../upstream/upstream.ts";
import type { Recording } from "./facts.ts";

export interface Tap {
  readonly upstream: Upstream;
  /** Resolves once the body has ended, or has been left open for a while behind the answer's end. */
  recorded(): Promise<Recording>;
}

/** As much of a body as is kept, from its beginning and from its end, in bytes. */
const KEPT_START = 262_144;
const KEPT_TAIL = 4_096;
/** How long a body may stay open behind the end of its answer, in milliseconds. */
const GRACE_MS = 1_000;

/** For one question; of several calls for it, the last is what is recorded. */
export function createTap(upstream: Upstream): Tap {
  let status: number | undefined;
  let headers: ReplyHeaders = {};
  let began = performance.now();
  let headMs: number | undefined;
  let firstByteMs: number | undefined;
  let bytes = 0;
  let start: Buffer[] = [];
  let tail: Buffer[] = [];
  let tailBytes = 0;
  let ended = Promise.withResolvers<Recording["end"]>();
  const since = (): number => Math.round(performance.now() - began);

  return {
    upstream: {
      ...upstream,
      send(request, sink) {
        ended = Promise.withResolvers();
        const settle = ended.resolve;
        [began, headMs, firstByteMs, bytes, start, tail, tailBytes] = [performance.now(), undefined, undefined, 0, [], [], 0];
        const call = upstream.send(request, {
          onHandover() {
            began = performance.now();
            sink.onHandover?.();
          },
          onHead(code, head) {
            [status, headers, headMs] = [code, head, since()];
            sink.onHead(code, head);
          },
          onData(chunk) {
            firstByteMs ??= since();
            bytes += chunk.length;
            if (bytes - chunk.length < KEPT_START) start.push(chunk);
            tail.push(chunk);
            tailBytes += chunk.length;
            // Not at each byte: a body may come in thousands of pieces.
            if (tailBytes > 2 * KEPT_TAIL) {
              tail = [Buffer.concat(tail).subarray(-KEPT_TAIL)];
              tailBytes = KEPT_TAIL;
            }
            sink.onData(chunk);
          },
          onEnd() {
            settle("closed");
            sink.onEnd();
          },
          onFailure(failure) {
            settle("broken");
            sink.onFailure(failure);
          },
        });
        return {
          pause: () => call.pause(),
          resume: () => call.resume(),
          abort() {
            settle("open");
            call.abort();
          },
          // The pool's own release would hide what comes now.
          release() {
            setTimeout(() => {
              settle("open");
              call.abort();
            }, GRACE_MS).unref();
          },
        };
      },
    },
    async recorded() {
      const end = await ended.promise;
      const texts = {
        start: Buffer.concat(start).subarray(0, KEPT_START).toString("utf8"),
        tail: Buffer.concat(tail).subarray(-KEPT_TAIL).toString("utf8"),
      };
      return { status, headers, headMs, firstByteMs, durationMs: since(), bytes, ...texts, end };
    },
  };
}
