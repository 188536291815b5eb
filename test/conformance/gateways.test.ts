/** The published tables of gateways: they are written between markers, and say the same on every page. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { replaceBlock } from "./blocks.ts";

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");

test("a block is written between its markers, and the rest stays", () => {
  const text = "a\n<!-- one: by a command -->\n\nold\n\n<!-- /one -->\nb\n";
  expect(replaceBlock(text, "one", "new")).toBe("a\n<!-- one: by a command -->\n\nnew\n\n<!-- /one -->\nb\n");
  expect(() => replaceBlock("a\nb\n", "one", "new")).toThrow("no block <!-- one");
});

test("the pages of both languages publish the same scores, Perennial's among them", () => {
  const [long, ...short] = ["docs/compare.md", "docs/compare.zh-CN.md", "README.md", "README.zh-CN.md"].map((path) => {
    const block = /<!-- gateways:.*?<!-- \/gateways -->/s.exec(read(path))?.[0] ?? "";
    return block.split("\n").flatMap((line) => {
      const [, , notMisled, delivered] = line.split("|").map((cell) => cell.replaceAll("*", "").trim());
      return /^\d|service|服务/.test(notMisled ?? "")
        ? [[Number.parseFloat(notMisled ?? ""), Number.parseFloat(delivered ?? "")]]
        : [];
    });
  });
  expect(long?.length).toBeGreaterThan(3);
  expect(long).toContainEqual([100, 100]);
  for (const scores of short) expect(scores).toEqual(long);
});
