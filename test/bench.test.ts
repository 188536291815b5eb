/** The benchmark's own judgement: what it counts as whole, how rounds become figures, and where they are put. */
import { expect, test } from "vitest";
import { readAsk, toPrompt } from "../bench/load/ask.ts";
import { MarkReader, writeMark } from "../bench/load/marks.ts";
import { type Measured, type Results, summarize } from "../bench/measure/results.ts";
import { fill, pageIn } from "../bench/report/publish.ts";
import { scenarioTable, summaryTable } from "../bench/report/tables.ts";
import { CHINESE, ENGLISH } from "../bench/report/words.ts";

const events = (...numbers: number[]): string =>
  `${numbers.map((number) => `data: {"content": "${writeMark(number, 7_000_000 + number)}"}\n\n`).join("")}data: [DONE]\n\n`;

test.each([
  ["whole, cut into reads of any size", events(0, 1, 2), { count: 3, isInOrder: true, isDone: true }],
  [
    "whole, with ids and a comment behind the end",
    `${events(0, 1).trimEnd()}\nid: 7f.12\n\n: bye\n\n`,
    { count: 2, isInOrder: true, isDone: true },
  ],
  ["an event that was lost", events(0, 2), { count: 2, isInOrder: false, isDone: true }],
  ["an event that came twice", events(0, 1, 1), { count: 3, isInOrder: false, isDone: true }],
  ["an end without [DONE]", events(0, 1).replace("data: [DONE]\n\n", ""), { count: 2, isInOrder: true, isDone: false }],
])("a stream is judged by its marks: %s", (_name, text, told) => {
  for (let size = 1; size < 60; size++) {
    const reader = new MarkReader();
    const times: number[] = [];
    for (let at = 0; at < text.length; at += size) reader.feed(Buffer.from(text.slice(at, at + size)), (us) => times.push(us));
    expect({ count: reader.count, isInOrder: reader.isInOrder, isDone: reader.isDone }).toEqual(told);
    expect(times[0]).toBe(7_000_000);
  }
});

test("what is asked of the upstream survives a gateway that writes the body anew", () => {
  const ask = { events: 200, everyMs: 20, isHeld: true, fault: "cut" } as const;
  expect(readAsk(JSON.stringify({ extra: 1, messages: [{ content: [{ text: toPrompt(ask) }] }] }))).toEqual(ask);
  expect(readAsk("{}")).toBeUndefined();
});

const round = (rows: Record<string, Measured>): ReadonlyMap<string, Measured> => new Map(Object.entries(rows));
const ROUNDS = [
  round({ "byte proxy": { cpuUs: 30 }, Perennial: { cpuUs: 36 }, Other: { cpuUs: 90 } }),
  round({ "byte proxy": { cpuUs: 60 }, Perennial: { cpuUs: 66 }, Other: { void: "1 of 9 streams: no [DONE]" } }),
  round({ "byte proxy": { cpuUs: 40 }, Perennial: { cpuUs: 48 }, Other: { cpuUs: 80 } }),
];

test("a ratio is taken within its round, and one bad stream voids a row", () => {
  const scenario = summarize(ROUNDS, ["byte proxy", "nginx"]);
  expect(scenario.Perennial).toEqual({
    figures: { cpuUs: { median: 48, min: 36, max: 66 } },
    ratios: { "byte proxy": { cpuUs: 1.2 }, nginx: {} },
  });
  expect(scenario.Other).toMatchObject({ void: "1 of 9 streams: no [DONE]", figures: {} });
  const results = { rows: ["byte proxy", "Perennial", "Other"], scenarios: { "paced 250": scenario } } as unknown as Results;
  expect(summaryTable(results)).toMatch(/\| Perennial \| 48 \| 1\.20 \| – .*\n\| Other \| void/);
  expect(scenarioTable(results, "paced 250")).toMatch(/Perennial \| 48 \(36…66\) \| 1\.20 \| – \|\n\| Other \| void: 1 of 9/);
});

test("a page is filled between its marks, and one that has lost them is left alone", () => {
  const page = "a\n<!-- bench:cost -->\nold\n<!-- /bench:cost -->\nb\n";
  const filled = fill(page, "cost", "new");
  expect(filled).toBe(page.replace("old", "new"));
  expect(fill(filled, "cost", "old")).toBe(page);
  expect(() => fill("a", "cost", "new")).toThrow("bench:cost");
});

test("the page says the same figures in both languages, in lines that an editor shows whole", () => {
  const machine = { cpu: "a CPU of some name @ 2.60GHz", cores: 4, node: "24.21.0", kernel: "6.12.0-1-cloud-amd64" };
  const results: Results = {
    ...{ date: "2026-01-02", machine, rounds: 3, loadBefore: 4.2, loads: [4.1, 4.3, 4.4, 4.2, 4.1], wasBusy: true },
    ...{ isQuick: false, rows: ["byte proxy", "Perennial", "Other"], missing: { Envoy: "it does not install" } },
    scenarios: { "paced 250": summarize(ROUNDS, ["byte proxy", "nginx"]) },
  };
  const [english, chinese] = [ENGLISH, CHINESE].map((words) => Object.values(pageIn(words, results)).join("\n"));
  const figures = (page = ""): string[] => page.match(/\d+(?:\.\d+)?/g) ?? [];
  expect(figures(chinese).toSorted()).toEqual(figures(english).toSorted());
  expect(chinese).toContain("| CPU µs/事件 |");
  for (const line of `${english}\n${chinese}`.split("\n")) if (!/^(?:\||!\[)/.test(line)) expect(line.length).toBeLessThan(131);
});
