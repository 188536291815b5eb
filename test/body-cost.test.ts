/** What the edge does to a body before it is parsed costs no more than parsing it: twice one JSON.parse in all. */
import { isUtf8 } from "node:buffer";
import { expect, test } from "vitest";
import { checkJsonShape } from "../src/server/json-shape.ts";

const BYTES = 3_000_000;
const many = (item: unknown): string => {
  const text = JSON.stringify(item);
  return `{"stream":true,"x":[${Array(Math.min(80_000, Math.floor(BYTES / text.length)))
    .fill(text)
    .join(",")}]}`;
};
const message = (content: string): object => ({ role: "user", content });

/** The shortest of several, in turn with the other: what else the machine does hits both. */
function shortest(rounds: number, ours: () => void, theirs: () => void): [number, number] {
  const least: [number, number] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let round = 0; round < rounds; round++) {
    for (const [which, run] of [ours, theirs].entries()) {
      const began = performance.now();
      run();
      least[which] = Math.min(least[which] as number, performance.now() - began);
    }
  }
  return least;
}

test.each([
  ["a picture in base64", JSON.stringify(message("QUJD".repeat(BYTES / 4)))],
  ["a long text in Chinese", JSON.stringify(message("细水长流".repeat(BYTES / 12)))],
  ["long messages", many(message("Hello there, how are you doing today? ".repeat(20)))],
  ["code, with its quotes and line breaks", many(message('  if (a == "b") {\n\treturn "c";\n}\n'.repeat(40)))],
  ["short messages", many(message("hi"))],
  ["token numbers", many(50_256)],
  ["indented JSON", JSON.stringify(Array(30_000).fill(message("hi")), null, 4)],
])("%s", { retry: 4 }, (_what, text) => {
  const bytes = Buffer.from(text);
  const [ours, theirs] = shortest(
    12,
    () => {
      isUtf8(bytes);
      checkJsonShape(bytes);
    },
    () => JSON.parse(bytes.toString("utf8")),
  );
  expect(ours).toBeLessThan(theirs);
});
