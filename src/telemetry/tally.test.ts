import { expect, it } from "vitest";
import type { Exchange, ExchangeEnd } from "../core/exchange.ts";
import type { Refusal } from "../core/observer.ts";
import type { Outcome } from "../core/outcome.ts";
import { createTally, summarize } from "./tally.ts";

function summaryOf(...outcomes: Outcome[]): string | undefined {
  const tally = createTally();
  for (const outcome of outcomes) tally.observer.onExchangeEnd?.({} as Exchange, { outcome } as ExchangeEnd);
  return summarize(tally.counts);
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
  expect(summarize(tally.counts)).toBeUndefined();
  tally.observer.onRejected?.({ failure: "not_found" } as Refusal);
  expect(summarize(tally.counts)).toBe("0 answers; 1 rejected, and told so; nothing was lost in silence");
});

it("sums what several processes have counted", () => {
  const [one, other] = [createTally(), createTally()];
  one.observer.onExchangeEnd?.({} as Exchange, { outcome: "recovered" } as ExchangeEnd);
  other.observer.onExchangeEnd?.({} as Exchange, { outcome: "complete" } as ExchangeEnd);
  expect(summarize(one.counts, other.counts)).toBe("2 answers: 1 recovered; nothing was lost in silence");
});
