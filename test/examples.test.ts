/** The documents show the examples as they are, and the one that is in another language works, too. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { findFault } from "../src/chaos/registry.ts";
import { PROGRAM_LIMIT_MS } from "./support/program-env.ts";

const root = new URL("../", import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, root), "utf8");
const path = (file: string): string => fileURLToPath(new URL(file, root));
const doc = read("docs/chaos.md");
const blocksOf = (text: string): (string | undefined)[] =>
  [...text.matchAll(/^```(?:ts|python)\n(.*?)^```/gms)].map(([, code]) => code);

test.each([
  ["docs/chaos.md", "examples/chaos/vitest.test.ts"],
  ["docs/chaos.md", "examples/chaos/jest.test.ts"],
  ["docs/chaos.md", "examples/chaos/test_chaos.py"],
  ["docs/embedding.md", "examples/embed/fetch.test.ts"],
  ["docs/embedding.md", "examples/embed/plugin.test.ts"],
])("%s has %s as it is", (page, file) => {
  expect(blocksOf(read(page))).toContain(read(file));
});

test("docs/chaos.md names only faults that there are", () => {
  const specs = [...doc.matchAll(/chaos\/([a-z0-9:+-]+)/g)].map(([, spec = ""]) => spec);
  const names = specs.flatMap((spec) => spec.split("+")).map((step) => step.split(":", 1)[0] ?? "");
  expect(names.length).toBeGreaterThan(5);
  expect(
    names.filter((name) => findFault(name) === undefined && !["vitest", "jest", "test_chaos", "faults", "test"].includes(name)),
  ).toEqual([]);
});

const hasPytest = spawnSync("python3", ["-c", "import pytest"]).status === 0;

test.skipIf(!hasPytest)("the example for pytest passes", () => {
  const env = { ...process.env, PERENNIAL_CHAOS: `"${process.execPath}" "${path("src/chaos-main.ts")}"` };
  const args = ["-m", "pytest", "-q", "-p", "no:cacheprovider", path("examples/chaos/test_chaos.py")];
  const { status, stdout } = spawnSync("python3", args, { env, encoding: "utf8", timeout: PROGRAM_LIMIT_MS });
  expect(stdout).toContain("5 passed");
  expect(status).toBe(0);
});
