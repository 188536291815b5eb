/** What runs now: each stream with how far it is; those in trouble come first. */
import type { JSX } from "preact";
import type { DashboardView, StreamView } from "../../telemetry/history/view.ts";
import { formatBytes, formatCount, formatMs } from "../format.ts";
import { useTexts } from "../texts.ts";
import { Track } from "./track.tsx";

const STATES = ["flowing", "waiting", "held", "queued", "retrying"] as const;

export function OpenStreams({ view: { open, maxStreams, heldBytes } }: { view: DashboardView }): JSX.Element {
  const { now } = useTexts();
  const hidden = open.count - open.streams.length;
  return (
    <section class="card" aria-labelledby="open-title">
      <h2 id="open-title">
        {now.title} <b class="count">{open.count}</b> <small class="muted">{now.of(formatCount(maxStreams))}</small>
      </h2>
      {open.count === 0 ? (
        <p class="empty">{now.none}</p>
      ) : (
        <>
          <p class="chips">
            {STATES.filter((state) => open[state] > 0).map((state) => (
              <span key={state} class={`chip chip-${state}`}>
                <b>{open[state]}</b> {now.counts[state]}
              </span>
            ))}
            {open.perSecond > 0 && <span class="chip">{now.perSecond(formatCount(open.perSecond))}</span>}
            {heldBytes > 0 && <span class="chip">{now.held(formatBytes(heldBytes))}</span>}
          </p>
          <ol class="rows">
            {open.streams.map((stream) => (
              <li key={stream.id}>
                <OpenRow stream={stream} />
              </li>
            ))}
          </ol>
          {hidden > 0 && <p class="muted">{now.more(hidden)}</p>}
        </>
      )}
    </section>
  );
}

function OpenRow({ stream }: { stream: StreamView }): JSX.Element {
  const { state, row } = useTexts();
  const at = stream.state.at === "ended" ? "flowing" : stream.state.at;
  const tried = stream.attempts.at(-1)?.n ?? 0;
  return (
    <a class="row" href={`#/stream/${stream.id}`} data-state={at}>
      <span class={`badge badge-${at}`}>{state[at]}</span>
      <span class="name">
        <b>{stream.model ?? row.noModel}</b>
        <small>
          {stream.upstream}
          {tried > 1 && ` · ${row.attempt(tried)}`}
        </small>
      </span>
      <Track stream={stream} />
      <span class="figures">
        <span>{row.characters(formatCount(stream.characters))}</span>
        <small>{stream.perSecond === undefined ? " " : row.rate(formatCount(stream.perSecond))}</small>
      </span>
      <span class="age">{formatMs(stream.ms)}</span>
    </a>
  );
}
