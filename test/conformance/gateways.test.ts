/** The published tables of gateways: they are written between markers, and say the same on every page. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { createChaosServer } from "../../src/chaos/chaos-server.ts";
import { findFault } from "../../src/chaos/registry.ts";
import { replaceBlock } from "./blocks.ts";
import { listCases } from "./cases.ts";
import { FAULTS_IN_CHINESE } from "./faults-in-chinese.ts";
import { runCases } from "./run-cases.ts";
import { givenTarget } from "./targets.ts";

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

test("what is said of faults in Chinese is said of faults that there are", () => {
  expect(Object.keys(FAULTS_IN_CHINESE).filter((name) => findFault(name) === undefined)).toEqual([]);
});

test("a gateway that is started for each case is asked each case anew, and ended behind it", async () => {
  const chaos = createChaosServer({ tokenDelayMs: 0 });
  const { url } = await chaos.listen();
  let [started, ended] = [0, 0];
  const fresh = async () => {
    started++;
    return { ...givenTarget("it", url), stop: async () => `ended ${++ended}` };
  };
  const cases = listCases({ dialects: ["chat"], framings: ["default"], only: ["ok", "500"] });
  // The one that stays serves nobody by now: it is asked whether it does, and nothing else.
  const target = { ...givenTarget("it", url.replace("/v1", "/nowhere")), fresh };
  const options = { concurrency: 16, key: "k", patienceMs: 20_000 };
  const results = await runCases(target, cases, options);
  expect([started, ended]).toEqual([cases.length, cases.length]);
  expect(results.filter(({ verdict }) => verdict === "whole").length).toBeGreaterThan(0);
  await chaos.close();
});
