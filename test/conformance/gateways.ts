/** The tables of gateways in the documents, between their markers, made of the results of a run with other people's gateways. */
import { type Pages, table, writeBlocks } from "./blocks.ts";
import { DIALECTS } from "./dialects.ts";
import { renderFaultTables, renderScores, twoNumbers } from "./page.ts";
import type { Result } from "./run-cases.ts";
import { isServing, resultsIn, type Score } from "./score.ts";
import { CHINESE, ENGLISH, type Words } from "./words.ts";

export interface GatewaysOptions {
  /** In the order of the rows. */
  readonly targets: readonly string[];
  /** Of the chat API. */
  readonly scores: readonly Score[];
  readonly results: readonly Result[];
  versionOf(target: string): string | undefined;
  readonly date: Date;
}

const PAGES: Pages<GatewaysOptions> = {
  "README.md": { gateways: (run) => shortTable(ENGLISH, run) },
  "README.zh-CN.md": { gateways: (run) => shortTable(CHINESE, run) },
  "docs/compare.md": {
    measured: ({ date, targets, versionOf, results }) => {
      const versions = targets.flatMap((name) => (versionOf(name) === undefined ? [] : `${name} ${versionOf(name)}`));
      const count = resultsIn("chat", results).length / targets.length;
      return `Measured on ${date.toISOString().slice(0, 10)} with ${versions.join(", ")}: ${count} chat cases for each.`;
    },
    gateways: ({ scores }) => renderScores(ENGLISH, scores),
    apis: ({ targets, results }) => apisTable("API", targets, results),
  },
  "docs/gateways.md": { faults: ({ targets, results }) => renderFaultTables(ENGLISH, targets, resultsIn("chat", results)) },
  "docs/gateways.zh-CN.md": {
    faults: ({ targets, results }) => renderFaultTables(CHINESE, targets, resultsIn("chat", results)),
  },
  "docs/compare.zh-CN.md": {
    gateways: ({ scores }) => renderScores(CHINESE, scores),
    apis: ({ targets, results }) => apisTable("API", targets, results),
  },
};

const NAMES: Readonly<Record<string, string>> = {
  envoy: "Envoy",
  portkey: "Portkey",
  olla: "Olla",
  litellm: "LiteLLM",
  perennial: "Perennial",
};

/** @returns the files written. @throws when a file has lost a marker */
export function writeGateways(run: GatewaysOptions): Promise<string[]> {
  return writeBlocks(PAGES, run);
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
  return table(words.shortScores, rows);
}

function share(percent: number): string {
  return percent === 100 ? "100 %" : `${percent.toFixed(1)} %`;
}

function apisTable(title: string, targets: readonly string[], results: readonly Result[]): string {
  const tried = DIALECTS.filter((dialect) => resultsIn(dialect, results).length > 0);
  const rows = targets.map((target) => [target, ...tried.map((dialect) => twoNumbers(target, resultsIn(dialect, results)))]);
  return table([title, ...tried], rows);
}
