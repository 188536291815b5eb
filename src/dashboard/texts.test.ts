import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { preferredLanguage, TEXTS } from "./texts.ts";

it.each([
  [["zh-CN", "en"], "zh"],
  [["zh"], "zh"],
  [["de-DE", "zh-TW", "en"], "zh"],
  [["de", "en-GB", "zh"], "en"],
  [[], "en"],
] as const)("%j is answered in %s", (languages, expected) => {
  expect(preferredLanguage(languages)).toBe(expected);
});

it("calls things as the Grafana dashboard does", () => {
  const grafana = JSON.parse(readFileSync(new URL("../../examples/grafana/perennial.json", import.meta.url), "utf8"));
  const titles = grafana.panels.map(({ title }: { title: string }) => title);
  const { now, hour, timing, upstreams, causes } = TEXTS.en;
  for (const title of [now.title, hour.title, upstreams.title, causes.title, timing.firstToken, timing.longestGap])
    expect(titles).toContain(title);
});

/** Every text, with what is given to those that need something. */
function textsIn(value: unknown): string[] {
  if (typeof value === "string") return [value];
  if (typeof value === "function") return [String(value(7, 8, 9))];
  return Object.values(value as object).flatMap(textsIn);
}

it("says nothing in Chinese that was forgotten in English", () => {
  const words = textsIn(TEXTS.zh).filter((text) => !/[\u4e00-\u9fff]/.test(text));
  // Names, numbers and units alone need no translation.
  expect(words.filter((text) => /[a-z]{3}/.test(text.replace(/Perennial|x-perennial-id|Id|English|zh-CN|API|Key/g, "")))).toEqual(
    [],
  );
});
