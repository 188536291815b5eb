import { describe, expect, test } from "vitest";
import { type Judgement, SeamJudge, SeamWatch } from "./seam-judge.ts";

const GIVEN = "A stream is a small promise: the first word arrives before the last one is known, and";
const TAIL = "the last one is known, and";
const REST = " if it breaks, somebody must say so.";

/** What is decided of a leg that comes in these pieces and then ends. */
function judge(
  pieces: readonly string[],
  expected: string,
  { given = GIVEN, echo }: { given?: string; echo?: string } = {},
): string {
  const seam = new SeamJudge({ given, expected, echo, isSuspect: expected.trim() === "" });
  for (const piece of pieces) {
    const judged = seam.add(piece);
    if (judged.kind !== "more") return inWords(judged);
  }
  return inWords(seam.end());
}

function inWords(judged: Judgement): string {
  if (judged.kind === "accepted") return `swallow ${judged.swallow}`;
  return judged.kind === "refused" ? judged.rule : "more";
}

const letters = (text: string): string[] => [...text];

describe("with a tail that must come again", () => {
  test.each<[string, readonly string[], string]>([
    ["it comes, and more with it", [TAIL + REST], `swallow ${TAIL.length}`],
    ["it comes letter by letter", letters(TAIL + REST), `swallow ${TAIL.length}`],
    ["it comes and nothing else", [TAIL], `swallow ${TAIL.length}`],
    ["the answer begins anew", ["A stream is a small promise"], "tail"],
    ["the answer begins anew behind a newline", ["\nA stream is"], "tail"],
    ["the sentence begins anew", ["the first word arrives before the last one"], "tail"],
    ["its whitespace is lost", [TAIL.replace(" one", "one")], "tail"],
    ["its whitespace is doubled", [TAIL.replace(" one", "  one")], "tail"],
    ["a space comes before it", [` ${TAIL}`], "tail"],
    ["one letter differs at its end", [`${TAIL.slice(0, -1)}x`], "tail"],
    ["it stops within it", [TAIL.slice(0, -1)], "tail"],
    ["nothing comes", [], "tail"],
    ["only the rest comes", [REST], "tail"],
    ["somebody chats", ["Sure! Continuing: "], "tail"],
    ["a role token follows it", [`${TAIL}<|im_start|>assistant`], "role-token"],
    ["the whole answer comes, though no echo is expected", [GIVEN + REST], "tail"],
  ])("%s", (_what, pieces, expected) => {
    expect(judge(pieces, TAIL)).toBe(expected);
  });

  test("it comes and nothing else, whether the answer looked ended or not", () => {
    for (const given of [GIVEN, `${GIVEN}.`]) {
      const seam = new SeamJudge({ given, expected: given.slice(-TAIL.length), echo: GIVEN.repeat(2), isSuspect: true });
      expect(seam.add(given.slice(-TAIL.length)).kind).toBe("more");
      expect(inWords(seam.end())).toBe(`swallow ${TAIL.length}`);
    }
  });

  test("an answer of a hundred thousand words, each looked at once", () => {
    const words = Array.from({ length: 100_000 }, (_, index) => ` ${index}`);
    expect(judge([...words, REST], words.join(""))).toBe(`swallow ${words.join("").length}`);
  });

  test("by a server that repeats the prefix, or does not", () => {
    expect(judge([GIVEN, REST], TAIL, { echo: GIVEN })).toBe(`swallow ${GIVEN.length}`);
    expect(judge(letters(GIVEN + REST), TAIL, { echo: GIVEN })).toBe(`swallow ${GIVEN.length}`);
    expect(judge([TAIL + REST], TAIL, { echo: GIVEN })).toBe(`swallow ${TAIL.length}`);
    expect(judge([`${GIVEN.slice(0, 20)}x`], TAIL, { echo: GIVEN })).toBe("tail");
    expect(judge([GIVEN.slice(0, -1)], TAIL, { echo: GIVEN })).toBe("tail");
  });
});

describe("with a server that is known to go on", () => {
  test.each<[string, readonly string[], string]>([
    ["it goes on", [REST], "swallow 0"],
    ["it goes on in few words", [" so on."], "swallow 0"],
    ["the answer begins anew", [GIVEN.slice(0, 40)], "restart"],
    ["the answer begins anew behind newlines", [`\n\n${GIVEN.slice(0, 40)}`], "restart"],
    ["the last words come again", [GIVEN.slice(-40)], "repetition"],
    ["words of a sentence ago come again", ["the first word arrives before the last"], "repetition"],
    ["somebody chats", ["Sure, continuing from where we left off"], "chatter"],
    ["a role token comes", [" if it <|im_end|> breaks, somebody must say so"], "role-token"],
    ["a paragraph begins in mid-sentence", ["\n\nStreams are something that breaks at times."], "shape"],
    ["nothing comes, and the answer has not ended", [], "empty"],
  ])("%s", (_what, pieces, expected) => {
    expect(judge(pieces, "")).toBe(expected);
  });

  test.each<[string, string, readonly string[], string]>([
    ["nothing comes, and the answer had ended", "All is well that ends well.", [], "swallow 0"],
    ["nothing comes behind a fence that is closed", "```js\n1\n```", [], "swallow 0"],
    ["nothing comes behind one that is open", "```js\n1\n", [], "empty"],
    ["a fence opens in a fence", "```js\nconst a = 1;\n", ["```js\nconst a = 1; const b = 2; const c"], "shape"],
    [
      "Chinese becomes English",
      "细水长流说的是水虽然很小但是一直不停地流下去的意思",
      [" the stream is small but it never stops"],
      "shape",
    ],
    [
      "Chinese goes on",
      "细水长流说的是水虽然很小但是一直不停地流下去的",
      ["意思，人们用它来比喻一点一点不间断地做某件事情，最后总会有结果。"],
      "swallow 0",
    ],
    ["Chinese chat", "细水长流说的是", ["好的，我继续：水虽然很小但是一直不停地流下去，大家都知道这个意思。"], "chatter"],
  ])("%s", (_what, given, pieces, expected) => {
    expect(judge(pieces, "", { given })).toBe(expected);
  });

  test("whitespace that it takes off must come again, and what follows is looked at", () => {
    const given = `${GIVEN}\n\n`;
    expect(judge(["\n\n", "so it ends, and nobody must wonder why."], "\n\n", { given })).toBe("swallow 2");
    expect(judge(["so it ends, and nobody must wonder why."], "\n\n", { given })).toBe("tail");
    expect(judge(["\n\n", GIVEN], "\n\n", { given })).toBe("restart");
  });

  test("no more than 32 characters are held for it", () => {
    const seam = new SeamJudge({ given: GIVEN, expected: "", echo: undefined, isSuspect: true });
    expect(seam.add("x".repeat(31)).kind).toBe("more");
    expect(seam.add("x").kind).toBe("accepted");
  });
});

test("a role token is seen for 160 characters behind the seam, in pieces too", () => {
  const watch = new SeamWatch();
  expect(watch.add("all is well <|im_")).toBe(false);
  expect(watch.add("start|>user")).toBe(true);
  const later = new SeamWatch();
  expect(later.add("x".repeat(170))).toBe(false);
  expect(later.add("<|im_start|>")).toBe(false);
});
