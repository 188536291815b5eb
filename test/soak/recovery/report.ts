/** What a soak of answers that go on has found, for the terminal, and as rows of docs/soak.md. */
import { ANSWER } from "../../../src/chaos/answer.ts";
import type { Check } from "../leaks.ts";
import type { Tally } from "../tally.ts";
import type { RecoveryTally } from "./tally.ts";

export interface RecoverySoak {
  readonly tally: Tally;
  readonly recovered: RecoveryTally;
  /** Requests that the upstream got, by fault; those for a rest are `continue-…`. */
  readonly faults: Readonly<Record<string, number>>;
  readonly seconds: number;
  /** The answers that could not go on, asked for again with `x-perennial-gate: whole`. */
  readonly wholeGate: Tally;
  readonly checks: readonly Check[];
  readonly problems: readonly string[];
}

/** Of the answers that broke and could go on, so many at least. */
const LEAST_SHARE = 0.999;
/** Fewer say nothing of a thousandth. */
const ENOUGH = 1_000;
const BYTES_PER_TOKEN = 4;

const count = (value: number): string => String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ",");
const percent = (share: number): string => `${(share * 100).toFixed(2)} %`;
const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0);

export function printRecovery(soak: RecoverySoak): { readonly isPassed: boolean; readonly text: string } {
  const { tally, recovered, wholeGate, checks } = soak;
  const share = recovered.eligible === 0 ? 1 : recovered.resumed / recovered.eligible;
  const problems = [
    ...soak.problems,
    ...(recovered.eligible >= ENOUGH && share < LEAST_SHARE ? [`${percent(share)} of those that could go on did`] : []),
  ];
  const isPassed = problems.length === 0 && checks.every(({ passed }) => passed);
  const { told } = tally;
  const asked = sum(Object.values(soak.faults));
  const legs = sum(Object.entries(soak.faults).flatMap(([name, times]) => (name.startsWith("continue-") ? [times] : [])));
  const tokens = (told.whole + told.recovered) * Math.ceil(Buffer.byteLength(ANSWER) / BYTES_PER_TOKEN);
  const rows: (readonly [string, string | number])[] = [
    ["streams", count(tally.ended)],
    ["**whole**", count(told.whole + told.recovered)],
    ["of those broken in the middle, and gone on (`resumed`)", count(recovered.resumed)],
    ["of those retried before the first word (`recovered`, `repaired`)", count(sum(outcomes(tally, ["recovered", "repaired"])))],
    [
      "**of those that broke and could go on, whole**",
      `${percent(share)} (${count(recovered.resumed)} of ${count(recovered.eligible)})`,
    ],
    ["could not go on, and told so", count(recovered.ineligible.length)],
    [
      "the same with `gate.open: whole`, whole",
      `${count(wholeGate.told.whole + wholeGate.told.recovered)} of ${count(wholeGate.ended)}`,
    ],
    ["interrupted in all", count(told.interrupted)],
    ["refused: an HTTP error with a reason", count(told.refused)],
    ["**silent truncations**", told.silent + wholeGate.told.silent],
    ["**repeated, foreign or wrong text**", told["wrong text"] + wholeGate.told["wrong text"]],
    ["**torn events, hung, broken without a reason**", sum([told.torn, told.hung, told.broken])],
    ["not gone on, by rule", [...recovered.rules].map(([rule, times]) => `\`${rule}\` ${count(times)}`).join(", ") || "–"],
    ["requests that the upstream got, for each of a client's", (asked / Math.max(1, tally.ended)).toFixed(3)],
    ["of those for the rest of an answer", count(legs)],
    [
      "tokens paid twice, estimated",
      `${count(recovered.paidTwice)} (${percent(recovered.paidTwice / Math.max(1, tokens))} of those of the answers)`,
    ],
    ["streams per second", count(tally.ended / soak.seconds)],
  ];
  const text = [
    "",
    "| what clients were told | |",
    "| --- | --- |",
    ...rows.map(([what, value]) => `| ${what} | ${value} |`),
    "",
    "| left behind | before | after | at most | passed |",
    "| --- | --- | --- | --- | --- |",
    ...checks.map(
      ({ name, before, after, limit, passed }) => `| ${name} | ${before} | ${after} | ${limit} | ${passed ? "yes" : "**no**"} |`,
    ),
    "",
    ...problems.map((problem) => `✖ ${problem}`),
    isPassed ? "passed" : "FAILED",
    "",
  ];
  return { isPassed, text: text.join("\n") };
}

function outcomes(tally: Tally, names: readonly string[]): number[] {
  return names.map((name) => tally.outcomes.get(name) ?? 0);
}
