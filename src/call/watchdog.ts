/** The two clocks of an attempt, in one timer: until the first content, then between one content and the next. */
import { Failure } from "../core/failure.ts";

export interface WatchdogOptions {
  /** Until the first sign of progress, in milliseconds; 0 for no limit. */
  readonly firstTokenMs: number;
  /** Between one sign of progress and the next, in milliseconds. */
  readonly idleMs: number;
  /** When silence begins to be a stall: once the head has come, or only once there was content. */
  readonly idleFrom: "head" | "content";
}

/**
 * Progress is content (or the bytes of an answer that is not streamed): comments and pings reset nothing.
 * While the client is slow the upstream is paused, and a paused upstream is not stalled.
 */
export class Watchdog {
  readonly #options: WatchdogOptions;
  readonly #onFire: (failure: Failure) => void;
  #timer: NodeJS.Timeout | undefined;
  #started = false;
  #paused = false;

  constructor(options: WatchdogOptions, onFire: (failure: Failure) => void) {
    this.#options = options;
    this.#onFire = onFire;
    const { firstTokenMs } = options;
    if (firstTokenMs > 0) {
      this.#timer = setTimeout(() => {
        onFire(new Failure("first_token_timeout", `the upstream sent no content within ${seconds(firstTokenMs)}`));
      }, firstTokenMs);
    }
  }

  progress(): void {
    if (this.#started && this.#timer !== undefined) {
      // Moves the timer that is there: making one for each event would cost more than parsing the event.
      this.#timer.refresh();
      return;
    }
    this.#started = true;
    this.#restart();
  }

  pause(): void {
    this.#paused = true;
    if (this.#started) this.stop();
  }

  resume(): void {
    this.#paused = false;
    if (this.#started) this.#restart();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #restart(): void {
    this.stop();
    if (this.#paused) return;
    const { idleMs } = this.#options;
    this.#timer = setTimeout(() => {
      this.#onFire(new Failure("stream_stalled", `the upstream sent nothing more for ${seconds(idleMs)}`));
    }, idleMs);
  }
}

function seconds(ms: number): string {
  return ms < 1_000 ? `${ms} ms` : `${ms / 1_000} s`;
}
