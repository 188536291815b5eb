/** Counts how exchanges ended, for the line that the program leaves with. */
import type { Observer } from "../core/observer.ts";
import { type Outcome, outcomeOfRefusal } from "../core/outcome.ts";

export type OutcomeCounts = Readonly<Record<Outcome, number>>;

export interface Tally {
  readonly observer: Observer;
  readonly counts: OutcomeCounts;
}

export function createTally(): Tally {
  const counts: Record<Outcome, number> = {
    complete: 0,
    recovered: 0,
    repaired: 0,
    resumed: 0,
    failed: 0,
    interrupted: 0,
    cancelled: 0,
    rejected: 0,
  };
  return {
    observer: {
      onExchangeEnd(_exchange, { outcome }) {
        counts[outcome]++;
      },
      onRejected({ failure }) {
        counts[outcomeOfRefusal(failure)]++;
      },
    },
    counts,
  };
}

/** `214 answers: 9 recovered, 2 repaired; nothing was lost in silence`. @returns undefined where nothing was asked. */
export function summarize(...all: readonly OutcomeCounts[]): string | undefined {
  const counts = all.reduce((sum, each) => {
    const outcomes = Object.keys(sum) as Outcome[];
    return Object.fromEntries(outcomes.map((outcome) => [outcome, sum[outcome] + each[outcome]])) as OutcomeCounts;
  });
  const whole = counts.complete + counts.recovered + counts.repaired + counts.resumed;
  const saved = named(counts, ["recovered", "repaired", "resumed"]);
  const told = named(counts, ["failed", "interrupted", "rejected"]);
  if (whole === 0 && told === "" && counts.cancelled === 0) return undefined;
  const answers = `${whole} answer${whole === 1 ? "" : "s"}${saved === "" ? "" : `: ${saved}`}`;
  const left =
    counts.cancelled === 0 ? "" : `; ${counts.cancelled} cancelled by ${counts.cancelled === 1 ? "its client" : "their clients"}`;
  return `${answers}${told === "" ? "" : `; ${told}, and told so`}${left}; nothing was lost in silence`;
}

function named(counts: Readonly<Record<Outcome, number>>, outcomes: readonly Outcome[]): string {
  return outcomes.flatMap((outcome) => (counts[outcome] === 0 ? [] : [`${counts[outcome]} ${outcome}`])).join(", ");
}
