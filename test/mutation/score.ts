/** What the results of a room say; of a sample, with how sure that is. */
import type { MutantResult } from "@stryker-mutator/api/core";

export interface Score {
  /** Mutants that any test could notice: all but those that run once at the start. */
  readonly total: number;
  readonly notReached: number;
  /** Of those that tests reach: how many were run, how many of these were noticed. */
  readonly run: number;
  readonly killed: number;
  /** Of the total, in percent: its estimate, and half the width of the interval that holds it in 95 of 100 samples. 0 where all were run. */
  readonly percent: number;
  readonly margin: number;
}

export function scoreOf(results: readonly MutantResult[]): Score {
  const count = (...statuses: string[]): number => results.filter(({ status }) => statuses.includes(status)).length;
  const killed = count("Killed", "Timeout");
  const run = killed + count("Survived");
  const notReached = count("NoCoverage");
  const reached = run + count("CompileError");
  const total = reached + notReached;
  if (run === 0) return { total, notReached, run, killed, percent: 0, margin: reached === 0 ? 0 : 100 };
  const percent = (100 * reached * killed) / (run * total);
  return {
    total,
    notReached,
    run,
    killed,
    percent,
    margin: (100 * 1.96 * Math.sqrt(variance(reached, run, killed)) * reached) / total,
  };
}

/** All rooms together: each weighs as much as it has mutants. */
export function together(scores: readonly Score[]): Pick<Score, "percent" | "margin" | "run" | "total"> {
  const sum = (of: (score: Score) => number): number => scores.reduce((all, score) => all + of(score), 0);
  const total = sum((score) => score.total);
  return {
    total,
    run: sum(({ run }) => run),
    percent: sum((score) => score.percent * score.total) / total,
    margin: Math.sqrt(sum((score) => (score.margin * score.total) ** 2)) / total,
  };
}

/** Of a share that was found in a sample without replacement; two more of each kind (Agresti and Coull), so that "all of 20" is no certainty. */
function variance(of: number, run: number, killed: number): number {
  const share = (killed + 2) / (run + 4);
  return ((share * (1 - share)) / (run + 4)) * ((of - run) / Math.max(1, of - 1));
}
