import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { NO_KEY_NEEDED } from "./client-keys.ts";
import { OpenExchanges, type SharedPlace, type SharedPlaces, type Slot } from "./open-exchanges.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const FULL =
  /^Perennial is serving (\d+) requests (already \(limits\.maxStreams\)|with this key already \(auth\.maxStreamsPerKey\))\. Send the request again in a moment\.$/;
const DRAINING = { code: "draining", message: "Perennial is shutting down. Send the request again in a moment." };

/** What became of each key that asks for a place: the place, or the limit that it met. */
function admitAll(open: OpenExchanges, keys: readonly string[]): (Slot | string)[] {
  return keys.map((key) => {
    try {
      return open.admit(key) as Slot;
    } catch (refusal) {
      const { code, message } = refusal as { code: string; message: string };
      return `${code} ${FULL.exec(message)?.slice(1).join(" ")}`;
    }
  });
}

const OF_ALL = (limit: number): string => `overloaded ${limit} already (limits.maxStreams)`;
const OF_KEY = (limit: number): string => `overloaded ${limit} with this key already (auth.maxStreamsPerKey)`;

it.each([
  ["all together", 2, 0, ["a", "a", "a"], [true, true, OF_ALL(2)]],
  ["each key alone", 9, 2, ["a", "a", "a", "b", "b", "b"], [true, true, OF_KEY(2), true, true, OF_KEY(2)]],
  ["the whole before the key", 2, 2, ["a", "a", "a"], [true, true, OF_ALL(2)]],
  ["nobody by a key where none is needed", 9, 1, [NO_KEY_NEEDED, NO_KEY_NEEDED], [true, true]],
])("bounds %s", (_which, max, maxPerKey, keys, expected) => {
  const places = admitAll(new OpenExchanges(max, maxPerKey), keys);
  expect(places.map((place) => (typeof place === "string" ? place : true))).toEqual(expected);
});

it("gives a place back once: unused when it is released, else when its exchange has ended", async () => {
  const open = new OpenExchanges(2, 1);
  const [unused, used] = admitAll(open, ["a", "b"]) as [Slot, Slot];
  unused.release();
  unused.release();
  const work = Promise.withResolvers<void>();
  used.hold({ abort: () => {} }, work.promise);
  used.release();
  expect(open.size).toBe(1);
  expect(admitAll(open, ["b", "a", "c"])).toEqual([OF_KEY(1), expect.anything(), OF_ALL(2)]);
  work.resolve();
  await work.promise;
  await vi.advanceTimersByTimeAsync(0);
  used.release();
  expect(open.size).toBe(0);
  expect(admitAll(open, ["b", "c"])).toEqual([expect.anything(), OF_ALL(2)]);
});

/** What other processes have taken is free again. */
function shared(answer: (places: readonly SharedPlace[]) => number | undefined) {
  const asked: (readonly SharedPlace[])[] = [];
  let taken = 0;
  const places: SharedPlaces = {
    async take(wanted) {
      asked.push(wanted);
      const full = answer(wanted);
      if (full !== undefined) return full;
      taken++;
      return () => void taken--;
    },
  };
  return { places, asked, taken: () => taken };
}

it("asks for the same two places as other processes, and gives both back at once", async () => {
  const others = shared(() => undefined);
  const open = new OpenExchanges(1, 1, others.places);
  const slots = [await open.admit("a"), await open.admit("a"), await open.admit(NO_KEY_NEEDED)];
  const all = { name: "streams", limit: 1 };
  const ofKey = { name: "streams of a", limit: 1 };
  expect(others.asked).toEqual([[all, ofKey], [all, ofKey], [all]]);
  for (const slot of slots) slot.release();
  expect(others.taken()).toBe(0);
});

it.each([
  [0, OF_ALL(7)],
  [1, OF_KEY(3)],
])("says which of the shared limits was met (%i)", async (which, expected) => {
  const open = new OpenExchanges(7, 3, shared(() => which).places);
  const refusal = await Promise.resolve(open.admit("a")).catch((thrown) => thrown);
  expect(`${refusal.code} ${FULL.exec(refusal.message)?.slice(1).join(" ")}`).toBe(expected);
});

it("admits nobody once it drains, also not one whose place came meanwhile", async () => {
  const others = shared(() => undefined);
  const open = new OpenExchanges(9, 0, others.places);
  const late = Promise.resolve(open.admit("a"));
  void open.drain(1_000);
  await expect(late).rejects.toMatchObject(DRAINING);
  expect(others.taken()).toBe(0);
  expect(() => open.admit("a")).toThrow(expect.objectContaining(DRAINING));
  expect(() => new OpenExchanges(9, 0).refuseWhileDraining()).not.toThrow();
});

it("lets what runs come to its end, and tells those that are late why they are ended", async () => {
  const open = new OpenExchanges(9, 0);
  const [quick, slow] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const aborted: unknown[] = [];
  for (const { promise } of [quick, slow]) {
    const abort = (reason: unknown): void => {
      aborted.push(reason);
      slow.resolve();
    };
    (open.admit("a") as Slot).hold({ abort }, promise);
  }
  let hasDrained = false;
  void open.drain(1_000).then(() => {
    hasDrained = true;
  });
  quick.resolve();
  await vi.advanceTimersByTimeAsync(999);
  expect([hasDrained, aborted, open.size]).toEqual([false, [], 1]);
  await vi.advanceTimersByTimeAsync(1);
  expect([hasDrained, open.size]).toEqual([true, 0]);
  expect(aborted).toEqual([
    expect.objectContaining({ code: "draining", message: "Perennial was shut down before the answer was complete" }),
  ]);
  expect(vi.getTimerCount()).toBe(0);
});

it("has settled when those that ran when it was asked have ended, whoever began since", async () => {
  const open = new OpenExchanges(9, 0);
  const [first, second] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  (open.admit("a") as Slot).hold({ abort: () => {} }, first.promise);
  let hasSettled = false;
  void open.settled().then(() => {
    hasSettled = true;
  });
  (open.admit("a") as Slot).hold({ abort: () => {} }, second.promise);
  await vi.advanceTimersByTimeAsync(0);
  expect(hasSettled).toBe(false);
  first.resolve();
  await vi.advanceTimersByTimeAsync(0);
  expect(hasSettled).toBe(true);
});
