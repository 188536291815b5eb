/** The tables of gateways in the documents, between their markers, made of the results of a run with other people's gateways. */
import { readFile, writeFile } from "node:fs/promises";
import { DIALECTS } from "./dialects.ts";
import { renderFaultTables, renderScores, table, twoNumbers } from "./page.ts";
import type { Result } from "./run-cases.ts";
import { isServing, resultsIn, type Score } from "./score.ts";

export interface GatewaysOptions {
  /** In the order of the rows. */
  readonly targets: readonly string[];
  /** Of the chat API. */
  readonly scores: readonly Score[];
  readonly results: readonly Result[];
  versionOf(target: string): string | undefined;
  readonly date: Date;
}

type Block = (options: GatewaysOptions) => string;

/** The blocks of each page, by the name in their markers. */
const PAGES: Readonly<Record<string, Readonly<Record<string, Block>>>> = {
  "README.md": { gateways: (run) => shortTable(ENGLISH, run) },
  "README.zh-CN.md": { gateways: (run) => shortTable(CHINESE, run) },
  "docs/compare.md": {
    measured: ({ date, targets, versionOf, results }) => {
      const versions = targets.flatMap((name) => (versionOf(name) === undefined ? [] : `${name} ${versionOf(name)}`));
      const count = resultsIn("chat", results).length / targets.length;
      return `Measured on ${date.toISOString().slice(0, 10)} with ${versions.join(", ")}: ${count} chat cases for each.`;
    },
    gateways: ({ scores }) => renderScores(scores),
    apis: ({ targets, results }) => apisTable("API", targets, results),
  },
  "docs/gateways.md": { faults: ({ targets, results }) => renderFaultTables(targets, resultsIn("chat", results)) },
  "docs/compare.zh-CN.md": {
    gateways: (run) => longTable(run),
    apis: ({ targets, results }) => apisTable("API", targets, results),
  },
};

interface Words {
  readonly head: readonly string[];
  readonly nothing: string;
  readonly plain: string;
  readonly noService: string;
}

const ENGLISH: Words = {
  head: ["between client and upstream", "not misled", "delivered"],
  nothing: "nothing",
  plain: "a proxy of bytes",
  noService: "no service",
};
const CHINESE: Words = {
  head: ["客户端与上游之间", "未被误导", "送达"],
  nothing: "直连",
  plain: "只转发字节的代理",
  noService: "没有服务",
};
const NAMES: Readonly<Record<string, string>> = {
  envoy: "Envoy",
  portkey: "Portkey",
  litellm: "LiteLLM",
  perennial: "Perennial",
};

/** @returns the files written. @throws when a file has lost a marker */
export async function writeGateways(run: GatewaysOptions): Promise<string[]> {
  for (const [path, blocks] of Object.entries(PAGES)) {
    const file = new URL(`../../${path}`, import.meta.url);
    let text = await readFile(file, "utf8");
    for (const [name, render] of Object.entries(blocks)) text = replaceBlock(text, name, render(run));
    await writeFile(file, text);
  }
  return Object.keys(PAGES);
}

/** @throws when the text has no such block */
export function replaceBlock(text: string, name: string, content: string): string {
  const parts = text.split(new RegExp(`(<!-- ${name}:[^>]*-->\\n).*?(<!-- /${name} -->)`, "s"));
  if (parts.length !== 4) throw new Error(`there is no block <!-- ${name}: … --> … <!-- /${name} -->`);
  const [before, opening, closing, after] = parts;
  return `${before}${opening}\n${content}\n\n${closing}${after}`;
}

function shortTable(words: Words, { scores, versionOf }: GatewaysOptions): string {
  const rows = scores.map((score) => {
    const { target, percent, deliveredPercent } = score;
    const version = versionOf(target);
    const named =
      { direct: words.nothing, plain: words.plain }[target] ??
      `${NAMES[target] ?? target}${version === undefined ? "" : ` ${version}`}`;
    const bold = (text: string): string => (target === "perennial" ? `**${text}**` : text);
    return [named, bold(isServing(score) ? share(percent) : words.noService), bold(share(deliveredPercent))];
  });
  return table(words.head, rows);
}

function longTable({ scores }: GatewaysOptions): string {
  const head = ["目标", "未被误导", "送达", "完整", "错误", "断开或只有状态码", "被误导", "恢复"];
  const rows = scores.map((score) => [
    score.target,
    isServing(score) ? share(score.percent) : CHINESE.noService,
    share(score.deliveredPercent),
    ...[score.whole, score.typed, score.noticed, score.misled],
    `${score.recovered} / ${score.recoveries}`,
  ]);
  return table(head, rows);
}

function share(percent: number): string {
  return percent === 100 ? "100 %" : `${percent.toFixed(1)} %`;
}

function apisTable(title: string, targets: readonly string[], results: readonly Result[]): string {
  const tried = DIALECTS.filter((dialect) => resultsIn(dialect, results).length > 0);
  const rows = targets.map((target) => [target, ...tried.map((dialect) => twoNumbers(target, resultsIn(dialect, results)))]);
  return table([title, ...tried], rows);
}
