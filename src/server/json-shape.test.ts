import { expect, it } from "vitest";
import { checkJsonShape } from "./json-shape.ts";

const nested = (depth: number, [opens, closes]: readonly [string, string]): string => opens.repeat(depth) + closes.repeat(depth);
const list = (count: number, value: string): string => `[${`${value},`.repeat(count - 1)}${value}]`;
const keys = (count: number): string => `{${'"":0,'.repeat(count - 1)}"":0}`;
/** What would be far too deep if it were not in a string. */
const DEEP = "[{".repeat(150);

it.each<[string, string, string | undefined]>([
  ["200 levels", nested(200, ["[", "]"]), undefined],
  ["201 lists", nested(201, ["[", "]"]), "is nested more than 200 levels deep"],
  ["201 objects", nested(201, ['{"a":', "}"]), "is nested more than 200 levels deep"],
  ["what closes what it opens", list(300, '[{"a":[]}]'), undefined],
  ["250,000 containers", list(249_999, "{}"), undefined],
  ["one more", list(250_000, "[]"), "holds more than 250000 objects and arrays"],
  ["300,000 fields", keys(300_000), undefined],
  ["one field more", keys(300_001), "holds more than 300000 fields"],
  ["4,000,001 values", list(4_000_001, "1"), undefined],
  ["one value more", list(4_000_002, "10"), "holds more than 4000000 values"],
  ["numbers in front of what counts", list(9, `19${nested(200, ["[", "]"])}`), "is nested more than 200 levels deep"],
  ["spaces in front of what counts", nested(201, ["   [", "   ]"]), "is nested more than 200 levels deep"],
])("counts %s", (_what, text, refusal) => {
  const check = (): void => checkJsonShape(Buffer.from(text));
  if (refusal === undefined) return expect(check).not.toThrow();
  expect(check).toThrow(expect.objectContaining({ code: "invalid_request", message: `The request body ${refusal}.` }));
});

/** A string of so many characters with this somewhere in it, and then what is too deep. */
const strings = [1, 30, 63, 64, 65, 100, 200].flatMap((length) =>
  ["", '\\"', "\\\\", '\\\\\\"', '\\\\\\\\\\"', '\\"a\\"', `\\"${"b".repeat(70)}\\\\`].map(
    (inside) => [length, inside, `"${"a".repeat(length)}${inside}${DEEP}"`] as const,
  ),
);

it("counts nothing within a string, and all behind it, wherever it escapes its quotes", () => {
  for (const [length, inside, string] of strings) {
    const seen = [string, `${string},${DEEP}`, `{${string}:${DEEP}`].map((text) => {
      try {
        checkJsonShape(Buffer.from(text));
        return "fine";
      } catch {
        return "refused";
      }
    });
    expect([length, inside, ...seen]).toEqual([length, inside, "fine", "refused", "refused"]);
  }
  // One that does not end counts to the end.
  expect(() => checkJsonShape(Buffer.from(`"${DEEP}`))).not.toThrow();
  expect(() => checkJsonShape(Buffer.from(`"${DEEP}\\"`))).not.toThrow();
});
