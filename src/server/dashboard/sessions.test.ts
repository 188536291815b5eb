import { expect, it } from "vitest";
import { createSessions, readCookie } from "./sessions.ts";

it("gives each key a token that opens as long as the key is one, and none to what is no key", () => {
  const sessions = createSessions(["first", "second"]);
  const [first, second] = [sessions.open("first"), sessions.open("second")];
  expect([first, second].map((token) => [token?.length, sessions.isOpen(token)])).toEqual([
    [43, true],
    [43, true],
  ]);
  expect(first).not.toBe(second);
  expect(createSessions(["first"]).open("first")).toBe(first);
  expect(createSessions(["first"]).isOpen(second)).toBe(false);
  expect([sessions.open("third"), sessions.open("")]).toEqual([undefined, undefined]);
  for (const token of [undefined, "", "first", `${first}A`, first?.slice(1)]) expect(sessions.isOpen(token)).toBe(false);
  expect([sessions.needed, createSessions([]).needed, createSessions([]).isOpen("")]).toEqual([true, false, false]);
});

it.each([
  ["a=1", "1"],
  ["b=2; a=1;c=3", "1"],
  ["xa=2;  a=1=1", "1"],
  ["a=; a=2", ""],
  ["ax=1", undefined],
  ["", undefined],
  [undefined, undefined],
])("reads a cookie from %j", (header, expected) => {
  expect(readCookie(header, "a")).toBe(expected);
});
