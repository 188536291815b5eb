/** The exchanges that are running: how many may, and how they end when Perennial does. */
import type { Exchange } from "../core/exchange.ts";
import { Failure } from "../core/failure.ts";
import { LinkedList } from "../core/linked-list.ts";
import { NO_KEY_NEEDED } from "./client-keys.ts";

/** A place among those that may run, and among its key's; taken before the body is read, so that uploads are bounded too. */
export interface Slot {
  /** Gives the place back, for a request that is refused; without effect once the exchange has begun, or the second time. */
  release(): void;
  /** @param work the exchange's whole run, at whose end the place is free; it never rejects. */
  hold(exchange: Abortable, work: Promise<void>): void;
}

type Abortable = Pick<Exchange, "abort">;

/** Places that several processes count together. */
export interface SharedPlaces {
  /** All of them are taken, or none. Never rejects. @returns what gives them back; or the place in the list of one that is not free. */
  take(places: readonly SharedPlace[]): Promise<(() => void) | number>;
}

export interface SharedPlace {
  /** The same for all that take of the same limit. */
  readonly name: string;
  readonly limit: number;
}

export class OpenExchanges {
  draining = false;
  /** How many exchanges may run at a time (`limits.maxStreams`). */
  max: number;
  /** How many of them may be for one key (`auth.maxStreamsPerKey`); 0 for any number. */
  maxPerKey: number;
  readonly #running = new LinkedList<{ readonly exchange: Abortable; readonly work: Promise<void> }>();
  readonly #byKey = new Map<string, number>();
  readonly #shared: SharedPlaces | undefined;
  #taken = 0;

  /** @param shared where several processes serve, and count together; undefined for one alone. */
  constructor(max: number, maxPerKey: number, shared?: SharedPlaces) {
    this.max = max;
    this.maxPerKey = maxPerKey;
    this.#shared = shared;
  }

  /** Exchanges that run; those whose body is still read have not begun. */
  get size(): number {
    return this.#running.size;
  }

  /**
   * @param key whose it would be; see createKeyCheck.
   * @returns a promise only where other processes count as well.
   * @throws Failure `draining` or `overloaded` when no more may begin.
   */
  admit(key: string): Slot | Promise<Slot> {
    this.refuseWhileDraining();
    if (this.#shared !== undefined) return this.#admitShared(key, this.#shared);
    if (this.#taken >= this.max) throw this.#tooMany();
    if (this.#isLimited(key) && (this.#byKey.get(key) ?? 0) >= this.maxPerKey) throw this.#tooManyOfKey();
    return this.#take(key);
  }

  async #admitShared(key: string, shared: SharedPlaces): Promise<Slot> {
    const all = { name: "streams", limit: this.max };
    const ofKey = { name: `streams of ${key}`, limit: this.maxPerKey };
    const answer = await shared.take(this.#isLimited(key) ? [all, ofKey] : [all]);
    if (answer === 0) throw this.#tooMany();
    if (typeof answer === "number") throw this.#tooManyOfKey();
    try {
      this.refuseWhileDraining();
    } catch (draining) {
      answer();
      throw draining;
    }
    return this.#take(key, answer);
  }

  #isLimited(key: string): boolean {
    return key !== NO_KEY_NEEDED && this.maxPerKey > 0;
  }

  #tooMany(): Failure {
    return new Failure(
      "overloaded",
      `Perennial is serving ${this.max} requests already (limits.maxStreams). Send the request again in a moment.`,
    );
  }

  #tooManyOfKey(): Failure {
    return new Failure(
      "overloaded",
      `Perennial is serving ${this.maxPerKey} requests with this key already (auth.maxStreamsPerKey). Send the request again in a moment.`,
    );
  }

  /** @throws Failure `draining`; asked again once the body is there, which may have taken its time. */
  refuseWhileDraining(): void {
    if (this.draining) throw new Failure("draining", "Perennial is shutting down. Send the request again in a moment.");
  }

  #take(key: string, giveBack?: () => void): Slot {
    let state: "reserved" | "running" | "free" = "reserved";
    const free = (): void => {
      state = "free";
      this.#count(key, -1);
      giveBack?.();
    };
    this.#count(key, 1);
    return {
      release() {
        if (state === "reserved") free();
      },
      hold: (exchange, work) => {
        state = "running";
        const place = this.#running.add({ exchange, work });
        void work.finally(() => {
          place.remove();
          free();
        });
      },
    };
  }

  #count(key: string, change: 1 | -1): void {
    this.#taken += change;
    const count = (this.#byKey.get(key) ?? 0) + change;
    // A key that is in use no more leaves nothing behind, or a reload would leave a little each time.
    if (count === 0) this.#byKey.delete(key);
    else this.#byKey.set(key, count);
  }

  /** Resolves once every exchange that runs now has ended; those that begin later are not waited for. */
  async settled(): Promise<void> {
    await this.#allWork();
  }

  /** Lets what runs come to its end; what has not by `timeoutMs` is told why, and ended. */
  async drain(timeoutMs: number): Promise<void> {
    this.draining = true;
    const late = setTimeout(() => {
      for (const { exchange } of this.#running.values()) {
        exchange.abort(new Failure("draining", "Perennial was shut down before the answer was complete"));
      }
    }, timeoutMs);
    while (this.#running.size > 0) await this.#allWork();
    clearTimeout(late);
  }

  async #allWork(): Promise<void> {
    await Promise.all(this.#running.values().map(({ work }) => work));
  }
}
