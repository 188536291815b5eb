/** The troubleshooting pages name settings and words that exist, and say the same in both languages. */
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { PROFILES } from "../src/config/profiles.ts";
import { FAILURES } from "../src/core/failure.ts";

const page = (name: string): string => readFileSync(new URL(`../docs/${name}`, import.meta.url), "utf8");
const PAGES = ["troubleshooting.md", "troubleshooting.zh-CN.md"];

const SRC = new URL("../src/", import.meta.url);
const source = readdirSync(SRC, { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"))
  .map((file) => readFileSync(new URL(file, SRC), "utf8"))
  .join("\n");

test.for(PAGES)("%s names profiles and failure codes that exist", (name) => {
  const text = page(name);
  const profiles = [...text.matchAll(/profile:? `?([a-z0-9]+)`/g)].map(([, profile]) => profile);
  expect(profiles.length).toBeGreaterThan(3);
  for (const profile of profiles) expect(Object.keys(PROFILES)).toContain(profile);
  for (const [code] of text.matchAll(/\b(upstream|stream|empty|first)_[a-z_]+\b/g)) expect(Object.keys(FAILURES)).toContain(code);
});

test.for([
  "the client's own key for upstream",
  "the apiKey of upstream",
  "or its quota used up",
  "the upstream refused the connection",
  "the upstream is out",
  "all connections to the upstream are in use",
  "the upstream is not warm yet",
  "before its answer had finished",
  "gave no answer",
  "saved from",
])("what they quote of the log is said there: %s", (words) => {
  for (const name of PAGES) expect(page(name)).toContain(words);
  expect(source).toContain(words);
});

test("they have the same rows", () => {
  const [english, chinese] = PAGES.map((name) =>
    page(name)
      .split("\n")
      .map((line) => line.startsWith("|")),
  );
  expect(chinese?.filter(Boolean)).toHaveLength(english?.filter(Boolean).length ?? 0);
});
