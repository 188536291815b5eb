import { expect, it } from "vitest";
import type { Exchange, ExchangeEnd } from "../core/exchange.ts";
import type { Refusal } from "../core/observer.ts";
import type { Outcome } from "../core/outcome.ts";
import { createTally } from "./tally.ts";

function summaryOf(...outcomes: Outcome[]): string | undefined {
  const tally = createTally();
  for (const outcome of outcomes) tally.observer.onExchangeEnd?.({} as Exchange, { outcome } as ExchangeEnd);
  return tally.summary();
}

it("says how many answers there were, and what was saved", () => {
  expect(summaryOf("complete", "recovered", "recovered", "repaired")).toBe(
    "4 answers: 2 recovered, 1 repaired; nothing was lost in silence",
  );
  expect(summaryOf("complete")).toBe("1 answer; nothing was lost in silence");
});

it("does not hide what failed", () => {
  expect(summaryOf("complete", "failed", "interrupted", "cancelled")).toBe(
    "1 answer; 1 failed, 1 interrupted, and told so; 1 cancelled by its client; nothing was lost in silence",
  );
});

it("counts refusals, and says nothing where nothing was asked", () => {
  const tally = createTally();
  expect(tally.summary()).toBeUndefined();
  tally.observer.onRejected?.({ failure: "not_found" } as Refusal);
  expect(tally.summary()).toBe("0 answers; 1 rejected, and told so; nothing was lost in silence");
});
