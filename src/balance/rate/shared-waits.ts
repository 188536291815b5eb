/** What a store has last said of budgets that are shared: how long they are used up. It is asked again before that is over. */
import type { RateBudget } from "./budget.ts";

/** Others may give back what they took, and nobody tells of it: it is asked again so soon, in milliseconds. */
const AGAIN_MS = 1_000;
/** A place comes free when another's request ends, which nobody can foresee. */
const AGAIN_FOR_PLACE_MS = 200;

interface Told {
  /** On the clock of `performance.now()`, both. */
  readonly freeAt: number;
  readonly againAt: number;
}

export class SharedWaits {
  readonly #told = new Map<RateBudget, Told>();

  learn(budget: RateBudget, waitMs: number): void {
    const now = performance.now();
    const againMs = Number.isFinite(waitMs) ? Math.min(waitMs, AGAIN_MS) : AGAIN_FOR_PLACE_MS;
    if (waitMs > 0) this.#told.set(budget, { freeAt: now + waitMs, againAt: now + againMs });
    else this.#told.delete(budget);
  }

  /** Something of it was given back here. */
  forget(budget: RateBudget): void {
    this.#told.delete(budget);
  }

  /** Until it is worth asking, in milliseconds. */
  againMs(budget: RateBudget): number {
    return this.#left(budget)?.againMs ?? 0;
  }

  /** Until it is free, as far as that is known, in milliseconds; infinity where nobody knows. */
  expectedMs(budget: RateBudget): number {
    return this.#left(budget)?.freeMs ?? 0;
  }

  #left(budget: RateBudget): { againMs: number; freeMs: number } | undefined {
    const told = this.#told.get(budget);
    if (told === undefined) return undefined;
    const now = performance.now();
    if (told.againAt > now) return { againMs: told.againAt - now, freeMs: told.freeAt - now };
    this.#told.delete(budget);
    return undefined;
  }
}
