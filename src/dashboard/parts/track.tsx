/** A stream's life as a strip: attempts that failed, pauses, the wait for the first word, and the text that flowed. */
import type { JSX } from "preact";
import type { StreamView } from "../../telemetry/history/view.ts";

export interface Segment {
  readonly kind: "broken" | "pause" | "waiting" | "flowing";
  readonly fromMs: number;
  readonly toMs: number;
}

/** Less of the whole is not worth a speck; a break always is. */
const LEAST_SHARE = 0.012;

export function segmentsOf({ attempts, committedMs, ms, state }: StreamView): Segment[] {
  const segments: Segment[] = [];
  let last = 0;
  for (const attempt of attempts) {
    const fromMs = Math.max(attempt.atMs, last);
    const toMs = Math.max(fromMs, Math.min(ms, attempt.atMs + attempt.ms));
    if (fromMs > last) segments.push({ kind: "pause", fromMs: last, toMs: fromMs });
    const hasWon = attempt === attempts.at(-1) && committedMs !== undefined;
    if (hasWon) {
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

/** For the eye alone: what it shows is said in words beside it. */
export function Track({ stream }: { stream: StreamView }): JSX.Element {
  const total = Math.max(stream.ms, 1);
  const segments = segmentsOf(stream).filter(
    ({ kind, fromMs, toMs }) => kind === "broken" || toMs - fromMs >= total * LEAST_SHARE,
  );
  const isLive = stream.state.at !== "ended";
  return (
    <span class={`track${isLive ? " live" : ""}`} aria-hidden="true">
      {segments.map(({ kind, fromMs, toMs }) => (
        <i
          key={`${kind}${fromMs}`}
          class={`seg seg-${kind}`}
          style={{ flexGrow: Math.max(1_000 * (toMs - fromMs), total) / total }}
        />
      ))}
    </span>
  );
}
