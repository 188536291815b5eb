/** What the page says at its top, worked out from the numbers: is it working, what broke, whose fault, what was saved. */
import type { Outcome } from "../core/outcome.ts";
import type { CauseView, DashboardView, Fault, MinuteView } from "../telemetry/history/view.ts";

const WHOLE = ["complete", "recovered", "repaired", "resumed"] as const satisfies readonly Outcome[];
const MENDED = ["recovered", "repaired", "resumed"] as const satisfies readonly Outcome[];
/** What has just happened is judged by itself: an outage that is over must not look as if it went on. */
const LATELY = 5;

export type Working =
  /** Nothing was asked at all, or nothing in the last hour. */
  | { readonly is: "idle" | "quiet" }
  | {
      readonly is: "yes" | "mostly" | "no";
      readonly when: "lately" | "hour";
      readonly whole: number;
      readonly mended: number;
      /** Whole and lost together; what clients broke off, and what was refused, is not judged. */
      readonly judged: number;
    };

export function isItWorking({ total, minutes }: Pick<DashboardView, "total" | "minutes">): Working {
  const lately = tally(minutes.slice(-LATELY));
  const [when, counted] = lately.judged > 0 ? (["lately", lately] as const) : (["hour", tally(minutes)] as const);
  const { whole, judged } = counted;
  if (judged === 0) return { is: total === 0 ? "idle" : "quiet" };
  const is = whole === judged ? "yes" : whole * 2 >= judged ? "mostly" : "no";
  return { is, when, ...counted };
}

export interface Blame {
  readonly fault: Fault;
  readonly count: number;
  /** The one upstream, or the worst. */
  readonly upstream: string | undefined;
}

/** Those that failures go back to, the worst first. */
export function whoseFault(causes: readonly CauseView[]): Blame[] {
  const blames = new Map<Fault, Blame>();
  // The most frequent comes first, and names the upstream.
  for (const { fault, count, upstream } of causes) {
    const known = blames.get(fault);
    blames.set(fault, known === undefined ? { fault, count, upstream } : { ...known, count: known.count + count });
  }
  return [...blames.values()].sort((a, b) => b.count - a.count);
}

/** Less than one in so many that fail is what every upstream has. */
const WELL_BELOW = 0.05;

/** An upstream's condition, by the last five minutes if it was asked in them. */
export function conditionOf(
  tally: { readonly attempts: number; readonly failed: number } | undefined,
): "idle" | "well" | "shaky" | "bad" {
  if (tally === undefined || tally.attempts === 0) return "idle";
  const share = tally.failed / tally.attempts;
  return share < WELL_BELOW ? "well" : share < 0.5 ? "shaky" : "bad";
}

export function countOf(minutes: readonly MinuteView[], outcomes: readonly Outcome[]): number {
  let count = 0;
  for (const minute of minutes) for (const outcome of outcomes) count += minute.outcomes[outcome] ?? 0;
  return count;
}

function tally(minutes: readonly MinuteView[]): { whole: number; mended: number; judged: number } {
  const whole = countOf(minutes, WHOLE);
  const lost = minutes.reduce((sum, minute) => sum + minute.lost, 0);
  return { whole, mended: countOf(minutes, MENDED), judged: whole + lost };
}
