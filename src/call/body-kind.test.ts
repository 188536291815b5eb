import { expect, test } from "vitest";
import { bodyKindOf } from "./body-kind.ts";

const kindOf = (text: string) => bodyKindOf(Buffer.from(text));

test.each([
  [
    "stream",
    ["data: {", "data:{", "event: x", "id: 1", "id\n", "retry: 5", ": ping", ":", "data\r\n", "error: {", "\r\n\r\n data:"],
  ],
  ["json", ["{", '{"id"', "[", '"text"', "null", "nullable", "true", "false", "42", "-1", " \n\t{", "\ufeff{", "\ufeff\n\n{"]],
  ["page", ["<", "<!DOCTYPE html>", "\n\n<html>", "\ufeff<?xml"]],
  ["other", ["Internal Server Error", "datum", "data {", "eventually", "idle", "error 42", "nu11", "你好", "\u0000"]],
])("a body is a %s by its first bytes", (kind, starts) => {
  for (const start of starts) expect([start, kindOf(start)]).toEqual([start, kind]);
});

test.each(["", "\n", " \r\n", "\ufeff", "\ufeff\n", "d", "dat", "data", "e", "er", "error", "i", "r", "n", "nul", "t", "f"])(
  "%j is too little to tell",
  (start) => {
    expect(kindOf(start)).toBeUndefined();
  },
);

test("half a byte order mark is too little to tell", () => {
  expect(bodyKindOf(Buffer.from([0xef]))).toBeUndefined();
  expect(bodyKindOf(Buffer.from([0xef, 0xbb]))).toBeUndefined();
  expect(bodyKindOf(Buffer.from([0xef, 0xbc, 0x9a]))).toBe("other");
});
