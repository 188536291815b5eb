/** Limits that a store counts for several processes: what the line makes of its answers. The store itself: test/redis/rates.test.ts. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { RateTurn, RateWait } from "./rate-ask.ts";
import { RateLimiter } from "./rate-limiter.ts";
import type { RatePolicy } from "./rate-policy.ts";
import type { SharedAnswer, SharedRates } from "./shared-rates.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] }));
afterEach(() => void vi.useRealTimers());

const MINUTE = 60_000;
/** A network's. */
const ROUND_TRIP_MS = 5;
const signal = new AbortController().signal;
let asked = 0;
const ask = () => ({ model: "m", credential: "", tokens: undefined, priority: 0, arrivedAt: asked++ });

/** Lets so many pass, and takes back what is given back. */
function createStore(free: number, waitMs: number) {
  const store = {
    isUp: true,
    free,
    /** Of charges, in all. */
    asked: 0,
    isLost: false,
    async take(charges: readonly unknown[]): Promise<SharedAnswer | undefined> {
      store.asked++;
      await new Promise((resolve) => setTimeout(resolve, ROUND_TRIP_MS));
      if (store.isLost) return undefined;
      if (store.free === 0) return { waitsMs: charges.map(() => waitMs) };
      store.free--;
      return { taken: charges.map(() => ({ correct: (truth: number) => void (truth === 0 && store.free++), end() {} })) };
    },
  };
  return store satisfies SharedRates;
}

function limiterOf(shared: SharedRates, policy: Partial<RatePolicy> = {}): RateLimiter {
  const limiter = new RateLimiter({ scope: "upstream", name: "a" }, shared);
  limiter.configure({ waitMs: 20 * MINUTE, models: {}, requests: { amount: 100, perMs: MINUTE }, ...policy });
  return limiter;
}

const waitOf = (entered: RateTurn | RateWait): RateWait => {
  expect(entered).toHaveProperty("turn");
  const wait = entered as RateWait;
  wait.turn.catch(() => {});
  return wait;
};
const codeOf = (wait: RateWait) =>
  wait.turn.then(
    () => "passed",
    ({ code }) => code,
  );

test("each is asked about in its order; who is refused waits at the head, and asks again when the store says so", async () => {
  const store = createStore(2, 300);
  const limiter = limiterOf(store);
  const waits = [1, 2, 3, 4].map(() => waitOf(limiter.enter(ask(), signal)));
  const passed: number[] = [];
  waits.forEach(({ turn }, index) => void turn.then(() => passed.push(index)));
  await vi.advanceTimersByTimeAsync(4 * ROUND_TRIP_MS);
  expect(passed).toEqual([0, 1]);
  expect(await Promise.all(waits.map(({ isAtOnce }) => isAtOnce))).toEqual([true, true, false, false]);
  expect(store.asked).toBe(3);
  // Who comes now knows it at once, and can go elsewhere.
  expect(limiter.expectedMs(ask())).toBeGreaterThan(250);
  store.free = 1;
  await vi.advanceTimersByTimeAsync(300);
  expect(passed).toEqual([0, 1, 2]);
  expect(limiter.snapshot()).toMatchObject({ waiting: 1, limits: [{ used: 3 }] });
});

test("with no time to wait it hears what the store says, no more", async () => {
  const store = createStore(2, 300);
  const limiter = limiterOf(store, { waitMs: 0 });
  const codes = [1, 2, 3, 4].map(() => codeOf(waitOf(limiter.enter(ask(), signal))));
  await vi.advanceTimersByTimeAsync(4 * ROUND_TRIP_MS);
  expect(await Promise.all(codes)).toEqual(["passed", "passed", "rate_limited", "rate_limited"]);
  expect(store.asked).toBe(3);
});

test("who leaves while it is asked about takes nothing, and makes way", async () => {
  const store = createStore(1, 60_000);
  const limiter = limiterOf(store);
  const client = new AbortController();
  const left = waitOf(limiter.enter(ask(), client.signal));
  const next = waitOf(limiter.enter(ask(), signal));
  client.abort(new Error("gone"));
  await expect(left.turn).rejects.toThrow("gone");
  await vi.advanceTimersByTimeAsync(2 * ROUND_TRIP_MS);
  expect(await next.isAtOnce).toBe(true);
  expect(store.free).toBe(0);
});

test("what is given back here is asked for at once, and what another gives back within a second", async () => {
  const store = createStore(1, Number.POSITIVE_INFINITY);
  const limiter = limiterOf(store, { requests: undefined, concurrent: 5 });
  const first = waitOf(limiter.enter(ask(), signal));
  const [second, third] = [waitOf(limiter.enter(ask(), signal)), waitOf(limiter.enter(ask(), signal))];
  await vi.advanceTimersByTimeAsync(2 * ROUND_TRIP_MS);
  (await first.turn).giveBack();
  await vi.advanceTimersByTimeAsync(ROUND_TRIP_MS);
  const passed = vi.fn();
  void second.turn.then(passed);
  void third.turn.then(passed);
  await vi.advanceTimersByTimeAsync(ROUND_TRIP_MS);
  expect(passed).toHaveBeenCalledTimes(1);
  store.free = 1;
  await vi.advanceTimersByTimeAsync(1_000);
  expect(passed).toHaveBeenCalledTimes(2);
});

test("without the store it counts by itself, with what it has sent before", async () => {
  const store = createStore(9, 0);
  const limiter = limiterOf(store, { requests: { amount: 3, perMs: MINUTE } });
  const first = waitOf(limiter.enter(ask(), signal));
  await vi.advanceTimersByTimeAsync(ROUND_TRIP_MS);
  expect(await first.isAtOnce).toBe(true);
  // One that is asked about as it goes, and one that comes later.
  store.isLost = true;
  const second = waitOf(limiter.enter(ask(), signal));
  await vi.advanceTimersByTimeAsync(ROUND_TRIP_MS);
  expect(await second.isAtOnce).toBe(true);
  store.isUp = false;
  expect(limiter.enter(ask(), signal)).not.toHaveProperty("turn");
  expect(waitOf(limiter.enter(ask(), signal)).isAtOnce).toBeUndefined();
});
