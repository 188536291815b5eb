/** The exchanges that are running: how many may, and how they end when Perennial does. */
import type { Exchange } from "../core/exchange.ts";
import { Failure } from "../core/failure.ts";

export class OpenExchanges {
  draining = false;
  /** How many exchanges may run at a time (`limits.maxStreams`). */
  max: number;
  readonly #running = new Map<Exchange, Promise<void>>();

  constructor(max: number) {
    this.max = max;
  }

  get size(): number {
    return this.#running.size;
  }

  /** Bytes that all gates together hold back at this moment. */
  get heldBytes(): number {
    let bytes = 0;
    for (const { stats } of this.#running.keys()) bytes += stats.heldBytes;
    return bytes;
  }

  /** @throws Failure `draining` or `overloaded` when no more may begin. */
  admit(): void {
    if (this.draining) throw new Failure("draining", "Perennial is shutting down. Send the request again in a moment.");
    if (this.#running.size >= this.max) {
      throw new Failure(
        "overloaded",
        `Perennial is serving ${this.max} requests already (limits.maxStreams). Send the request again in a moment.`,
      );
    }
  }

  /** @param work the exchange's whole run; it never rejects. */
  add(exchange: Exchange, work: Promise<void>): void {
    this.#running.set(exchange, work);
    void work.finally(() => this.#running.delete(exchange));
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
