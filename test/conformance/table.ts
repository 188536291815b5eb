/** The terminal's table of scores, and a case in which Perennial was not right, with its bytes. */
import pc from "picocolors";
import { DIALECTS } from "./dialects.ts";
import { MARK, markOf } from "./progress.ts";
import type { Result } from "./run-cases.ts";
import { isServing, resultsIn, type Score, scoreOf, wholeOf } from "./score.ts";
import { ENGLISH } from "./words.ts";

const COLUMNS: readonly [title: string, width: number, cell: (score: Score) => string][] = [
  ["target", 14, ({ target }) => target],
  [`${MARK.whole} whole`, 7, ({ whole }) => String(whole)],
  [`${MARK.error} typed error`, 13, ({ typed }) => String(typed)],
  [`${MARK.noticed} noticed`, 9, ({ noticed }) => String(noticed)],
  [`${MARK.misled} misled`, 8, ({ misled }) => String(misled)],
  [
    "not misled",
    30,
    (score) => (isServing(score) ? `${bar(score.percent)} ${percentText(score.percent)}` : pc.red("no service")),
  ],
  ["delivered", 9, ({ deliveredPercent }) => percentText(deliveredPercent)],
  ["recovered", 10, ({ recovered, recoveries }) => `${recovered}/${recoveries}`],
];

export function renderScores(scores: readonly Score[]): string {
  const rule = (left: string, middle: string, right: string): string =>
    pc.dim(left + COLUMNS.map(([, width]) => "─".repeat(width + 2)).join(middle) + right);
  const row = (cells: readonly string[]): string => {
    const bars = pc.dim("│");
    return `${bars}${cells.map((cell, at) => ` ${pad(cell, COLUMNS[at]?.[1] ?? 0)} `).join(bars)}${bars}`;
  };
  return [
    rule("┌", "┬", "┐"),
    row(COLUMNS.map(([title]) => pc.bold(title))),
    rule("├", "┼", "┤"),
    ...scores.map((score) => row(COLUMNS.map(([, , cell]) => cell(score)))),
    rule("└", "┴", "┘"),
    `  ${MARK.whole} whole answer   ${MARK.error} an error the program can act on   ${MARK.noticed} a broken connection, or a status without a reason`,
    `  ${MARK.misled} misled: cut short in silence, torn, wrong, or left hanging   recovered: whole although the first attempt failed`,
    "  delivered: whole, of all cases in which the whole answer can be had",
    "",
  ].join("\n");
}

/** The two numbers for each API; an API that a target does not have is left blank. */
export function renderDialects(targets: readonly string[], results: readonly Result[]): string {
  const lines = DIALECTS.filter((dialect) => resultsIn(dialect, results).length > 0).map((dialect) => {
    const cells = targets.map((target) => {
      const score = scoreOf(target, resultsIn(dialect, results));
      if (score.cases + score.recoveries === 0) return pad(`${target} –`, 32);
      return pad(`${target} ${percentText(score.percent)} / ${percentText(score.deliveredPercent)}`, 32);
    });
    return `  ${pc.bold(dialect.padEnd(12))} ${cells.join("")}`;
  });
  return [pc.dim("  not misled / delivered, by API:"), ...lines, ""].join("\n");
}

/** Failover, and answers that go on after a break: whole, of those that can be had. */
export function renderSetups(targets: readonly string[], results: readonly Result[]): string {
  const lines = (["failover", "resumed"] as const).flatMap((kind) =>
    targets.flatMap((target) => {
      const told = wholeOf(target, kind, results);
      return told === undefined ? [] : [`  ${pc.bold(kind.padEnd(12))} ${target.padEnd(12)} ${ENGLISH.whole(told)}`];
    }),
  );
  return lines.length === 0 ? "" : [...lines, ""].join("\n");
}

const TAIL = 600;

/** How to see it again, and the last of what was received. */
export function describeResult(result: Result, command: string): string {
  const { verdict, detail, breaches, seen, case: one } = result;
  const tail = seen.body.subarray(-TAIL).toString("latin1");
  return [
    `${markOf(verdict)} ${pc.bold(one.id)}: ${verdict}, ${detail}; it should be ${one.must}`,
    ...breaches.map((breach) => `    breach: ${breach}`),
    `    HTTP ${seen.status ?? "none"}, ${seen.headers["content-type"] ?? "no content-type"}, ${seen.body.length} bytes, end: ${seen.end}`,
    `    again: ${command}`,
    pc.dim(`    ${seen.body.length > TAIL ? "…" : ""}${JSON.stringify(tail)}`),
    "",
  ].join("\n");
}

function percentText(percent: number): string {
  return `${percent.toFixed(1).padStart(5)} %`;
}

function bar(percent: number): string {
  const full = Math.floor(percent / 5);
  const paint = percent === 100 ? pc.green : percent >= 80 ? pc.yellow : pc.red;
  return `${paint("━".repeat(full))}${pc.dim("─".repeat(20 - full))}`;
}

/** Colours take no room. */
function pad(text: string, width: number): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the escape character is what colours begin with
  return text + " ".repeat(Math.max(0, width - text.replace(/\u001b\[\d+m/g, "").length));
}
