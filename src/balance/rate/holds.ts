/** Until when an upstream wants no more of some credential and model, as it has said itself. */

export interface HeldBy {
  /** With whose credentials. */
  readonly credential: string;
  readonly model: string;
}

/** What an upstream says of a time that is further away is not relied on: then its requests look again. In milliseconds. */
const MAX_HOLD_MS = 600_000;
/** Clients name the models, and bring credentials. */
const MAX_HOLDS = 1_000;

export class Holds {
  /** On the clock of `performance.now()`. */
  readonly #until = new Map<string, number>();

  /** How long the longest of them lasts, in milliseconds. */
  get longestMs(): number {
    const now = performance.now();
    return Math.max(0, ...[...this.#until.values()].map((until) => until - now));
  }

  hold(by: HeldBy, forMs: number): void {
    const key = holdKey(by);
    const until = Math.max(performance.now() + Math.min(forMs, MAX_HOLD_MS), this.#until.get(key) ?? 0);
    this.#until.delete(key);
    const [oldest] = this.#until.keys();
    if (oldest !== undefined && this.#until.size >= MAX_HOLDS) this.#until.delete(oldest);
    this.#until.set(key, until);
  }

  /** In milliseconds; 0 for one that is not held back. */
  leftMs(by: HeldBy): number {
    if (this.#until.size === 0) return 0;
    const key = holdKey(by);
    const leftMs = (this.#until.get(key) ?? 0) - performance.now();
    if (leftMs <= 0) this.#until.delete(key);
    return Math.max(0, leftMs);
  }

  clear(): void {
    this.#until.clear();
  }
}

/** The same for those that are held back together. */
export function holdKey({ credential, model }: HeldBy): string {
  return `${credential} ${model}`;
}
