/** A stream's life as a strip: attempts that failed, pauses, the wait for the first word, and the text that flowed. */
import type { JSX } from "preact";
import type { StreamView } from "../../telemetry/history/view.ts";
import { segmentsOf } from "./segments.ts";

/** Less of the whole is not worth a speck; a break always is. */
const LEAST_SHARE = 0.012;

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
