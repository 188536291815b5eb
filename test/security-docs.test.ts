/** docs/security.md names the test that holds each line; this holds the names. */
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

const root = new URL("../", import.meta.url);
const doc = readFileSync(new URL("docs/security.md", root), "utf8");
const held = doc
  .split("\n")
  .filter((line) => line.startsWith("|"))
  .map((line) => line.split("|").at(-2) ?? "");

test("every test that docs/security.md names is there", () => {
  const tests = readdirSync(new URL("test/", root))
    .filter((file) => file.endsWith(".test.ts"))
    .map((file) => readFileSync(new URL(`test/${file}`, root), "utf8"))
    .join("\n");
  const names = held.flatMap((cell) => [...cell.matchAll(/(?<!\w)_([^_]+)_(?!\w)/g)].map(([, name = ""]) => name));
  const files = held.flatMap((cell) => [...cell.matchAll(/`([^`]+\.ts)`/g)].map(([, file = ""]) => file));
  expect(names.length).toBeGreaterThan(25);
  expect(names.filter((name) => !tests.includes(name))).toEqual([]);
  for (const file of files) expect(readFileSync(new URL(file, root), "utf8")).not.toBe("");
});
