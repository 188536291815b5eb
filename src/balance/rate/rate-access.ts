/** One request's way past one owner's limits. */
import type { RateOwner } from "../../core/observer.ts";
import type { RateAsk, RateTurn, RateWait } from "./rate-ask.ts";
import type { RateLimiter } from "./rate-limiter.ts";

export class RateAccess {
  readonly #limiter: RateLimiter;
  readonly #ask: RateAsk;

  constructor(limiter: RateLimiter, ask: RateAsk) {
    this.#limiter = limiter;
    this.#ask = ask;
  }

  get owner(): RateOwner {
    return this.#limiter.owner;
  }

  /** See {@link RateLimiter.expectedMs}. */
  get expectedMs(): number {
    return this.#limiter.expectedMs(this.#ask);
  }

  /** What it took is to be known when it is over. */
  get countsTokens(): boolean {
    return this.#ask.tokens !== undefined;
  }

  /** For texts like those that were asked: tokens of so many characters of the answer, and of the question. */
  tokensOf(characters: number): number {
    const { prompt = 0, perCharacter = 0 } = this.#ask.tokens ?? {};
    return Math.round(prompt + characters * perCharacter);
  }

  enter(signal: AbortSignal): RateTurn | RateWait {
    return this.#limiter.enter(this.#ask, signal);
  }

  /** Undefined where it would have to wait. @throws the reason of the signal. */
  async enterAtOnce(signal: AbortSignal): Promise<RateTurn | undefined> {
    if (this.expectedMs > 0) return undefined;
    const entered = this.#limiter.enter(this.#ask, signal);
    if (!("turn" in entered)) return entered;
    if (await entered.isAtOnce) return entered.turn;
    entered.turn.catch(() => {});
    entered.leave();
    return undefined;
  }

  /** The upstream wants no more requests like this one for so long, in milliseconds. */
  hold(forMs: number): void {
    this.#limiter.hold(this.#ask, forMs);
  }
}
