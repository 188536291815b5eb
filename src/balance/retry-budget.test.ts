import { expect, test } from "vitest";
import { RetryBudget } from "./retry-budget.ts";

function budgetAt() {
  const clock = { now: 100_000 };
  return { clock, budget: new RetryBudget(() => clock.now) };
}

const countTaken = (budget: RetryBudget, tries: number, policy: { percent: number; min: number }): number =>
  Array.from({ length: tries }, () => budget.take(policy)).filter(Boolean).length;

test("so many are always allowed, then a share of the requests", () => {
  const { budget } = budgetAt();
  expect(countTaken(budget, 50, { percent: 20, min: 3 })).toBe(3);
  for (let count = 0; count < 100; count++) budget.request(false);
  expect(countTaken(budget, 50, { percent: 20, min: 3 })).toBe(17);
});

test("what was counted more than ten seconds ago counts no more", () => {
  const { budget, clock } = budgetAt();
  expect(countTaken(budget, 9, { percent: 20, min: 2 })).toBe(2);
  clock.now += 9_000;
  expect(countTaken(budget, 9, { percent: 20, min: 2 })).toBe(0);
  clock.now += 1_000;
  expect(countTaken(budget, 9, { percent: 20, min: 2 })).toBe(2);
});

test("a retry of the client's own takes from it", () => {
  const { budget } = budgetAt();
  for (let count = 0; count < 3; count++) budget.request(true);
  expect(countTaken(budget, 9, { percent: 20, min: 4 })).toBe(1);
});

test("none at all where nothing is allowed", () => {
  const { budget } = budgetAt();
  budget.request(false);
  expect(countTaken(budget, 9, { percent: 0, min: 0 })).toBe(0);
});
