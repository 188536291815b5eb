import { expect, test } from "vitest";
import { type LostData, LostDataFinder } from "./lost-data.ts";

test.each<[string, string, readonly LostData[]]>([
  ["by a blank line", "event: a\n\n", [{ name: "a", from: 9, to: 10 }]],
  ["by one of two bytes", "event: a\r\n\r\n", [{ name: "a", from: 10, to: 12 }]],
  ["by one of the other byte", "event: a\r\rdata: 1\r\r", [{ name: "a", from: 9, to: 10 }]],
  [
    "in its place among others",
    "event: a\ndata: 1\n\nevent: b\n\nevent: c\n\n",
    [
      { name: "b", from: 27, to: 28 },
      { name: "c", from: 37, to: 38 },
    ],
  ],
  ["also with an id and a comment", "event: a\nid: 1\n: c\n\n", [{ name: "a", from: 19, to: 20 }]],
  ["though a field's name begins as data does", "event: a\ndatax: 1\n\n", [{ name: "a", from: 18, to: 19 }]],
  ["by the last of its names", "event: a\nevent: b\n\n", [{ name: "b", from: 18, to: 19 }]],
  ["not where there is data", "event: a\ndata: 1\n\n", []],
  ["not where the data is empty", "event: a\ndata\n\n", []],
  ["not without a name", "event:\n\nevent: \n\n", []],
  ["not before its end", "event: a\n", []],
])("an event without data is found %s", (_where, text, found) => {
  expect(new LostDataFinder().find(text, true)).toEqual(found);
});

test.each<[string, readonly (readonly [text: string, startsLine: boolean])[], readonly LostData[]]>([
  [
    "its blank line comes alone",
    [
      ["event: a\n", true],
      ["\n", true],
    ],
    [{ name: "a", from: 0, to: 1 }],
  ],
  [
    "its line end is split",
    [
      ["event: a\r", true],
      ["\n\n", true],
    ],
    [{ name: "a", from: 1, to: 2 }],
  ],
  [
    "nothing comes between the halves of a line end",
    [
      ["event: a\r", true],
      ["", true],
      ["\n\n", true],
    ],
    [{ name: "a", from: 1, to: 2 }],
  ],
  [
    "a line goes on",
    [
      ["event: a\nid: ", true],
      ["data: 1\n\n", false],
    ],
    [{ name: "a", from: 8, to: 9 }],
  ],
  [
    "its data comes later",
    [
      ["event: a\n", true],
      ["data: 1\n\n", true],
    ],
    [],
  ],
])("an event without data is found where %s", (_where, reads, found) => {
  const finder = new LostDataFinder();
  expect(reads.flatMap(([text, startsLine]) => finder.find(text, startsLine))).toEqual(found);
});
