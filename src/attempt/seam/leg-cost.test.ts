import { describe, expect, test } from "vitest";
import { paidTwiceBy } from "../../core/attempt.ts";
import { continueChat } from "../../dialect/continue-chat.ts";
import { legCost } from "./leg-cost.ts";

const WORDS = ["One answer", " of four", " words", ", 水🌊"];

/** @param counts whether the upstream counts with each event. */
function given(counts: boolean) {
  const record = continueChat.record();
  for (const [index, content] of WORDS.entries()) {
    const usage = counts ? { usage: { prompt_tokens: 9, completion_tokens: index + 1 } } : {};
    record.add({ event: undefined, data: JSON.stringify({ id: "c", choices: [{ index: 0, delta: { content } }], ...usage }) });
  }
  return record;
}

const cut = (from: number, counts: boolean) => ({
  prefix: WORDS.slice(0, from).join(""),
  tail: WORDS.slice(from).join(""),
  tokens: counts ? from : undefined,
  isTelling: true,
});

describe("what a leg costs again", () => {
  test.each([
    ["the prompt by its length, and the tail by its own", cut(3, false), false, undefined, 100 + 3, "estimate"],
    ["the prompt as it was counted, and the tail by its length", cut(3, false), false, 20, 20 + 3, "estimate"],
    ["both as they were counted", cut(2, true), true, 20, 20 + 2, "usage"],
    ["the prompt alone, where no words must come again", cut(4, false), false, 20, 20, "usage"],
    ["the whole answer by its length", undefined, false, undefined, 100 + 9, "estimate"],
    ["the whole answer as it was counted", undefined, true, 9, 9 + 4, "usage"],
  ] as const)("%s", (_what, at, counts, promptTokens, tokens, from) => {
    expect(legCost(given(counts), at, 400)(promptTokens)).toEqual({ tokens, from });
  });

  test("is summed over all legs, and counted only where each was", () => {
    const attempt = { number: 1, upstream: "a", startedAt: 0, durationMs: 0, failure: undefined, status: 200 };
    const counted = { ...attempt, paidTwice: { tokens: 5, from: "usage" } } as const;
    const guessed = { ...attempt, paidTwice: { tokens: 7, from: "estimate" } } as const;
    expect([[attempt], [attempt, counted], [attempt, counted, guessed]].map(paidTwiceBy)).toEqual([
      undefined,
      { tokens: 5, from: "usage" },
      { tokens: 12, from: "estimate" },
    ]);
  });
});
