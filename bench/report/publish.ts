/** Puts a whole run where people read it: tables and pictures of docs/performance.md and its Chinese sibling, one sentence of each README. */
import { readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import type { Metric, Results } from "../measure/results.ts";
import { BYTE_PROXY, DIRECT, PERENNIAL } from "../rows/ours.ts";
import { type Bar, barsSvg } from "./bars.ts";
import { scenarioTable, show, summaryTable } from "./tables.ts";
import { CHINESE, ENGLISH, type Words } from "./words.ts";

const ROOT = resolve(import.meta.dirname, "../..");

const PICTURES: readonly { readonly file: string; readonly title: string; readonly scenario: string; readonly metric: Metric }[] =
  [
    { file: "bench-cpu.svg", title: "CPU for each event at 250 streams, µs", scenario: "paced 250", metric: "cpuUs" },
    {
      file: "bench-latency.svg",
      title: "Added to an event's way at 250 streams, p99, µs",
      scenario: "paced 250",
      metric: "p99Us",
    },
    { file: "bench-burst.svg", title: "Events a second at full speed", scenario: "burst", metric: "eventsPerSecond" },
  ];

/** @throws where Perennial's own row is void, or a page has lost its marks: then nothing is written */
export function publish(results: Results): void {
  const pages = new Map<string, Readonly<Record<string, string>>>([
    ["docs/performance.md", pageIn(ENGLISH, results)],
    ["docs/performance.zh-CN.md", pageIn(CHINESE, results)],
    ["README.md", { cost: costInEnglish(results) }],
    ["README.zh-CN.md", { cost: costInChinese(results) }],
  ]);
  const written = [...pages].map(([page, texts]) => {
    const old = readFileSync(resolve(ROOT, page), "utf8");
    return [page, Object.entries(texts).reduce((text, [name, content]) => fill(text, name, content), old)] as const;
  });
  for (const [page, text] of written) writeFileSync(resolve(ROOT, page), text);
  for (const { file, title, ...of } of PICTURES)
    writeFileSync(resolve(ROOT, "docs/images", file), barsSvg(title, barsOf(results, of)));
}

/** Replaces what stands between `<!-- bench:NAME -->` and `<!-- /bench:NAME -->`. @throws where they are not there */
export function fill(page: string, name: string, content: string): string {
  const [begin, end] = [`<!-- bench:${name} -->`, `<!-- /bench:${name} -->`];
  const from = page.indexOf(begin);
  const to = page.indexOf(end);
  if (from < 0 || to < from) throw new Error(`there is no ${begin} … ${end}`);
  return `${page.slice(0, from + begin.length)}\n${content}\n${page.slice(to)}`;
}

/** What stands between the marks of the page in one language. */
export function pageIn(words: Words, results: Results): { readonly summary: string; readonly scenarios: string } {
  const pictures = PICTURES.map(({ file, title }) => `![${words.title(title)}](images/${file})`).join("\n\n");
  const left = Object.entries(results.missing).map(([row, why]) => words.without(row, why));
  const scenarios = Object.keys(results.scenarios).map((name) => `### ${name}\n\n${scenarioTable(results, name, words)}`);
  return {
    summary: [words.circumstances(results), summaryTable(results, words), ...left, pictures].join("\n\n"),
    scenarios: scenarios.join("\n\n"),
  };
}

function barsOf({ rows, scenarios }: Results, { scenario, metric }: { scenario: string; metric: Metric }): readonly Bar[] {
  return rows.flatMap((name) => {
    const value = name === DIRECT ? undefined : scenarios[scenario]?.[name]?.figures[metric]?.median;
    return value === undefined ? [] : [{ name, value, label: show(value) ?? "" }];
  });
}

function ourFigure({ scenarios }: Results, scenario: string, metric: Metric): string {
  const text = show(scenarios[scenario]?.[PERENNIAL]?.figures[metric]?.median);
  if (text === undefined) throw new Error(`${PERENNIAL} has no ${metric} in ${scenario}: nothing is published`);
  return text;
}

function ratioToByteProxy({ scenarios }: Results): string {
  return scenarios["paced 250"]?.[PERENNIAL]?.ratios[BYTE_PROXY]?.cpuUs?.toFixed(2) ?? "?";
}

function costInEnglish(results: Results): string {
  return `**What it costs**: ${ourFigure(results, "paced 250", "cpuUs")} µs of CPU for each event (${ratioToByteProxy(results)} × a proxy in Node that
understands nothing), ${ourFigure(results, "paced 250", "p50Us")} µs on an event's way, ${ourFigure(results, "start", "idleMb")} MB at rest.
Beside nginx and other gateways: [docs/performance.md](docs/performance.md), measured by \`npm run bench\`.`;
}

function costInChinese(results: Results): string {
  return `**开销**：每个事件 ${ourFigure(results, "paced 250", "cpuUs")} µs CPU（是什么都不解析的 Node 字节代理的 ${ratioToByteProxy(results)} 倍），
每个事件延迟增加 ${ourFigure(results, "paced 250", "p50Us")} µs，空闲时占用 ${ourFigure(results, "start", "idleMb")} MB。
与 nginx 和其他网关的对比见 [docs/performance.zh-CN.md](docs/performance.zh-CN.md)，由 \`npm run bench\` 测得。`;
}
