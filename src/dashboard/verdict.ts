/** What the page says at its top, worked out from the numbers: is it working, what broke, whose fault, what was saved. */
import type { Outcome } from "../core/outcome.ts";
import type { Rest } from "../core/upstream-state.ts";
import type { CauseView, DashboardView, Fault, MinuteView, UpstreamView } from "../telemetry/history/view.ts";

const WHOLE = ["complete", "recovered", "repaired", "resumed"] as const satisfies readonly Outcome[];
const MENDED = ["recovered", "repaired", "resumed"] as const satisfies readonly Outcome[];
/** What has just happened is judged by itself: an outage that is over must not look as if it went on. */
const LATELY = 5;

export type Working =
  /** Nothing was asked at all, or nothing in the last hour. */
  | { readonly is: "idle" | "quiet" }
  /** Whoever could answer is out, or requests wait for one that is. */
  | { readonly is: "out"; readonly upstream: UpstreamView; readonly rest: Rest }
  | {
      readonly is: "yes" | "mostly" | "no";
      readonly when: "lately" | "hour";
      readonly whole: number;
      readonly mended: number;
      /** Whole and lost together; what clients broke off, and what was refused, is not judged. */
      readonly judged: number;
    };

export function isItWorking({
  total,
  minutes,
  upstreams,
  upstreamCount,
}: Pick<DashboardView, "total" | "minutes" | "upstreams" | "upstreamCount">): Working {
  const out = whoIsOut({ upstreams, upstreamCount });
  if (out !== undefined) return { is: "out", ...out };
  const lately = tally(minutes.slice(-LATELY));
  const [when, counted] = lately.judged > 0 ? (["lately", lately] as const) : (["hour", tally(minutes)] as const);
  const { whole, judged } = counted;
  if (judged === 0) return { is: total === 0 ? "idle" : "quiet" };
  const is = whole === judged ? "yes" : whole * 2 >= judged ? "mostly" : "no";
  return { is, when, ...counted };
}

/** What is over as soon as one has read it is no outage to speak of. */
const WORTH_TELLING_MS = 1_500;

/** That for which most requests wait; where none waits, the first of the upstreams, if all of them are out. */
export function whoIsOut({
  upstreams,
  upstreamCount,
}: Pick<DashboardView, "upstreams" | "upstreamCount">): { upstream: UpstreamView; rest: Rest } | undefined {
  const waited = upstreams.flatMap((upstream) =>
    upstream.rests.flatMap((rest) => (rest.waiting > 0 && rest.lastedMs >= WORTH_TELLING_MS ? [{ upstream, rest }] : [])),
  );
  const [most] = waited.sort((a, b) => b.rest.waiting - a.rest.waiting);
  if (most !== undefined) return most;
  const out = upstreams.flatMap((upstream) => {
    const rest = upstream.rests.find(({ part }) => part === undefined);
    return rest === undefined ? [] : [{ upstream, rest }];
  });
  return out.length === upstreamCount ? out[0] : undefined;
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

/** An upstream's condition: what is known of this moment, else by the last five minutes if it was asked in them. */
export function conditionOf(
  { rests, keys }: Pick<UpstreamView, "rests" | "keys">,
  tally: { readonly attempts: number; readonly failed: number } | undefined,
): "out" | "partly" | "keyless" | "idle" | "well" | "shaky" | "bad" {
  if (rests.some(({ part }) => part === undefined)) return "out";
  if (keys.length > 0 && keys.every(({ rest }) => rest !== undefined)) return "keyless";
  if (rests.length > 0) return "partly";
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
