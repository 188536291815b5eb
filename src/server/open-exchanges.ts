/** The exchanges that are running: how many may, and how they end when Perennial does. */
import type { Exchange } from "../core/exchange.ts";
import { Failure } from "../core/failure.ts";

export class OpenExchanges {
  draining = false;
  readonly #max: number;
  readonly #running = new Map<Exchange, Promise<void>>();

  /** @param max exchanges at a time (`limits.maxStreams`). */
  constructor(max: number) {
    this.#max = max;
  }

  /** @throws Failure `draining` or `overloaded` when no more may begin. */
  admit(): void {
    if (this.draining) throw new Failure("draining", "Perennial is shutting down. Send the request again in a moment.");
    if (this.#running.size >= this.#max) {
      throw new Failure(
        "overloaded",
        `Perennial is serving ${this.#max} requests already (limits.maxStreams). Send the request again in a moment.`,
      );
    }
  }

  /** @param work the exchange's whole run; it never rejects. */
  add(exchange: Exchange, work: Promise<void>): void {
    this.#running.set(exchange, work);
    void work.finally(() => this.#running.delete(exchange));
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
