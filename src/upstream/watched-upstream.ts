/** An upstream whose answers to one exchange are watched as they pass (`record`). */
import type { CallWatch, Recording } from "../core/recording.ts";
import { type Call, RELEASE_MS, type ResponseSink, type Upstream } from "./upstream.ts";

export function watchUpstream(upstream: Upstream, recording: Pick<Recording, "call">): Upstream {
  return {
    ...upstream,
    send(request, sink) {
      const watch = recording.call(upstream.addressOf(request.path));
      const watched = new WatchedCall(watch, sink);
      watched.call = upstream.send(request, watched);
      return watched;
    },
  };
}

class WatchedCall implements Call, ResponseSink {
  call: Call | undefined;
  readonly #watch: CallWatch;
  readonly #sink: ResponseSink;
  /** The answer was whole to its reader: only the watch still wants to know how its response ends. */
  #isReleased = false;
  #isOver = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(watch: CallWatch, sink: ResponseSink) {
    this.#watch = watch;
    this.#sink = sink;
  }

  onHandover(): void {
    this.#watch.onHandover();
    this.#sink.onHandover?.();
  }

  onHead(status: number, headers: Record<string, string | string[]>): void {
    this.#watch.onHead(status, headers);
    this.#sink.onHead(status, headers);
  }

  onData(chunk: Buffer): void {
    if (!this.#isOver) this.#watch.onData(chunk);
    if (!this.#isReleased) this.#sink.onData(chunk);
  }

  onEnd(): void {
    this.#end(() => this.#watch.onEnd());
    if (!this.#isReleased) this.#sink.onEnd();
  }

  onFailure(failure: Parameters<ResponseSink["onFailure"]>[0]): void {
    this.#end(() => this.#watch.onFailure(failure));
    if (!this.#isReleased) this.#sink.onFailure(failure);
  }

  pause(): void {
    this.call?.pause();
  }

  resume(): void {
    this.call?.resume();
  }

  abort(): void {
    this.#end(() => this.#watch.onLeft());
    this.call?.abort();
  }

  release(): void {
    this.#isReleased = true;
    this.call?.resume();
    if (!this.#isOver) this.#timer = setTimeout(() => this.abort(), RELEASE_MS).unref();
  }

  #end(tell: () => void): void {
    clearTimeout(this.#timer);
    if (this.#isOver) return;
    this.#isOver = true;
    tell();
  }
}
