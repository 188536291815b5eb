/** Rate limits that all replicas count together, in Redis. What they are counted for stands there by a digest alone. */
import { createHash, randomUUID } from "node:crypto";
import type { Taken } from "../balance/rate/budget.ts";
import type { SharedAnswer, SharedCharge, SharedRates } from "../balance/rate/shared-rates.ts";
import { CORRECT, HOLD, TAKE } from "./rate-scripts.ts";
import type { RedisKeys } from "./redis-keys.ts";
import type { RedisLink } from "./redis-link.ts";

/** A place whose replica was killed is free again after this long, in milliseconds. */
const HELD_MS = 20_000;
const HOLD_EVERY_MS = 5_000;

interface Limit {
  readonly key: string;
  readonly charge: SharedCharge;
}

export class RedisRates implements SharedRates {
  readonly #link: RedisLink;
  readonly #keys: RedisKeys;
  /** Places that are held here, with their keys. */
  readonly #held = new Map<string, string>();
  readonly #holding: NodeJS.Timeout;

  constructor(link: RedisLink, keys: RedisKeys) {
    this.#link = link;
    this.#keys = keys;
    this.#holding = setInterval(() => this.#hold(), HOLD_EVERY_MS).unref();
  }

  get isUp(): boolean {
    return this.#link.isUp;
  }

  async take(charges: readonly SharedCharge[]): Promise<SharedAnswer | undefined> {
    const limits = charges.map((charge) => ({ key: this.#keys.rate(digestOf(charge)), charge }));
    const args = charges.flatMap(({ limit, perMs, amount }) =>
      [perMs === undefined ? "places" : "window", limit, perMs ?? 0, amount, randomUUID(), HELD_MS].map(String),
    );
    const keys = limits.map(({ key }) => key);
    const answer = await this.#link.attempt((redis) => redis.eval(TAKE, keys.length, ...keys, ...args));
    if (!Array.isArray(answer)) return undefined;
    const [what, ...each] = answer.map(String);
    if (what === "wait") return { waitsMs: each.map((ms) => (ms === "-1" ? Number.POSITIVE_INFINITY : Number(ms))) };
    return { taken: limits.map((limit, index) => this.#taken(limit, each[index] ?? "")) };
  }

  /** Those that are held are not given back: the process ends. */
  close(): void {
    clearInterval(this.#holding);
  }

  /** @param place the name of a place, or the step of a window. */
  #taken({ key, charge: { limit, perMs, amount } }: Limit, place: string): Taken {
    if (perMs === undefined) {
      this.#held.set(place, key);
      return {
        correct() {},
        end: () => {
          if (this.#held.delete(place)) void this.#link.attempt((redis) => redis.zrem(key, place));
        },
      };
    }
    let counted = amount;
    return {
      correct: (truth) => {
        const more = truth - counted;
        counted = truth;
        if (more === 0) return;
        const args = [limit, perMs, place, more].map(String);
        void this.#link.attempt((redis) => redis.eval(CORRECT, 1, key, ...args));
      },
      end() {},
    };
  }

  #hold(): void {
    if (this.#held.size === 0) return;
    const places = [...this.#held.keys()];
    const keys = [...this.#held.values()];
    void this.#link.attempt((redis) => redis.eval(HOLD, keys.length, ...keys, String(HELD_MS), ...places));
  }
}

/** Names are those of the configuration, and a limit with another span is another one. */
function digestOf({ scope, name, model, what, perMs }: SharedCharge): string {
  const text = JSON.stringify([scope, name, model ?? null, what, perMs ?? null]);
  return createHash("sha256").update(text).digest("base64url").slice(0, 22);
}
