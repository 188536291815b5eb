/** Keeps retries a small share of all requests, so that many clients in trouble do not make an upstream's trouble larger. */

export interface RetryBudgetPolicy {
  /** Most retries that may cost something, per hundred requests of the last 10 s. */
  readonly percent: number;
  /** So many in that time are always allowed. */
  readonly min: number;
}

const BUCKET_MS = 1_000;
const BUCKETS = 10;

interface Bucket {
  /** Which second this counts. */
  second: number;
  requests: number;
  retries: number;
}

/** One for all exchanges; the times are on the clock of `performance.now()`. */
export class RetryBudget {
  readonly #buckets: Bucket[] = Array.from({ length: BUCKETS }, () => ({ second: -1, requests: 0, retries: 0 }));
  readonly #now: () => number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** @param isRetry the client asks again by itself, as SDKs say: that is no request that would allow more of ours. */
  request(isRetry: boolean): void {
    if (isRetry) this.#bucket().retries++;
    else this.#bucket().requests++;
  }

  /** @returns whether one more may be made; it is counted then. */
  take(policy: RetryBudgetPolicy): boolean {
    const { made, allowed } = this.standing(policy);
    if (made >= allowed) return false;
    this.#bucket().retries++;
    return true;
  }

  /** Retries that were made in the last 10 s, and how many may be. */
  standing({ percent, min }: RetryBudgetPolicy): { readonly made: number; readonly allowed: number } {
    const current = this.#bucket();
    const counted = this.#buckets.filter(({ second }) => current.second - second < BUCKETS && second >= 0);
    const requests = counted.reduce((sum, bucket) => sum + bucket.requests, 0);
    const made = counted.reduce((sum, bucket) => sum + bucket.retries, 0);
    return { made, allowed: Math.max(min, (requests * percent) / 100) };
  }

  #bucket(): Bucket {
    const second = Math.floor(this.#now() / BUCKET_MS);
    const bucket = this.#buckets[second % BUCKETS] as Bucket;
    if (bucket.second !== second) Object.assign(bucket, { second, requests: 0, retries: 0 });
    return bucket;
  }
}
