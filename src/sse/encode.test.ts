/** The bytes that clients get. */
import { expect, test } from "vitest";
import { encodeComment, encodeData, encodeNamed, encodeUnnamed, KEEP_ALIVE, KEEP_ALIVE_LINE } from "./encode.ts";

test("events and comments as they are written", () => {
  expect([encodeData("{}"), encodeData(""), encodeData("a\n\nb\n")]).toEqual([
    "data: {}\n\n",
    "data: \n\n",
    "data: a\ndata: \ndata: b\ndata: \n\n",
  ]);
  expect(encodeNamed("error", "1\n2")).toBe("event: error\ndata: 1\ndata: 2\n\n");
  expect([encodeComment("late", false), encodeComment("late", true)]).toEqual([": late\n\n", ": late\n"]);
  expect([KEEP_ALIVE, KEEP_ALIVE_LINE]).toEqual([": keep-alive\n\n", ": keep-alive\n"]);
});

test("an event without its name is its own bytes only where it came without one", () => {
  const bytes = Buffer.from("data:  {}\n\n");
  expect(encodeUnnamed({ event: undefined, data: "{}", characters: undefined, bytes })).toBe(bytes);
  expect(encodeUnnamed({ event: undefined, data: "{}", characters: undefined })).toBe("data: {}\n\n");
  expect(encodeUnnamed({ event: "a", data: "{}", characters: undefined, bytes })).toBe("data: {}\n\n");
});
