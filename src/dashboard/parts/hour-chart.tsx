/** Outcomes of the last hour as a stacked picture, one pile for each minute. */
import type { JSX } from "preact";
import type { Outcome } from "../../core/outcome.ts";
import type { MinuteView } from "../../telemetry/history/view.ts";
import { formatClock } from "../format.ts";
import { useTexts } from "../texts.ts";
import { countOf } from "../verdict.ts";
import { HourFrame } from "./hour-frame.tsx";
import { GLYPHS, OUTCOMES } from "./outcome-badge.tsx";

const HEIGHT = 120;
const STEP = 10;
const BAR = 7;

export function HourChart({ minutes }: { minutes: readonly MinuteView[] }): JSX.Element {
  const texts = useTexts();
  const highest = Math.max(1, ...minutes.map((minute) => countOf([minute], OUTCOMES)));
  const seen = OUTCOMES.map((outcome) => [outcome, countOf(minutes, [outcome])] as const).filter(([, count]) => count > 0);
  const summary = seen.map(([outcome, count]) => `${count} ${texts.outcome[outcome]}`).join(", ");
  return (
    <section class="card part-hour" aria-labelledby="hour-title">
      <h2 id="hour-title">
        {texts.hour.title} <small class="muted">{texts.hour.text}</small>
      </h2>
      {seen.length === 0 && <p class="empty">{texts.hour.empty}</p>}
      <HourFrame most={seen.length > 0 ? texts.hour.most(highest) : ""}>
        <svg
          class="hour"
          viewBox={`0 0 ${minutes.length * STEP} ${HEIGHT}`}
          preserveAspectRatio="none"
          role="img"
          aria-label={`${texts.hour.text}: ${summary || texts.hour.empty}`}
        >
          {minutes.map((minute, index) => (
            <Pile key={minute.at} minute={minute} x={index * STEP} scale={HEIGHT / highest} />
          ))}
        </svg>
      </HourFrame>
      <ul class="legend">
        {seen.map(([outcome, count]) => (
          <li key={outcome} class={`outcome outcome-${outcome}`} title={texts.outcomeText[outcome]}>
            <span aria-hidden="true">{GLYPHS[outcome]}</span> {texts.outcome[outcome]} <b>{count}</b>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Pile({ minute, x, scale }: { minute: MinuteView; x: number; scale: number }): JSX.Element {
  const texts = useTexts();
  const present: (readonly [Outcome, number])[] = OUTCOMES.flatMap((outcome) => {
    const count = minute.outcomes[outcome] ?? 0;
    return count > 0 ? [[outcome, count] as const] : [];
  });
  let top = HEIGHT;
  const said = present.map(([outcome, count]) => `${count} ${texts.outcome[outcome]}`).join(", ");
  return (
    <g>
      <title>{`${formatClock(minute.at, texts.lang)}${said === "" ? "" : `: ${said}`}`}</title>
      <rect class="pile-ground" x={x} y={0} width={STEP} height={HEIGHT} />
      {present.map(([outcome, count]) => {
        top -= count * scale;
        return (
          <rect
            key={outcome}
            class={`fill-${outcome}`}
            x={x + (STEP - BAR) / 2}
            y={top}
            width={BAR}
            height={count * scale}
            rx={1}
          />
        );
      })}
    </g>
  );
}
