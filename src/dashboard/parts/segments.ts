/** What a stream went through, from its arrival on, as spans of time without a gap. */
import type { AttemptView, StreamView } from "../../telemetry/history/view.ts";

export interface Segment {
  readonly kind: "broken" | "pause" | "waiting" | "flowing";
  readonly fromMs: number;
  readonly toMs: number;
}

/** Attempts that were to go on with an answer that its client had some of. */
export function legsOf({ attempts, committedMs }: StreamView): readonly AttemptView[] {
  return committedMs === undefined ? [] : attempts.filter(({ atMs }) => atMs > committedMs);
}

export function segmentsOf(stream: StreamView): Segment[] {
  const { attempts, committedMs, ms, state } = stream;
  // Of what a leg brought that was refused, its client has seen nothing.
  const refused = new Set(state.at === "ended" ? legsOf(stream).slice(state.seams.length) : []);
  const segments: Segment[] = [];
  let last = 0;
  for (const attempt of attempts) {
    const fromMs = Math.max(attempt.atMs, last);
    const toMs = Math.max(fromMs, Math.min(ms, attempt.atMs + attempt.ms));
    if (attempt.lost) {
      // What ran beside it goes on from there.
      if (toMs > fromMs) segments.push({ kind: "waiting", fromMs, toMs });
      last = toMs;
      continue;
    }
    if (fromMs > last) segments.push({ kind: "pause", fromMs: last, toMs: fromMs });
    // Also one that broke later: what it had brought was the client's.
    if (committedMs !== undefined && committedMs <= toMs && !refused.has(attempt)) {
      const firstMs = Math.min(Math.max(committedMs, fromMs), toMs);
      segments.push({ kind: "waiting", fromMs, toMs: firstMs }, { kind: "flowing", fromMs: firstMs, toMs });
      if (attempt.failure !== undefined) segments.push({ kind: "broken", fromMs: toMs, toMs });
    } else {
      const isWhole = attempt.failure === undefined && state.at === "ended";
      segments.push({ kind: attempt.failure !== undefined ? "broken" : isWhole ? "flowing" : "waiting", fromMs, toMs });
    }
    last = toMs;
  }
  if (last < ms && state.at !== "ended") segments.push({ kind: "pause", fromMs: last, toMs: ms });
  return segments;
}
