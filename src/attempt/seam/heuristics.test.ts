/** What a wrong second leg often looks like, and what a right one may look like. */
import { describe, expect, test } from "vitest";
import { looksEnded, suspect } from "./heuristics.ts";
import { findRoleToken } from "./role-tokens.ts";

const GIVEN = "The quick brown fox jumps over the lazy dog, and then it goes on to say that";

describe("the first words of a leg", () => {
  test.each<[what: string, given: string, head: string, rule: string | undefined]>([
    ["that go on", GIVEN, " nobody has ever seen it do so", undefined],
    ["that begin the answer anew", GIVEN, "The quick brown fox jumps", "restart"],
    ["that do so behind a space", `  ${GIVEN}`, "\n The quick brown fox jumps", "restart"],
    ["too few to tell", GIVEN, "The quick brown fox jum", undefined],
    ["said a moment ago", GIVEN, "fox jumps over the lazy dog", "repetition"],
    ["said long ago", `${GIVEN}${". More".repeat(60)}`, "fox jumps over the lazy dog", undefined],
    ["that speak about it", GIVEN, "Sure, here is the rest", "chatter"],
    ["that speak about it in Chinese", "它说", "好的，继续", "chatter"],
    ["that begin with such a word in its place", GIVEN, "okayish things happen", undefined],
    ["that speak where a sentence has ended", "It is so.", "Sure, it is so", undefined],
    ["that speak behind a quote that has ended", 'It is "so."', "Sure, it is so", undefined],
    ["that speak behind a colon", "It is so:  ", "Okay, it is so", undefined],
    ["that open a fence within one", "Look:\n```ts\nlet a", "```js\nlet b", "shape"],
    ["that close a fence", "Look:\n```ts\nlet a", "\n```\nAnd then", undefined],
    ["that open a fence behind one", "```ts\na\n```\n", "```js\nlet b", undefined],
    ["that begin a paragraph within a word", "and so", " \n\nThe next paragraph", "shape"],
    ["that begin a paragraph behind a sentence", "and so.", " \n\nThe next paragraph", undefined],
    ["that go on in small letters behind a blank line", "and so", "\n\nthe next", undefined],
    ["that speak another language", "敏捷的棕色狐狸跳过了那只懒狗然后", " jumps over the lazy dog and", "shape"],
    ["with a name in Latin letters", "敏捷的棕色狐狸跳过了那只懒狗然后", " jumps over the lazy dog 和", undefined],
    ["of a few words in Latin letters", "敏捷的棕色狐狸跳过了那只懒狗然后", " jumps 1 2 3 4 5 6 7 8 9 0 1", undefined],
    ["in Latin letters behind as many", "敏捷的棕色 abcde", " jumps over the lazy dog and", undefined],
    ["that are short", "敏捷的棕色狐狸跳过了那只懒狗然后", " the fox and the dog", undefined],
  ])("%s", (_what, given, head, rule) => {
    expect(suspect(given, head)).toBe(rule);
  });
});

test("an answer looks ended behind the end of a sentence, or of a fence", () => {
  for (const end of [
    "It is so.",
    "Is it?",
    "Yes!  \n",
    "And…",
    "好。",
    '"It is so."',
    "(It is so.)",
    "**It is so.**",
    "```\na\n```",
  ])
    expect([end, looksEnded(end)]).toEqual([end, true]);
  for (const end of ["It is", "3.14", "e.g. this", "It is,", "", "  .a", "```ts\na", "a\n```"])
    expect([end, looksEnded(end)]).toEqual([end, false]);
});

test("words with which templates say who speaks are found in any case, and those of templates that are not known", () => {
  for (const text of ["a<|im_end|>", "<|IM_START|>user", "[INST] x", "</s>", "<|foo_bar|>", "<｜User｜>", "a<think>"])
    expect([text, findRoleToken(text)]).toEqual([text, expect.any(String)]);
  expect([findRoleToken("a <|foo_bar|> b"), findRoleToken(`<|${"a".repeat(30)}|>`)]).toEqual([
    "<|foo_bar|>",
    `<|${"a".repeat(30)}|>`,
  ]);
  for (const text of ["a", "a < b [c]", "<|a|>", "<|Foo-1|>", `<|${"a".repeat(31)}|>`, "<|>", "<|12|>", "im_start"])
    expect([text, findRoleToken(text)]).toEqual([text, undefined]);
});
