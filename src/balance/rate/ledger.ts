/** Limits that several processes count together, counted in one place: what each has taken, so that it is free when that process dies. */
import { Places, type RateBudget, type Taken } from "./budget.ts";
import { RateWindow } from "./rate-window.ts";

/** So much of one limit. */
export interface LedgerCharge {
  /** The same for all that take of the same limit. */
  readonly name: string;
  readonly limit: number;
  /** In milliseconds; undefined for places among those that run at the same time. */
  readonly perMs: number | undefined;
  readonly amount: number;
}

/** All of it was taken, each with the number by which it is settled; or none, and how long each takes yet, in milliseconds. */
export type LedgerAnswer = { readonly taken: readonly number[] } | { readonly waitsMs: readonly number[] };

/** What became of it. */
export interface Settlement {
  readonly taken: number;
  /** It came to this much in truth. */
  readonly amount?: number;
  /** What it was taken for is over. */
  readonly isOver?: boolean;
}

export class Ledger<Owner> {
  readonly #budgets = new Map<string, RateBudget>();
  readonly #open = new Map<Owner, Map<number, { readonly name: string; readonly taken: Taken }>>();
  #last = 0;

  /** Takes of all, or of none. */
  take(owner: Owner, charges: readonly LedgerCharge[]): LedgerAnswer {
    const wanted = charges.map((charge) => ({ ...charge, budget: this.#budget(charge) }));
    const waitsMs = wanted.map(({ budget, amount }) => budget.waitMs(amount));
    if (waitsMs.some((waitMs) => waitMs > 0)) {
      for (const { name, budget } of wanted) this.#drop(name, budget);
      return { waitsMs };
    }
    const open = this.#open.get(owner) ?? new Map();
    this.#open.set(owner, open);
    return {
      taken: wanted.map(({ name, budget, amount }) => {
        const number = ++this.#last;
        open.set(number, { name, taken: budget.take(amount) });
        return number;
      }),
    };
  }

  settle(owner: Owner, { taken: number, amount, isOver = false }: Settlement): void {
    const open = this.#open.get(owner);
    const found = open?.get(number);
    if (found === undefined) return;
    if (amount !== undefined) found.taken.correct(amount);
    if (!isOver) return;
    open?.delete(number);
    this.#end(found);
  }

  /** It has died: its places are free. What it took of windows was sent, and goes on to count. */
  forget(owner: Owner): void {
    for (const found of this.#open.get(owner)?.values() ?? []) this.#end(found);
    this.#open.delete(owner);
  }

  #end({ name, taken }: { readonly name: string; readonly taken: Taken }): void {
    taken.end();
    this.#drop(name, this.#budgets.get(name));
  }

  /** Keys come and go, and those that are in use no more leave nothing behind. */
  #drop(name: string, budget: RateBudget | undefined): void {
    if (budget instanceof Places && budget.used === 0) this.#budgets.delete(name);
  }

  #budget({ name, limit, perMs }: LedgerCharge): RateBudget {
    const known = this.#budgets.get(name);
    const budget = known ?? (perMs === undefined ? new Places(limit) : new RateWindow({ amount: limit, perMs }));
    // A new configuration may have changed it.
    (budget as Places | RateWindow).limit = limit;
    if (known === undefined) this.#budgets.set(name, budget);
    return budget;
  }
}
