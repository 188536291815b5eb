/** Remembers in which ways an upstream refuses to be asked for a model, so that it is not asked in vain again and again. */

/** A way to ask that is not the client's own. */
export type AlteredAsk = "whole" | "via-stream" | "background";

/** An upstream may be replaced by a newer one behind the same address, in milliseconds. */
const KEPT_MS = 3_600_000;
/** Clients name the models. */
const MAX_KEYS = 1_000;

export class RefusedAsks {
  /** Until when, on the clock of `performance.now()`. */
  readonly #until = new Map<string, number>();

  has(model: string | undefined, ask: AlteredAsk): boolean {
    const key = keyOf(model, ask);
    const until = this.#until.get(key);
    if (until === undefined) return false;
    if (until > performance.now()) return true;
    this.#until.delete(key);
    return false;
  }

  add(model: string | undefined, ask: AlteredAsk): void {
    const key = keyOf(model, ask);
    this.#until.delete(key);
    const [oldest] = this.#until.keys();
    if (oldest !== undefined && this.#until.size >= MAX_KEYS) this.#until.delete(oldest);
    this.#until.set(key, performance.now() + KEPT_MS);
  }
}

function keyOf(model: string | undefined, ask: AlteredAsk): string {
  return `${ask} ${model ?? ""}`;
}
