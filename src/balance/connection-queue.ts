/** Who may use one of an upstream's connections, where their number is limited; the others wait in their order. */
import { Failure } from "../core/failure.ts";

/** Gives the connection back, once. */
export type Release = () => void;

export interface QueueOptions {
  readonly signal: AbortSignal;
  /** The longest wait, in milliseconds. */
  readonly maxWaitMs: number;
  /** There is none free. */
  onWait(): void;
}

interface Waiter {
  admit(): void;
}

export class ConnectionQueue {
  readonly #max: number;
  #used = 0;
  readonly #waiters = new Set<Waiter>();

  /** @param max undefined for no limit. */
  constructor(max: number | undefined) {
    this.#max = max ?? Number.POSITIVE_INFINITY;
  }

  get isFull(): boolean {
    return this.#used >= this.#max;
  }

  get waiting(): number {
    return this.#waiters.size;
  }

  /** @throws Failure `overloaded` when none came free in time; the reason of the signal. */
  async acquire({ signal, maxWaitMs, onWait }: QueueOptions): Promise<Release> {
    if (this.#used < this.#max) {
      this.#used++;
      return this.#releaseOnce();
    }
    onWait();
    return new Promise((resolve, reject) => {
      const leave = (reason: unknown): void => {
        this.#waiters.delete(waiter);
        clearTimeout(timer);
        signal.removeEventListener("abort", onAbort);
        reject(reason);
      };
      const onAbort = (): void => leave(signal.reason);
      const timer = setTimeout(() => leave(tooMany(maxWaitMs)), maxWaitMs);
      const waiter: Waiter = {
        admit: () => {
          this.#waiters.delete(waiter);
          clearTimeout(timer);
          signal.removeEventListener("abort", onAbort);
          resolve(this.#releaseOnce());
        },
      };
      this.#waiters.add(waiter);
      if (signal.aborted) onAbort();
      else signal.addEventListener("abort", onAbort, { once: true });
    });
  }

  #releaseOnce(): Release {
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      const [next] = this.#waiters;
      // Handed on, so that one that has just come cannot be before those that wait.
      if (next !== undefined) next.admit();
      else this.#used--;
    };
  }
}

function tooMany(waitedMs: number): Failure {
  const seconds = waitedMs / 1_000;
  return new Failure(
    "overloaded",
    `no connection to the upstream came free within ${seconds} s (maxConnections, timeouts.queue)`,
    {
      retryAfterMs: Math.max(1_000, waitedMs),
    },
  );
}
