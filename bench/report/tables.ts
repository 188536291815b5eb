/** The results as tables of Markdown: one with everybody in it, and one for each scenario with its spread. */
import type { Metric, Results, RowResult } from "../measure/results.ts";
import { BYTE_PROXY, DIRECT, NGINX } from "../rows/ours.ts";
import { ENGLISH, type Words } from "./words.ts";

interface Column {
  readonly title: string;
  /** Of the first scenario here that was run. */
  readonly from: readonly string[];
  readonly cell: (row: RowResult) => string | undefined;
}

const NOTHING = "–";

const SUMMARY: readonly Column[] = [
  { title: "CPU µs/event", from: ["paced 250"], cell: median("cpuUs") },
  { title: "× byte proxy", from: ["paced 250"], cell: ratio(BYTE_PROXY, "cpuUs") },
  { title: "× nginx", from: ["paced 250"], cell: ratio(NGINX, "cpuUs") },
  { title: "added p50 µs", from: ["paced 250"], cell: median("p50Us") },
  { title: "added p99 µs", from: ["paced 250"], cell: median("p99Us") },
  { title: "TTFT p50 / p99 ms", from: ["paced 250"], cell: pair("firstP50Ms", "firstP99Ms") },
  { title: "p99 µs under 5 % faults", from: ["faults 250"], cell: median("p99Us") },
  { title: "burst events/s", from: ["burst"], cell: median("eventsPerSecond") },
  { title: "burst CPU µs/event", from: ["burst"], cell: median("cpuUs") },
  { title: "µs/short request", from: ["short"], cell: median("requestUs") },
  { title: "KiB/quiet stream", from: ["quiet 1000", "quiet 300"], cell: median("kibPerStream") },
  { title: "idle MB", from: ["start"], cell: median("idleMb") },
  { title: "CPU to ready ms", from: ["start"], cell: median("readyMs") },
];

const TITLES: Readonly<Record<Metric, string>> = {
  cpuUs: "CPU µs/event",
  userUs: "user",
  systemUs: "system",
  p50Us: "added p50 µs",
  p99Us: "p99",
  p999Us: "p99.9",
  firstP50Ms: "TTFT p50 ms",
  firstP99Ms: "p99 ms",
  eventsPerSecond: "events/s",
  requestUs: "CPU µs/request",
  rssMb: "RSS MB",
  kibPerStream: "KiB/stream",
  openMs: "all open after ms",
  idleMb: "idle RSS MB",
  readyMs: "CPU to ready ms",
};

/** Of which the ratios to the yardsticks are told. */
const COMPARED: readonly Metric[] = ["cpuUs", "eventsPerSecond", "requestUs", "kibPerStream", "firstP50Ms", "firstP99Ms"];

function median(metric: Metric): Column["cell"] {
  return ({ figures }) => show(figures[metric]?.median);
}

function pair(one: Metric, other: Metric): Column["cell"] {
  return ({ figures }) =>
    figures[one] === undefined ? undefined : `${show(figures[one].median)} / ${show(figures[other]?.median)}`;
}

function ratio(yardstick: string, metric: Metric): Column["cell"] {
  return ({ ratios }) => ratios[yardstick]?.[metric]?.toFixed(2);
}

/** Three digits are as many as a shared machine can know. */
export function show(value: number | undefined): string | undefined {
  if (value === undefined || !Number.isFinite(value)) return undefined;
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString("en");
  return value.toFixed(Math.abs(value) >= 10 ? 0 : 1);
}

/** Everybody in one table. A void row says so in place of its figures. */
export function summaryTable({ rows, scenarios }: Results, words: Words = ENGLISH): string {
  const columns = SUMMARY.filter(({ from }) => from.some((name) => name in scenarios));
  const lines = rows.map((row) => {
    const cells = columns.map(({ from, cell }) => {
      const result = from.map((name) => scenarios[name]?.[row]).find((each) => each !== undefined);
      if (result === undefined) return NOTHING;
      return result.void === undefined ? (cell(result) ?? NOTHING) : words.void;
    });
    return [row, ...cells];
  });
  return table(["", ...columns.map(({ title }) => words.title(title))], lines);
}

/** One scenario: medians with the spread of the rounds, and the ratios in the same round. */
export function scenarioTable({ rows, scenarios }: Results, name: string, words: Words = ENGLISH): string {
  const results = scenarios[name] ?? {};
  const there = Object.values(results).flatMap(({ figures }) => Object.keys(figures));
  const metrics = (Object.keys(TITLES) as Metric[]).filter((metric) => there.includes(metric));
  const compared = metrics.filter((metric) => COMPARED.includes(metric));
  const titles = [
    ...metrics.map((metric) => words.title(TITLES[metric])),
    ...compared.flatMap((metric) => [`${words.title(TITLES[metric])} ${words.title("× byte proxy")}`, "× nginx"]),
  ];
  const lines = rows.flatMap((row) => {
    const result = results[row];
    if (result === undefined) return [];
    if (result.void !== undefined) return [[row, `${words.void}: ${result.void}`, ...titles.slice(1).map(() => "")]];
    const figures = metrics.map((metric) => {
      const figure = result.figures[metric];
      return figure === undefined ? NOTHING : `${show(figure.median)} (${show(figure.min)}…${show(figure.max)})`;
    });
    const ratios = compared.flatMap((metric) =>
      [BYTE_PROXY, NGINX].map((yardstick) => ratio(yardstick, metric)(result) ?? NOTHING),
    );
    return [[row, ...figures, ...(row === DIRECT ? ratios.map(() => NOTHING) : ratios)]];
  });
  return table(["", ...titles], lines);
}

function table(head: readonly string[], lines: readonly (readonly string[])[]): string {
  const row = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [row(head), row(head.map(() => "---")), ...lines.map(row)].join("\n");
}

export function printResults(results: Results): void {
  console.log(`\n${ENGLISH.circumstances(results)}\n\n${summaryTable(results)}`);
  for (const name of Object.keys(results.scenarios)) console.log(`\n${name}\n\n${scenarioTable(results, name)}`);
}
