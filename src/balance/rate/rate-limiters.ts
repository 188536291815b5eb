/** The limits of every upstream and of every client's key, by name: they outlive a configuration, and what was counted goes on to count. */
import type { RateOwner } from "../../core/observer.ts";
import { RateLimiter } from "./rate-limiter.ts";
import type { RatePolicy, RateSnapshot } from "./rate-policy.ts";
import type { SharedRates } from "./shared-rates.ts";

export interface OwnedPolicy extends RateOwner {
  readonly policy: RatePolicy;
}

export class RateLimiters {
  readonly #limiters = new Map<string, RateLimiter>();
  readonly #shared: SharedRates | undefined;

  /** @param shared where they are counted for several processes; undefined for this one alone. */
  constructor(shared?: SharedRates) {
    this.#shared = shared;
  }

  /** What is not in it is not limited any more. */
  configure(policies: readonly OwnedPolicy[]): void {
    const before = new Map(this.#limiters);
    this.#limiters.clear();
    for (const { scope, name, policy } of policies) {
      const key = keyOf({ scope, name });
      const limiter = before.get(key) ?? new RateLimiter({ scope, name }, this.#shared);
      limiter.configure(policy);
      this.#limiters.set(key, limiter);
      before.delete(key);
    }
    for (const gone of before.values()) gone.configure(undefined);
  }

  find(owner: RateOwner): RateLimiter | undefined {
    return this.#limiters.get(keyOf(owner));
  }

  /** How things stand, in the order of the configuration. */
  snapshot(): readonly RateSnapshot[] {
    return [...this.#limiters.values()].map((limiter) => limiter.snapshot());
  }
}

function keyOf({ scope, name }: RateOwner): string {
  return `${scope} ${name}`;
}
