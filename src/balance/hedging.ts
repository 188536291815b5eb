/** When a second upstream is asked beside one that is slow, and how seldom: what all exchanges have seen and spent. */

/** Of so many of the latest first tokens of a route the 95th percentile is taken; with fewer than the least there is none. */
const SAMPLES = { most: 200, least: 20 };
const PERCENTILE = 0.95;
/** Clients name the models. */
const MAX_ROUTES = 1_000;
/** How many hedges may be saved up in quiet times, in requests: a burst of slow ones may have so many at once. */
const SAVED_REQUESTS = 100;

export class Hedging {
  /** Milliseconds until the first content, the newest overwriting the oldest. */
  readonly #routes = new Map<string, { readonly samples: number[]; next: number }>();
  #credit = 0;

  /** One more request that could be hedged. @param percent of these at most get a second attempt. */
  request(percent: number): void {
    this.#credit = Math.min(this.#credit + percent / 100, Math.max(1, (percent / 100) * SAVED_REQUESTS));
  }

  /** @returns whether one may be made now; it is counted then. */
  take(): boolean {
    // Sums of hundredths are not exact.
    if (this.#credit < 1 - 1e-9) return false;
    this.#credit -= 1;
    return true;
  }

  /** Of an attempt: how long its first content took, or at least took where it was ended before. */
  learn(route: string, ms: number): void {
    const known = this.#routes.get(route) ?? this.#begin(route);
    known.samples[known.next] = ms;
    known.next = (known.next + 1) % SAMPLES.most;
  }

  /** In milliseconds; undefined while too little is known of the route. */
  p95(route: string): number | undefined {
    const { samples = [] } = this.#routes.get(route) ?? {};
    if (samples.length < SAMPLES.least) return undefined;
    const sorted = samples.toSorted((a, b) => a - b);
    return sorted[Math.ceil(sorted.length * PERCENTILE) - 1];
  }

  #begin(route: string): { samples: number[]; next: number } {
    const [oldest] = this.#routes.keys();
    if (oldest !== undefined && this.#routes.size >= MAX_ROUTES) this.#routes.delete(oldest);
    const begun = { samples: [], next: 0 };
    this.#routes.set(route, begun);
    return begun;
  }
}
