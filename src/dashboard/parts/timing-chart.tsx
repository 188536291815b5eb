/** How long streams make one wait: the median and the slowest hundredth, now and over the last hour. */
import type { JSX } from "preact";
import type { TimingView } from "../../telemetry/history/view.ts";
import { formatMs } from "../format.ts";
import { useTexts } from "../texts.ts";
import { HourFrame } from "./hour-frame.tsx";

const WIDTH = 240;
const HEIGHT = 44;

export function TimingChart({
  what,
  timing: { hour, minutes },
}: {
  what: "firstToken" | "longestGap";
  timing: TimingView;
}): JSX.Element {
  const { timing: words } = useTexts();
  const id = `timing-${what}`;
  const most = Math.max(1, ...minutes.map((minute) => minute?.p99 ?? 0));
  return (
    <section class="card timing" aria-labelledby={id}>
      <h2 id={id}>{words[what]}</h2>
      {hour === undefined ? (
        <p class="empty">{words.none}</p>
      ) : (
        <>
          <p class="percentiles">
            <span>
              <b>{formatMs(hour.p50)}</b> <small class="key-p50">p50</small>
            </span>
            <span>
              <b>{formatMs(hour.p99)}</b> <small class="key-p99">p99</small>
            </span>
            <small class="muted">{words.of(hour.count)}</small>
          </p>
          <HourFrame most={formatMs(most)}>
            <svg class="spark" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
              <Line minutes={minutes} of="p99" most={most} />
              <Line minutes={minutes} of="p50" most={most} />
              {minutes.map((minute, index) => (
                <rect
                  key={index}
                  class="minute"
                  x={(index / minutes.length) * WIDTH}
                  y={0}
                  width={WIDTH / minutes.length}
                  height={HEIGHT}
                >
                  <title>
                    {words.minute(minutes.length - 1 - index, minute && [formatMs(minute.p50), formatMs(minute.p99)])}
                  </title>
                </rect>
              ))}
            </svg>
          </HourFrame>
        </>
      )}
    </section>
  );
}

function Line({ minutes, of, most }: { minutes: TimingView["minutes"]; of: "p50" | "p99"; most: number }): JSX.Element {
  const points = minutes.flatMap((minute, index) => {
    if (minute === null) return [];
    const x = ((index + 0.5) / minutes.length) * WIDTH;
    return [`${x.toFixed(1)},${(HEIGHT - 3 - (minute[of] / most) * (HEIGHT - 6)).toFixed(1)}`];
  });
  const [only] = points;
  // One minute alone is a dash.
  const path = points.length === 1 && only !== undefined ? [only, only.replace(/^[\d.]+/, (x) => String(Number(x) - 4))] : points;
  return <polyline class={`line-${of}`} points={path.join(" ")} />;
}
