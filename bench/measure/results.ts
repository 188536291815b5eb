/** What was measured, and how rounds become one figure. bench/results.json is one `Results`. */

/** Each with its unit; `Ms`, `Us`, `Mb` and `Kib` are milliseconds, microseconds, MiB and KiB. */
export type Metric =
  | "cpuUs"
  | "userUs"
  | "systemUs"
  | "p50Us"
  | "p99Us"
  | "p999Us"
  | "firstP50Ms"
  | "firstP99Ms"
  | "eventsPerSecond"
  | "requestUs"
  | "rssMb"
  | "kibPerStream"
  | "openMs"
  | "idleMb"
  | "readyMs";

export type Values = Partial<Record<Metric, number>>;

/** One row in one scenario of one round; the reason where not every stream was whole. */
export type Measured = Values | { readonly void: string };

export interface Figure {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export interface RowResult {
  readonly void?: string;
  readonly figures: Partial<Record<Metric, Figure>>;
  /** Medians of the ratios to that row in the same round. */
  readonly ratios: Readonly<Record<string, Partial<Record<Metric, number>>>>;
}

export interface Results {
  readonly date: string;
  readonly machine: { readonly cpu: string; readonly cores: number; readonly node: string; readonly kernel: string };
  readonly rounds: number;
  /** The load average of the last minute when it began, and before each round that counts; the benchmark's own load is in the latter. */
  readonly loadBefore: number;
  readonly loads: readonly number[];
  /** Others were using the machine: its figures say little. */
  readonly wasBusy: boolean;
  readonly isQuick: boolean;
  readonly rows: readonly string[];
  /** Rows that could not be had, and why. */
  readonly missing: Readonly<Record<string, string>>;
  readonly scenarios: Readonly<Record<string, Readonly<Record<string, RowResult>>>>;
}

export const isVoid = (measured: Measured): measured is { readonly void: string } => "void" in measured;

export function figureOf(numbers: readonly number[]): Figure {
  const sorted = numbers.toSorted((a, b) => a - b);
  return { median: percentile(sorted, 0.5), min: sorted[0] ?? Number.NaN, max: sorted.at(-1) ?? Number.NaN };
}

/** @param sorted ascending. @returns NaN of nothing */
export function percentile(sorted: ArrayLike<number>, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

/**
 * Of one scenario. A row with one bad stream in any round is void.
 * @param rounds what each row measured in each round
 * @param yardsticks the rows that all others are compared to
 */
export function summarize(
  rounds: readonly ReadonlyMap<string, Measured>[],
  yardsticks: readonly string[],
): Readonly<Record<string, RowResult>> {
  const rows = new Set(rounds.flatMap((round) => [...round.keys()]));
  return Object.fromEntries([...rows].map((row) => [row, summarizeRow(row, rounds, yardsticks)]));
}

function summarizeRow(row: string, rounds: readonly ReadonlyMap<string, Measured>[], yardsticks: readonly string[]): RowResult {
  const all = rounds.flatMap((round) => round.get(row) ?? []);
  const broken = all.find(isVoid);
  if (broken !== undefined) return { void: broken.void, figures: {}, ratios: {} };
  const metrics = [...new Set(all.flatMap((values) => Object.keys(values)))] as Metric[];
  const valuesOf = (name: string, round: ReadonlyMap<string, Measured>): Values => {
    const measured = round.get(name);
    return measured === undefined || isVoid(measured) ? {} : measured;
  };
  const figures = metrics.map((metric) => [
    metric,
    figureOf(rounds.map((round) => valuesOf(row, round)[metric]).filter((value) => value !== undefined)),
  ]);
  const ratios = yardsticks.map((yardstick) => {
    const each = metrics.map((metric) => {
      const ratio = rounds.map(
        (round) => (valuesOf(row, round)[metric] ?? Number.NaN) / (valuesOf(yardstick, round)[metric] ?? Number.NaN),
      );
      return [metric, figureOf(ratio.filter(Number.isFinite)).median];
    });
    return [yardstick, Object.fromEntries(each.filter(([, median]) => Number.isFinite(median)))];
  });
  return { figures: Object.fromEntries(figures), ratios: Object.fromEntries(ratios) };
}
