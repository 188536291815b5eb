/** The tables of docs/conformance.md and its Chinese sibling, made of the results of a run. */
import { CONTINUATIONS, FAULT_GROUPS } from "../../src/chaos/registry.ts";
import { type Pages, table, writeBlocks } from "./blocks.ts";
import type { Case } from "./cases.ts";
import { DIALECTS } from "./dialects.ts";
import { MISLED } from "./judge.ts";
import type { Result } from "./run-cases.ts";
import { isServing, resultsIn, type Score, scoreOf, wholeOf, worstOf } from "./score.ts";
import { CHINESE, ENGLISH, type Words } from "./words.ts";

export interface PageOptions {
  /** In the order of the columns. */
  readonly targets: readonly string[];
  readonly scores: readonly Score[];
  readonly results: readonly Result[];
  readonly versions: readonly string[];
  readonly date: Date;
}

const OTHERS = DIALECTS.filter((dialect) => dialect !== "chat");
const PAGES: Pages<PageOptions> = { "docs/conformance.md": blocksIn(ENGLISH), "docs/conformance.zh-CN.md": blocksIn(CHINESE) };

/** @returns the files written. @throws when a file has lost a marker */
export function writePages(run: PageOptions): Promise<string[]> {
  return writeBlocks(PAGES, run);
}

function blocksIn(words: Words): Pages<PageOptions>[string] {
  return {
    measured: ({ date, versions, targets, results }) => {
      const others = OTHERS.reduce((sum, dialect) => sum + resultsIn(dialect, results).length / targets.length, 0);
      const chat = resultsIn("chat", results).length / targets.length;
      return words.measured({ date: date.toISOString().slice(0, 10), versions, chat, others });
    },
    scores: ({ scores }) => renderScores(words, scores),
    apis: ({ targets, results }) => {
      const tried = OTHERS.filter((dialect) => resultsIn(dialect, results).length > 0);
      const rows = tried.map((dialect) => [dialect, ...targets.map((target) => twoNumbers(target, resultsIn(dialect, results)))]);
      return table(["API", ...targets], rows);
    },
    faults: ({ targets, results }) => renderFaultTables(words, targets, resultsIn("chat", results)),
    recovery: ({ targets, results }) => renderRecoveries(words, targets, resultsIn("chat", results)),
    failover: ({ targets, results }) =>
      `${summary(words, targets, "failover", results)}\n\n${renderFailovers(words, targets, results)}`,
    resumed: ({ targets, results }) =>
      `${summary(words, targets, "resumed", results)}\n\n${renderResumed(words, targets, results)}`,
  };
}

function summary(words: Words, targets: readonly string[], kind: Case["kind"], results: readonly Result[]): string {
  const told = targets.flatMap((target) => {
    const one = wholeOf(target, kind, results);
    return one === undefined ? [] : [`- **${target}**: ${words.whole(one)}`];
  });
  return told.join("\n");
}

function renderFailovers(words: Words, targets: readonly string[], results: readonly Result[]): string {
  const shown = targets.filter((target) => wholeOf(target, "failover", results) !== undefined);
  const names = [...new Set(results.filter((one) => one.case.kind === "failover").map((one) => one.case.fault))];
  const rows = names.map((name) => [
    words.atFirst(`\`${name}\``),
    ...shown.map((target) =>
      cell(
        words,
        results.filter((one) => isOf(one, target, name, "failover")),
      ),
    ),
  ]);
  return table([words.fault, ...shown], rows);
}

function renderResumed(words: Words, targets: readonly string[], results: readonly Result[]): string {
  const shown = targets.filter((target) => wholeOf(target, "resumed", results) !== undefined);
  const rows = CONTINUATIONS.faults.map((fault) => [
    `\`${fault.name}\``,
    escapeCell(words.summary(fault)),
    ...shown.map((target) =>
      word(
        words,
        results.filter((one) => isOf(one, target, fault.name, "resumed")),
      ),
    ),
  ]);
  return table([words.rest, words.whatItDoes, ...shown], rows);
}

export function renderScores(words: Words, scores: readonly Score[]): string {
  return table(
    words.scores,
    scores.map((score) => [
      `**${score.target}**`,
      isServing(score) ? `**${score.percent.toFixed(1)} %**` : `**${words.noService}**`,
      `**${score.deliveredPercent.toFixed(1)} %**`,
      score.whole,
      score.typed,
      score.noticed,
      score.misled,
      words.of(score.recovered, score.recoveries),
    ]),
  );
}

export function twoNumbers(target: string, results: readonly Result[]): string {
  const { cases, percent, deliveredPercent } = scoreOf(target, results);
  return cases === 0 ? "–" : `${percent.toFixed(1)} % / ${deliveredPercent.toFixed(1)} %`;
}

/** All faults, by group. */
export function renderFaultTables(words: Words, targets: readonly string[], chat: readonly Result[]): string {
  return FAULT_GROUPS.map(({ title, faults }) => renderFaults(words, { title, faults }, targets, chat)).join("\n\n");
}

function renderFaults(
  words: Words,
  { title, faults }: (typeof FAULT_GROUPS)[number],
  targets: readonly string[],
  results: readonly Result[],
): string {
  const rows = faults.map((fault) => [
    `\`${fault.name}\``,
    escapeCell(words.summary(fault)),
    ...targets.map((target) =>
      cell(
        words,
        results.filter((one) => isOf(one, target, fault.name, "fault")),
      ),
    ),
  ]);
  return `### ${words.group(title)}\n\n${table([words.fault, words.whatItDoes, ...targets], rows)}`;
}

function renderRecoveries(words: Words, targets: readonly string[], results: readonly Result[]): string {
  const names = [...new Set(results.filter((one) => one.case.kind === "recovery").map((one) => one.case.fault))];
  const rows = names.map((name) => [
    words.recovery(`\`${name}\``),
    ...targets.map((target) =>
      cell(
        words,
        results.filter((one) => isOf(one, target, name, "recovery")),
      ),
    ),
  ]);
  return table([words.fault, ...targets], rows);
}

function isOf({ target, case: one }: Result, wanted: string, fault: string, kind: string): boolean {
  return target === wanted && one.fault === fault && one.kind === kind;
}

function cell(words: Words, results: readonly Result[]): string {
  const [streamed, plain] = [true, false].map((wanted) =>
    word(
      words,
      results.filter(({ case: one }) => one.streamed === wanted),
    ),
  );
  return streamed === plain ? `${streamed}` : `${streamed} / ${plain}`;
}

function word(words: Words, results: readonly Result[]): string {
  const worst = worstOf(results);
  if (worst === undefined) return "–";
  const text = words.verdicts[worst.verdict];
  return MISLED.has(worst.verdict) ? `**${text}**` : text;
}

function escapeCell(text: string): string {
  return text.replaceAll("|", "\\|");
}
