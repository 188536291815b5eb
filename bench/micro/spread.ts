/** Rounds of one measurement: their median, and how far apart they lie. */

export interface Spread {
  readonly median: number;
  readonly best: number;
  /** Half the distance between the quartiles, as a share of the median. */
  readonly spread: number;
}

export function spreadOf(rounds: readonly number[]): Spread {
  const sorted = rounds.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.round(share * (sorted.length - 1))] ?? Number.NaN;
  return { median: at(0.5), best: at(0), spread: (at(0.75) - at(0.25)) / 2 / at(0.5) };
}

/** CPU time of this process in nanoseconds, its collector included: what other programs on the machine take does not count. */
export function cpuNanoseconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) * 1_000;
}
