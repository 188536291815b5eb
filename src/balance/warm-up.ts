/** Asks a small question before the first user does: the first request after an upstream's start is slow, or comes back empty. */
import { type ProbeOptions, probe } from "../call/probe.ts";
import { type Failure, toFailure } from "../core/failure.ts";
import type { Observer } from "../core/observer.ts";

export interface WarmUpOptions {
  readonly probe: ProbeOptions;
  /** Ask again after this long without a request that runs, in milliseconds; 0 for never. */
  readonly idleMs: number;
  onWarm(durationMs: number): void;
  /** It will be asked again after `delayMs`. */
  onFailure(failure: Failure, delayMs: number): void;
}

const FIRST_DELAY_MS = 1_000;
const MAX_DELAY_MS = 30_000;

export class WarmUp {
  /** It has answered, and has not been down since. */
  isWarm = false;
  readonly #options: WarmUpOptions;
  readonly #closed = new AbortController();
  /** Attempts of users that run: a busy upstream is not asked, since some can answer only one at a time. */
  #running = 0;
  #asking = false;
  /** A user got an answer since the question was sent, and the upstream has not gone down since. */
  #served = false;
  /** Questions in a row that were not answered. */
  #failures = 0;
  /** On the clock of `performance.now()`. */
  #askAt = Number.POSITIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: WarmUpOptions) {
    this.#options = options;
  }

  /** What it needs to hear of: an upstream that went down is cold when it returns, one that answers its users is warm. */
  readonly observer: Observer = {
    onAttemptStart: (_exchange, { upstream }) => {
      if (upstream !== this.#name) return;
      this.#running++;
      clearTimeout(this.#timer);
    },
    onAttemptEnd: ({ api }, { upstream, failure, lost, durationMs }) => {
      if (upstream !== this.#name) return;
      this.#running--;
      if (failure === undefined && !lost && api !== undefined) {
        this.#served = true;
        this.#failures = 0;
        if (!this.isWarm) this.#options.onWarm(durationMs);
        this.isWarm = true;
      }
      if (failure === "upstream_unreachable" && this.isWarm) this.wentDown();
      else if (this.isWarm) this.#waitForIdle();
      else this.#arm();
    },
  };

  start(): void {
    this.#askAfter(0);
  }

  /** It is cold when it returns, and asked before its users are. */
  wentDown(): void {
    this.isWarm = this.#served = false;
    this.#askAfter(FIRST_DELAY_MS);
  }

  get #name(): string {
    return this.#options.probe.upstream.name;
  }

  close(): void {
    this.#closed.abort();
    clearTimeout(this.#timer);
  }

  #waitForIdle(): void {
    this.#askAfter(this.#options.idleMs || Number.POSITIVE_INFINITY);
  }

  #askAfter(delayMs: number): void {
    this.#askAt = performance.now() + delayMs;
    this.#arm();
  }

  /** The time to ask outlives whatever users do meanwhile, or many who come to no answer would put it off for ever. */
  #arm(): void {
    clearTimeout(this.#timer);
    if (this.#closed.signal.aborted || this.#asking || this.#running > 0 || this.#askAt === Number.POSITIVE_INFINITY) return;
    this.#timer = setTimeout(() => void this.#ask(), Math.max(0, this.#askAt - performance.now())).unref();
  }

  async #ask(): Promise<void> {
    const began = performance.now();
    this.#asking = true;
    this.#served = false;
    const failure = await probe(this.#options.probe, this.#closed.signal).then(() => undefined, toFailure);
    this.#asking = false;
    if (this.#closed.signal.aborted) return;
    if (failure === undefined) {
      this.isWarm = true;
      this.#failures = 0;
      this.#options.onWarm(Math.round(performance.now() - began));
    } else if (!this.#served) {
      // A refusal is an answer too: it does not make the upstream warm, nor cold, and will not change soon.
      const isTemporary = failure.scope === "again";
      if (isTemporary) this.isWarm = false;
      const slowly = (this.isWarm && this.#options.idleMs) || MAX_DELAY_MS;
      const delayMs = isTemporary ? Math.min(FIRST_DELAY_MS * 2 ** this.#failures, MAX_DELAY_MS) : slowly;
      this.#failures++;
      this.#options.onFailure(failure, delayMs);
      this.#askAfter(delayMs);
      return;
    }
    this.#waitForIdle();
  }
}
