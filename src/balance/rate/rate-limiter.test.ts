import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { RateAsk, RateTurn } from "./rate-ask.ts";
import { RateLimiter } from "./rate-limiter.ts";
import type { RatePolicy } from "./rate-policy.ts";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] }));
afterEach(() => void vi.useRealTimers());

let asked = 0;
const askOf = (more: Partial<RateAsk> = {}): RateAsk => ({
  model: "m",
  credential: "",
  tokens: undefined,
  priority: 0,
  arrivedAt: asked++,
  ...more,
});

function limiterOf(policy: Partial<RatePolicy>): RateLimiter {
  const limiter = new RateLimiter({ scope: "upstream", name: "a" });
  limiter.configure({ waitMs: 20 * MINUTE, models: {}, ...policy });
  return limiter;
}

interface Passed {
  readonly what: string;
  readonly at: number;
}

/** Sends it as soon as it may; it is over `takesMs` later. */
function send(
  limiter: RateLimiter,
  passed: Passed[],
  what: string,
  more: Partial<RateAsk> = {},
  used?: number,
  takesMs = 0,
): void {
  const pass = (turn: RateTurn): void => {
    passed.push({ what, at: performance.now() });
    setTimeout(() => turn.end(used), takesMs);
  };
  const entered = limiter.enter(askOf(more), new AbortController().signal);
  if ("turn" in entered)
    entered.turn.then(pass, (failure) => passed.push({ what: `${what} ${failure.code}`, at: performance.now() }));
  else pass(entered);
}

/** The most within any span of this length. */
function mostWithin(times: readonly number[], spanMs: number): number {
  return Math.max(...times.map((from) => times.filter((at) => at >= from && at < from + spanMs).length));
}

describe("requests", () => {
  test("300 within a minute at 200 a minute: 200 at once, the others in their order, and never 201 within any minute", async () => {
    const limiter = limiterOf({ requests: { amount: 200, perMs: MINUTE } });
    const passed: Passed[] = [];
    for (let index = 0; index < 300; index++) {
      send(limiter, passed, String(index));
      await vi.advanceTimersByTimeAsync(190);
    }
    expect(passed).toHaveLength(200);
    await vi.advanceTimersByTimeAsync(2 * MINUTE);
    expect(passed.map(({ what }) => what)).toEqual(Array.from({ length: 300 }, (_, index) => String(index)));
    expect(
      mostWithin(
        passed.map(({ at }) => at),
        MINUTE,
      ),
    ).toBe(200);
  });

  test("holds to one percent over ten minutes, however many are offered, and at whatever moment they begin", async () => {
    const limiter = limiterOf({ requests: { amount: 200, perMs: MINUTE } });
    const passed: Passed[] = [];
    // The moment at which a counter that begins anew would let twice as many pass.
    send(limiter, passed, "first");
    await vi.advanceTimersByTimeAsync(59 * SECOND);
    const from = performance.now();
    for (let index = 0; index < 2_500; index++) send(limiter, passed, String(index));
    await vi.advanceTimersByTimeAsync(10 * MINUTE);
    const times = passed.map(({ at }) => at).filter((at) => at >= from && at <= from + 10 * MINUTE);
    expect(times.length).toBeGreaterThanOrEqual(1_980);
    expect(times.length).toBeLessThanOrEqual(2_020);
    expect(mostWithin(times, MINUTE)).toBe(200);
  });

  test("what was not sent is not counted", () => {
    const limiter = limiterOf({ requests: { amount: 1, perMs: MINUTE } });
    const signal = new AbortController().signal;
    for (let times = 0; times < 3; times++) (limiter.enter(askOf(), signal) as RateTurn).giveBack();
    (limiter.enter(askOf(), signal) as RateTurn).end();
    expect(limiter.enter(askOf(), signal)).toHaveProperty("ahead");
  });
});

describe("tokens", () => {
  const estimate = { prompt: 100, maxAnswer: Number.POSITIVE_INFINITY, perCharacter: 0.25 };

  test.each([
    ["ten times as many as was thought", () => 3_500],
    ["a tenth of what was thought", () => 35],
    ["now few and now many", (index: number) => (index % 5 === 0 ? 9_000 : 200)],
    ["once more than a minute has", (index: number) => (index === 3 ? 70_000 : 1_000)],
  ])("hold to twenty percent over ten minutes where answers take %s", async (_what, usedBy) => {
    const limiter = limiterOf({ tokens: { amount: 20_000, perMs: MINUTE } });
    const passed: Passed[] = [];
    let used = 0;
    // As many at a time as clients have open.
    const open = Array.from({ length: 40 }, (_, client) => client);
    let index = 0;
    const again = (): void => {
      const now = usedBy(index++);
      const entered = limiter.enter(askOf({ tokens: estimate }), new AbortController().signal);
      const pass = (turn: RateTurn): void => {
        setTimeout(() => {
          if (performance.now() <= 10 * MINUTE + from) used += now;
          turn.end(now);
          again();
        }, 5 * SECOND);
      };
      if ("turn" in entered) entered.turn.then(pass, () => {});
      else pass(entered);
    };
    const from = performance.now();
    for (const _ of open) again();
    await vi.advanceTimersByTimeAsync(10 * MINUTE);
    expect(used).toBeGreaterThan(0.8 * 200_000);
    expect(used).toBeLessThan(1.2 * 200_000);
    expect(passed).toEqual([]);
  });

  test("a request that alone is over the limit passes once all of it is free, and is owed", async () => {
    const limiter = limiterOf({ tokens: { amount: 1_000, perMs: MINUTE } });
    const passed: Passed[] = [];
    send(limiter, passed, "small", { tokens: estimate });
    send(limiter, passed, "large", { tokens: { ...estimate, prompt: 2_500 } });
    send(limiter, passed, "next", { tokens: estimate });
    await vi.advanceTimersByTimeAsync(10 * MINUTE);
    expect(passed.map(({ what, at }) => `${what} ${Math.round((at - (passed[0] as Passed).at) / MINUTE)}`)).toEqual([
      "small 0",
      "large 1",
      "next 4",
    ]);
  });
});

describe("the line", () => {
  test("priority first, then arrival; a model at its limit does not stop the others, and what all share is kept in order", async () => {
    const limiter = limiterOf({ concurrent: 3, models: { slow: { concurrent: 1 } } });
    const passed: Passed[] = [];
    send(limiter, passed, "slow-1", { model: "slow" }, undefined, 100);
    send(limiter, passed, "slow-2", { model: "slow" }, undefined, 100);
    send(limiter, passed, "other-1", { model: "other" }, undefined, 50);
    send(limiter, passed, "other-2", { model: "other" }, undefined, 50);
    send(limiter, passed, "batch", { model: "other", priority: 1 }, undefined, 50);
    send(limiter, passed, "late", { model: "other" }, undefined, 50);
    await vi.advanceTimersByTimeAsync(0);
    expect(passed.map(({ what }) => what)).toEqual(["slow-1", "other-1", "other-2"]);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(passed.map(({ what }) => what).slice(3)).toEqual(["late", "batch", "slow-2"]);
  });

  test("a wait is bounded, and says when to come back; one that is known to be too long is not begun", async () => {
    const limiter = limiterOf({ requests: { amount: 1, perMs: 10 * MINUTE }, waitMs: 2 * MINUTE });
    const passed: Passed[] = [];
    const began = performance.now();
    send(limiter, passed, "one");
    const refused = (limiter.enter(askOf(), new AbortController().signal) as { turn: Promise<RateTurn> }).turn.catch(
      (error) => error,
    );
    await vi.advanceTimersByTimeAsync(2 * MINUTE);
    const failure = await refused;
    expect(failure).toMatchObject({ code: "rate_limited", status: 429, scope: "never" });
    expect(failure.message).toBe(
      "the rate limit of upstream a is used up, and no place came free within 120 s (rate, rate.wait)",
    );
    expect(failure.retryAfterMs / MINUTE).toBeCloseTo(8, 0);
    limiter.hold(askOf({ model: "x" }), 5 * MINUTE);
    send(limiter, passed, "held", { model: "x" });
    await vi.advanceTimersByTimeAsync(1);
    expect(passed.at(-1)).toMatchObject({ what: "held rate_limited" });
    expect(limiter.snapshot().waiting).toBe(0);
    expect(performance.now() - began).toBeLessThan(3 * MINUTE);
  });

  test("whoever leaves makes way", async () => {
    const limiter = limiterOf({ concurrent: 1 });
    const passed: Passed[] = [];
    const client = new AbortController();
    const first = limiter.enter(askOf(), client.signal) as RateTurn;
    const leaving = limiter.enter(askOf(), client.signal) as { turn: Promise<RateTurn>; ahead(): number };
    const behind = limiter.enter(askOf(), new AbortController().signal) as typeof leaving;
    expect([leaving.ahead(), behind.ahead()]).toEqual([0, 1]);
    const left = leaving.turn.catch((reason) => reason);
    client.abort(new Error("gone"));
    expect((await left).message).toBe("gone");
    expect(behind.ahead()).toBe(0);
    first.end();
    behind.turn.then(() => passed.push({ what: "behind", at: 0 }));
    await vi.advanceTimersByTimeAsync(0);
    expect(passed).toHaveLength(1);
  });

  test("what the upstream says of its limits holds back the same credential and model, and nobody else", async () => {
    const limiter = limiterOf({});
    const passed: Passed[] = [];
    limiter.hold(askOf({ credential: "k1", model: "m" }), 30 * SECOND);
    send(limiter, passed, "same", { credential: "k1", model: "m" });
    send(limiter, passed, "other key", { credential: "k2", model: "m" });
    send(limiter, passed, "other model", { credential: "k1", model: "n" });
    expect(passed.map(({ what }) => what)).toEqual(["other key", "other model"]);
    expect(limiter.snapshot()).toMatchObject({ waiting: 1, heldMs: 30 * SECOND });
    await vi.advanceTimersByTimeAsync(30 * SECOND);
    expect(passed.map(({ what }) => what)).toEqual(["other key", "other model", "same"]);
  });
});

describe("a new configuration", () => {
  const perMinute = (amount: number): Partial<RatePolicy> => ({ requests: { amount, perMs: MINUTE } });

  test("goes on counting, and lets those pass at once that its limit has room for", async () => {
    const limiter = limiterOf(perMinute(2));
    const passed: Passed[] = [];
    for (const what of ["a", "b", "c", "d"]) send(limiter, passed, what);
    expect(passed).toHaveLength(2);
    limiter.configure({ waitMs: MINUTE, models: {}, ...perMinute(3) });
    await vi.advanceTimersByTimeAsync(0);
    expect(passed.map(({ what }) => what)).toEqual(["a", "b", "c"]);
    expect(limiter.snapshot().limits).toEqual([{ what: "requests", model: undefined, limit: 3, perMs: MINUTE, used: 3 }]);
    limiter.configure(undefined);
    await vi.advanceTimersByTimeAsync(0);
    expect(passed).toHaveLength(4);
  });
});
