/** What a soak found, as a table for the terminal and as the page docs/soak.md. */
import type { Check } from "./leaks.ts";
import { SHARES } from "./mix.ts";
import type { Tally } from "./tally.ts";

export interface Soak {
  readonly command: string;
  readonly versions: readonly string[];
  readonly concurrency: number;
  readonly rate: number;
  readonly seconds: number;
  readonly tally: Tally;
  /** Requests that the upstream got, by fault. */
  readonly faults: Readonly<Record<string, number>>;
  readonly peakRss: number;
  readonly checks: readonly Check[];
  readonly problems: readonly string[];
}

type Row = readonly (string | number)[];

const number = (value: number): string => String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ",");

export function isPassed({ checks, problems }: Soak): boolean {
  return problems.length === 0 && checks.every(({ passed }) => passed);
}

function broken({ faults }: Soak): number {
  return Object.entries(faults).reduce((sum, [name, count]) => (name === "ok" || isAsked(name) ? sum : sum + count), 0);
}

/** Not drawn, but asked for by the clients that leave or read slowly. */
function isAsked(fault: string): boolean {
  return fault === "slow" || fault === "stall-first" || fault === "flood";
}

function clientRows({ tally, seconds }: Soak): Row[] {
  const { told, ended } = tally;
  return [
    ["requests", number(ended)],
    ["**whole**", number(told.whole + told.recovered)],
    ["of those recovered: the client noticed nothing", number(told.recovered)],
    ["interrupted: a part, then an error event", number(told.interrupted)],
    ["refused: an HTTP error with a reason", number(told.refused)],
    ["left by the client, logged `cancelled`, seen by the upstream", number(told.left)],
    ["**silent truncations**", told.silent],
    ["**repeated, foreign or wrong text**", told["wrong text"]],
    ["**torn events**", told.torn],
    ["**hung**", told.hung],
    ["**broken connections, errors without a reason**", told.broken],
    ["events that clients read", number(tally.events)],
    ["streams per second", number(ended / seconds)],
  ];
}

function upstreamRows(soak: Soak): Row[] {
  const { faults } = soak;
  const total = Object.values(faults).reduce((sum, count) => sum + count, 0);
  const drawn = Object.entries(faults)
    .filter(([name]) => name !== "ok" && !isAsked(name))
    .sort(([a], [b]) => a.localeCompare(b));
  return [
    ["requests, retries included", number(total)],
    ["broken at random", number(broken(soak))],
    ...drawn.map(([name, count]): Row => [`\`${name}\``, number(count)]),
  ];
}

const outcomeRows = ({ tally }: Soak): Row[] =>
  [...tally.outcomes].sort(([a], [b]) => a.localeCompare(b)).map(([outcome, count]) => [`\`${outcome}\``, number(count)]);

const checkRows = ({ checks }: Soak): Row[] =>
  checks.map(({ name, before, after, limit, passed }) => [name, before, after, limit, passed ? "yes" : "**no**"]);

/** For the terminal. */
export function printSoak(soak: Soak): string {
  const plain = (rows: Row[]): string[] => {
    const cells = rows.map((row) => row.map((cell) => String(cell).replace(/[*`]/g, "")));
    const widths = (cells[0] ?? []).map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
    return cells.map(
      (row) => `  ${row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join("  ")}`,
    );
  };
  return [
    "",
    "Clients",
    ...plain(clientRows(soak)),
    "",
    "Upstream",
    ...plain(upstreamRows(soak)),
    "",
    "Left behind",
    ...plain([["", "before", "after", "at most", "passed"], ...checkRows(soak)]),
    "",
    ...soak.problems.map((problem) => `✖ ${problem}`),
    isPassed(soak) ? "passed" : "FAILED",
    "",
  ].join("\n");
}

/** For docs/soak.md. */
export function soakPage(soak: Soak): string {
  const table = (head: string[], rows: Row[]): string =>
    [head, head.map(() => "---"), ...rows].map((row) => `| ${row.join(" | ")} |`).join("\n");
  const percent = (share: number): string => `${Number((share * 100).toFixed(2))} %`;
  const mix = Object.entries(SHARES).map(([kind, share]) => `${kind} ${percent(share)}`);
  return `# Soak

([中文](soak.zh-CN.md))

Many streams at once, for a long time, against an upstream that breaks ${percent(soak.rate)} of what it is asked: does every client get
a whole answer or an error, and does Perennial hold afterwards what it held before? \`npm run soak\` asks that, and exits with 1 when it does not.
This page is what it wrote with ${soak.versions.join(", ")}.

\`\`\`sh
npm ci && ${soak.command}
\`\`\`

| what the ${number(soak.tally.ended)} clients were told | |
| --- | --- |
${clientRows(soak)
  .slice(1)
  .map((row) => `| ${row.join(" | ")} |`)
  .join("\n")}

The clients, the upstream and Perennial are three processes; ${soak.concurrency} clients at a time share kept-alive connections, and each has a
model name of its own, which the upstream repeats in every event.
The mix, by seed: ${mix.join(", ")}.
When they are done, a thousand more (\`replay\`) drop their connections at random, several times each, and come back in one of three ways: what
each has in the end must be one answer, and the upstream must have been asked once for it.
Those that read slowly take 6 MiB and pause for longer than the idle timeout. Each answer is compared with the right one, character
by character, by the judge of the [conformance](conformance.md) suite. Perennial runs with its defaults but for short times: 1 s for the first token and
between two, 5 ms before the second attempt, 1 s for an unused connection. With three attempts an answer that breaks before its first
word is asked again; one that breaks later ends with an error event.

## The same, as Perennial logged it

Each client's end is matched with the log line of its exchange: one line each, and the outcome that fits. The counters at \`/metrics\` say the same.

${table(["outcome", "exchanges"], outcomeRows(soak))}

## What the upstream did

${table(["reply", "requests"], upstreamRows(soak))}

A fault does to a request that is not streamed the nearest to what it does to a stream. \`perennial chaos --list\` says what each is.

## What was left behind

Measured in Perennial at rest, garbage collected: after a warm-up, and again after the last stream. While it ran, it took at most
${(soak.peakRss / 1024 ** 2).toFixed(0)} MB of resident memory.

${table(["", "after the warm-up", "after the run", "at most", "passed"], checkRows(soak))}
`;
}
