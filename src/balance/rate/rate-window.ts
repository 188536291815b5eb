/**
 * How much was taken within the last minute, or whatever the time is: a window that slides, so that there is no moment at which
 * twice the limit may pass. Counters that begin anew each minute have one, and an upstream whose window slides answers it with 429.
 */
import type { Rate, RateBudget, Taken } from "./budget.ts";

/** What was taken is counted in so many steps: few enough to be walked, enough to lose less than half a percent of the limit. */
const STEPS = 512;
/** It counts one step longer: requests that go out in one order may arrive in another. */
const COUNTS_FOR = STEPS + 1;
/** More than so many windows is not owed: a number that makes no sense must not close an upstream for days. */
const MOST_OWED = 100;

interface Step {
  /** Its number, since the clock began. */
  readonly number: number;
  amount: number;
}

export class RateWindow implements RateBudget {
  readonly #stepMs: number;
  limit: number;
  /** The oldest first. */
  #steps: Step[] = [];
  /** Taken beyond the limit: it counts as soon as there is room for it, so that the limit holds over a longer time. */
  #owed = 0;
  #settledAt: number;

  constructor({ amount, perMs }: Rate) {
    this.limit = amount;
    this.#stepMs = perMs / STEPS;
    this.#settledAt = performance.now();
  }

  get perMs(): number {
    return this.#stepMs * STEPS;
  }

  get used(): number {
    this.#settle();
    return this.#counted() + this.#owed;
  }

  /** Of more than there ever is: until all of it is free. While some is owed: until it is time to look again. */
  waitMs(amount: number): number {
    const { atMs, left } = this.#freeing(Math.min(amount, this.limit));
    const [oldest] = this.#steps;
    return left > 0 && oldest !== undefined ? this.#leftMs(oldest) : atMs;
  }

  expectedMs(amount: number): number {
    const { atMs, left } = this.#freeing(amount);
    return atMs + Math.ceil(left / this.limit) * this.perMs;
  }

  /** When so much is free, as far as that can be seen, and how much is left beyond. */
  #freeing(amount: number): { atMs: number; left: number } {
    let over = this.used + amount - this.limit;
    if (over <= 0) return { atMs: 0, left: 0 };
    let atMs = 0;
    for (const step of this.#steps) {
      over -= step.amount;
      atMs = this.#leftMs(step);
      if (over <= 0) break;
    }
    return { atMs, left: Math.max(0, over) };
  }

  #leftMs({ number }: Step): number {
    return Math.max(1, (number + COUNTS_FOR) * this.#stepMs - performance.now());
  }

  take(amount: number): Taken {
    const number = this.#current();
    this.#count(amount);
    let counted = amount;
    return {
      correct: (truth) => {
        // What it did not come to is free again; what it came to beyond is taken now.
        if (truth < counted) this.#giveBack(number, counted - truth);
        else if (truth > counted) this.#count(truth - counted);
        counted = truth;
      },
      end() {},
    };
  }

  #count(amount: number): void {
    this.#settle();
    this.#owed = Math.min(this.#owed + amount, MOST_OWED * this.limit);
    this.#pay();
  }

  #giveBack(number: number, amount: number): void {
    this.#settle();
    const fromOwed = Math.min(amount, this.#owed);
    this.#owed -= fromOwed;
    const step = this.#steps.find((each) => each.number === number);
    if (step !== undefined) step.amount = Math.max(0, step.amount - (amount - fromOwed));
    this.#pay();
  }

  /** Forgets what does not count any more, and pays for what is owed by what has become free. */
  #settle(): void {
    const now = performance.now();
    const oldest = now / this.#stepMs - COUNTS_FOR;
    const kept = this.#steps.findIndex(({ number }) => number > oldest);
    if (kept === -1) this.#steps = [];
    else if (kept > 0) this.#steps.splice(0, kept);
    // Windows that have passed since, and that nobody has looked at, were free for it as well.
    const passed = Math.floor((now - this.#settledAt) / (COUNTS_FOR * this.#stepMs)) - 1;
    this.#owed = Math.max(0, this.#owed - this.limit * Math.max(0, passed));
    this.#settledAt = now;
    this.#pay();
  }

  #pay(): void {
    const room = Math.min(this.#owed, this.limit - this.#counted());
    if (room <= 0) return;
    this.#owed -= room;
    const number = this.#current();
    const last = this.#steps.at(-1);
    if (last?.number === number) last.amount += room;
    else this.#steps.push({ number, amount: room });
  }

  #counted(): number {
    return this.#steps.reduce((sum, { amount }) => sum + amount, 0);
  }

  #current(): number {
    return Math.ceil(performance.now() / this.#stepMs);
  }
}
