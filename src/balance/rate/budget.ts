/** What a rate limit is counted against, in memory. Where processes share their limits, a store is asked as well: shared-rates.ts. */

/** So much within such a time. */
export interface Rate {
  readonly amount: number;
  /** In milliseconds. */
  readonly perMs: number;
}

/** What was taken of a budget; its only use is to give it back, or to say what it came to. */
export interface Taken {
  /** It came to this much in truth. With 0 nothing was sent at all. */
  correct(amount: number): void;
  /** What it was taken for is over. */
  end(): void;
}

export interface RateBudget {
  readonly limit: number;
  /** Taken of it at this moment. */
  readonly used: number;
  /** Until so much of it is free, in milliseconds: 0 for now, infinity where only the end of another's part can tell. */
  waitMs(amount: number): number;
  /** The same, as far as it can be known, of what may be more than there is at one time. */
  expectedMs(amount: number): number;
  /** Takes it, whether it is free or not. */
  take(amount: number): Taken;
}

/** Places among those that run at the same time. */
export class Places implements RateBudget {
  limit: number;
  #used = 0;

  constructor(limit: number) {
    this.limit = limit;
  }

  get used(): number {
    return this.#used;
  }

  waitMs(): number {
    return this.#used < this.limit ? 0 : Number.POSITIVE_INFINITY;
  }

  expectedMs(): number {
    return this.waitMs();
  }

  take(): Taken {
    this.#used++;
    let isHeld = true;
    return {
      correct() {},
      end: () => {
        if (isHeld) this.#used--;
        isHeld = false;
      },
    };
  }
}
