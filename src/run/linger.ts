/** How long an answer is made on when no client listens to it here, and what was made meanwhile. */
import type { Lingered } from "../core/exchange.ts";
import { Failure } from "../core/failure.ts";

export interface LingerOptions {
  /** In milliseconds; 0 for not at all. */
  readonly ms: number;
  /** Of text, that were made by now. */
  characters(): number;
  /** No client has come in time. */
  giveUp(failure: Failure): void;
}

interface Span {
  /** On the clock of `performance.now()`. */
  readonly since: number;
  readonly characters: number;
  readonly timer: NodeJS.Timeout;
}

export class Linger {
  readonly #options: LingerOptions;
  #ms: number;
  /** While no client listens, and the run is to end if none comes. */
  #span: Span | undefined;
  #lingered: Lingered | undefined;
  /** Until then clients elsewhere are known to read it, on the clock of `performance.now()`. */
  #readElsewhereUntil = 0;

  constructor(options: LingerOptions) {
    this.#options = options;
    this.#ms = options.ms;
  }

  get isRunning(): boolean {
    return this.#span !== undefined;
  }

  /** What was made while no client listened. */
  get lingered(): Lingered | undefined {
    return this.#lingered;
  }

  get isReadElsewhere(): boolean {
    return performance.now() < this.#readElsewhereUntil;
  }

  /** It is made on when its last client leaves. */
  get isAllowed(): boolean {
    return this.#ms > 0 || this.isReadElsewhere;
  }

  /** A client reads it elsewhere, or has read it until `ms` before this time is over. */
  readElsewhere(ms: number): void {
    this.#readElsewhereUntil = performance.now() + ms;
  }

  begin(): void {
    this.#span = { since: performance.now(), characters: this.#options.characters(), timer: this.#startTimer() };
  }

  /** A client listens again, or it is over. */
  end(): void {
    if (this.#span === undefined) return;
    const { since, characters, timer } = this.#span;
    clearTimeout(timer);
    this.#span = undefined;
    this.#lingered = {
      ms: (this.#lingered?.ms ?? 0) + performance.now() - since,
      characters: (this.#lingered?.characters ?? 0) + this.#options.characters() - characters,
    };
  }

  /** From now on it ends when its last client leaves; at once, with `failure`, where none listens here or elsewhere. */
  noMore(failure: Failure): void {
    this.#ms = 0;
    if (!this.isReadElsewhere) this.#options.giveUp(failure);
    else if (this.#span !== undefined) {
      clearTimeout(this.#span.timer);
      this.#onTime();
    }
  }

  #startTimer(): NodeJS.Timeout {
    const elsewhereMs = Math.max(0, this.#readElsewhereUntil - performance.now());
    return setTimeout(() => this.#onTime(), this.#ms + elsewhereMs);
  }

  #onTime(): void {
    if (this.#span === undefined) return;
    if (this.isReadElsewhere) this.#span = { ...this.#span, timer: this.#startTimer() };
    else this.#options.giveUp(new Failure("client_gone", "the client left, and did not come back in time (replay.linger)"));
  }
}
