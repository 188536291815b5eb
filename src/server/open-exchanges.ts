/** The exchanges that are running: how many may, and how they end when Perennial does. */
import type { Exchange } from "../core/exchange.ts";
import { Failure } from "../core/failure.ts";
import { ANYBODY } from "./client-keys.ts";

export class OpenExchanges {
  draining = false;
  /** How many exchanges may run at a time (`limits.maxStreams`). */
  max: number;
  /** How many of them may be for one key (`auth.maxStreamsPerKey`); 0 for any number. */
  maxPerKey: number;
  readonly #running = new Map<Exchange, Promise<void>>();
  readonly #byKey = new Map<string, number>();

  constructor(max: number, maxPerKey: number) {
    this.max = max;
    this.maxPerKey = maxPerKey;
  }

  get size(): number {
    return this.#running.size;
  }

  /**
   * @param key whose it would be; see createKeyCheck.
   * @throws Failure `draining` or `overloaded` when no more may begin.
   */
  admit(key: string): void {
    if (this.draining) throw new Failure("draining", "Perennial is shutting down. Send the request again in a moment.");
    if (this.#running.size >= this.max) {
      throw new Failure(
        "overloaded",
        `Perennial is serving ${this.max} requests already (limits.maxStreams). Send the request again in a moment.`,
      );
    }
    if (key !== ANYBODY && this.maxPerKey > 0 && (this.#byKey.get(key) ?? 0) >= this.maxPerKey) {
      throw new Failure(
        "overloaded",
        `Perennial is serving ${this.maxPerKey} requests with this key already (auth.maxStreamsPerKey). Send the request again in a moment.`,
      );
    }
  }

  /** @param work the exchange's whole run; it never rejects. */
  add(exchange: Exchange, key: string, work: Promise<void>): void {
    this.#running.set(exchange, work);
    this.#count(key, 1);
    void work.finally(() => {
      this.#running.delete(exchange);
      this.#count(key, -1);
    });
  }

  #count(key: string, change: 1 | -1): void {
    const count = (this.#byKey.get(key) ?? 0) + change;
    // A key that is in use no more leaves nothing behind, or a reload would leave a little each time.
    if (count === 0) this.#byKey.delete(key);
    else this.#byKey.set(key, count);
  }

  /** Resolves once every exchange that runs now has ended; those that begin later are not waited for. */
  async settled(): Promise<void> {
    await Promise.all(this.#running.values());
  }

  /** Lets what runs come to its end; what has not by `timeoutMs` is told why, and ended. */
  async drain(timeoutMs: number): Promise<void> {
    this.draining = true;
    const late = setTimeout(() => {
      for (const exchange of this.#running.keys()) {
        exchange.abort(new Failure("draining", "Perennial was shut down before the answer was complete"));
      }
    }, timeoutMs);
    while (this.#running.size > 0) await Promise.all(this.#running.values());
    clearTimeout(late);
  }
}
