import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Ledger, type LedgerCharge } from "./ledger.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["performance"] }));
afterEach(() => void vi.useRealTimers());

const places = (limit: number, name = "streams"): LedgerCharge => ({ name, limit, perMs: undefined, amount: 1 });
const perMinute = (limit: number, amount = 1): LedgerCharge => ({ name: "tokens", limit, perMs: 60_000, amount });
const taken = (answer: ReturnType<Ledger<string>["take"]>): readonly number[] => ("taken" in answer ? answer.taken : []);

it("gives all workers together as many places as there are, whichever of them asks", () => {
  const ledger = new Ledger<string>();
  const owners = ["a", "b", "a", "a", "b", "b", "c"];
  const given = owners.flatMap((owner) => taken(ledger.take(owner, [places(4)])).map((number) => ({ owner, number })));
  expect(given.map(({ owner }) => owner)).toEqual(["a", "b", "a", "a"]);
  expect(ledger.take("b", [places(4)])).toEqual({ waitsMs: [Number.POSITIVE_INFINITY] });
  // What one gives back another may have, at once and once.
  ledger.settle("a", { taken: given[0]?.number ?? 0, isOver: true });
  ledger.settle("a", { taken: given[0]?.number ?? 0, isOver: true });
  expect(taken(ledger.take("b", [places(4)]))).toHaveLength(1);
  expect(taken(ledger.take("b", [places(4)]))).toHaveLength(0);
  // Nobody gives back what another has.
  ledger.settle("b", { taken: given[2]?.number ?? 0, isOver: true });
  expect(taken(ledger.take("b", [places(4)]))).toHaveLength(0);
});

it("takes of all limits or of none, and says which has no room", () => {
  const ledger = new Ledger<string>();
  ledger.take("a", [places(1, "key")]);
  expect(ledger.take("b", [places(2), places(1, "key")])).toEqual({ waitsMs: [0, Number.POSITIVE_INFINITY] });
  expect(taken(ledger.take("b", [places(2)]))).toHaveLength(1);
  expect(taken(ledger.take("b", [places(2)]))).toHaveLength(1);
});

it("frees the places of a worker that has died, but not what it had sent", () => {
  const ledger = new Ledger<string>();
  for (let n = 0; n < 3; n++) ledger.take("a", [places(3), perMinute(3)]);
  expect(taken(ledger.take("b", [places(3)]))).toHaveLength(0);
  ledger.forget("a");
  expect(taken(ledger.take("b", [places(3)]))).toHaveLength(1);
  expect(ledger.take("b", [perMinute(3)])).toMatchObject({ waitsMs: [expect.any(Number)] });
  vi.advanceTimersByTime(61_000);
  expect(taken(ledger.take("b", [perMinute(3)]))).toHaveLength(1);
});

it("corrects what was taken of a window, and follows a limit that a new configuration has changed", () => {
  const ledger = new Ledger<string>();
  const [number = 0] = taken(ledger.take("a", [perMinute(100, 80)]));
  expect(ledger.take("b", [perMinute(100, 30)])).toHaveProperty("waitsMs");
  ledger.settle("a", { taken: number, amount: 10 });
  ledger.settle("a", { taken: number, isOver: true });
  expect(ledger.take("b", [perMinute(100, 30)])).toHaveProperty("taken");
  expect(ledger.take("b", [perMinute(50, 30)])).toHaveProperty("waitsMs");
});
