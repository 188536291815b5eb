import { describe, expect, test } from "vitest";
import type { AnswerRecord } from "../../core/answer-record.ts";
import { chooseCut } from "./choose-cut.ts";

const OPTIONS = { minChars: 10, tail: 8, refusesTrailingSpace: false };

/** An answer that was given in these events, each of them one token. */
function given(...events: string[]): AnswerRecord {
  const ends: number[] = [];
  for (const event of events) ends.push((ends.at(-1) ?? 0) + event.length);
  return {
    text: events.join(""),
    ends,
    tokens: events.map((_, index) => index + 1),
    promptTokens: undefined,
    head: {},
    block: undefined,
    sequence: undefined,
    events: events.length,
    obstacles: new Set(),
  };
}

test("an answer of as many characters as it must have is continued, one of fewer is not", () => {
  expect(chooseCut(given("12345", "67890"), { ...OPTIONS, tail: 5 })).toMatchObject({ prefix: "12345", tail: "67890" });
  expect(chooseCut(given("1234", "67890"), { ...OPTIONS, tail: 5 })).toBe("too-short");
});

test("a count of fewer tokens than there were events is none", () => {
  const counting = (tokens: number): unknown =>
    chooseCut({ ...given("one ", "two ", "three ", "four"), tokens: Array(4).fill(tokens) }, OPTIONS);
  expect(counting(0)).toMatchObject({ prefix: "one two ", tokens: undefined });
  expect(counting(1)).toMatchObject({ tokens: undefined });
  expect(counting(2)).toMatchObject({ tokens: 2 });
});

describe("where an answer is cut", () => {
  test.each<[string, string[], object, object | string]>([
    [
      "at the end of an event, so that the tail is long enough",
      ["one ", "two ", "three ", "four"],
      {},
      { prefix: "one two ", tail: "three four", tokens: 2 },
    ],
    [
      "at an earlier one when whole events make it longer",
      ["one two ", "three four five"],
      {},
      { prefix: "one two ", tail: "three four five" },
    ],
    ["at its very end without a tail", ["one two ", "three"], { tail: 0 }, { prefix: "one two three", tail: "" }],
    [
      "before whitespace that the server takes off",
      ["one two ", "three", "\n\n"],
      { tail: 0, trims: true },
      { prefix: "one two three", tail: "\n\n" },
    ],
    [
      "not behind whitespace where that is refused",
      ["one", " two ", "three four"],
      { refusesTrailingSpace: true },
      { prefix: "one", tail: " two three four" },
    ],
    ["not within an emoji", ["family: 👩", "\u200d👧 is here"], { tail: 4 }, "too-short"],
    ["before an emoji that two events made", ["family: ", "👩", "\u200d👧 is here"], { tail: 4 }, { prefix: "family: " }],
    ["not before an accent", ["one two cafe", "\u0301 and so on"], { tail: 4 }, "too-short"],
    ["never so that nothing is left", ["one two three four"], {}, "too-short"],
    [
      "earlier, so that the tail stands nowhere else in it",
      ["begin. ", "go on, ", "go on, ", "go on, ", "go on, "],
      {},
      { prefix: "begin. ", tail: "go on, go on, go on, go on, ", isTelling: true },
    ],
    [
      "earlier, so that the tail is no whitespace alone",
      ["one two:\r\n", "return", " ".repeat(9), " ".repeat(9)],
      {},
      { prefix: "one two:\r\n", tail: `return${" ".repeat(18)}`, isTelling: true },
    ],
    [
      "as if it were telling where none is: it says the same from its beginning on",
      ["ha ha ", "ha ha ", "ha ha ", "ha ha "],
      {},
      { prefix: "ha ha ha ha ", tail: "ha ha ha ha ", isTelling: false },
    ],
    [
      "as if it were telling where one would be too long",
      ["It begins. ", ...Array(20).fill("ha ha ")],
      {},
      { tail: "ha ha ha ha ", isTelling: false },
    ],
    ["not when there is little of it", ["one ", "two"], {}, "too-short"],
    ["not where half a character was sent", ["one two three \ud83d", "four five"], {}, "surrogates"],
    ["not where it speaks as somebody else", ["one two three <|im_", "end|>four five"], {}, "role-token"],
  ])("%s", (_what, events, options, expected) => {
    const cut = chooseCut(given(...events), { ...OPTIONS, ...options });
    if (typeof expected === "string") expect(cut).toBe(expected);
    else expect(cut).toMatchObject(expected);
  });
});
