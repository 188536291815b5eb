/** What has ended lately: how, why, and whose fault it was. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { StreamView } from "../../telemetry/history/view.ts";
import { formatClock, formatMs } from "../format.ts";
import { useTexts } from "../texts.ts";
import { OutcomeBadge } from "./outcome-badge.tsx";
import { Track } from "./track.tsx";

const FEW = 12;

type Chosen = "all" | "troubled";

export function LatestStreams({ all, troubled }: Readonly<Record<Chosen, readonly StreamView[]>>): JSX.Element {
  const { recent } = useTexts();
  const [isLong, setLong] = useState(false);
  const [chosen, setChosen] = useState<Chosen>("all");
  const streams = chosen === "all" ? all : troubled;
  const hidden = streams.length - FEW;
  return (
    <section class="card part-latest" aria-labelledby="latest-title">
      <div class="latest-head">
        <h2 id="latest-title">{recent.title}</h2>
        <fieldset class="choices">
          <legend class="unseen">{recent.choose}</legend>
          {(["all", "troubled"] as const).map((each) => (
            <button key={each} type="button" class="tool" aria-pressed={chosen === each} onClick={() => setChosen(each)}>
              {recent[each]}
            </button>
          ))}
        </fieldset>
      </div>
      {streams.length === 0 ? (
        <p class="empty">{all.length === 0 ? recent.none : recent.noneTroubled}</p>
      ) : (
        <ol class="rows">
          {streams.slice(0, isLong ? undefined : FEW).map((stream) => (
            <li key={stream.id}>
              <EndedRow stream={stream} />
            </li>
          ))}
        </ol>
      )}
      {hidden > 0 && !isLong && (
        <button type="button" class="tool more" onClick={() => setLong(true)}>
          {recent.more(hidden)}
        </button>
      )}
    </section>
  );
}

function EndedRow({ stream }: { stream: StreamView }): JSX.Element | null {
  const texts = useTexts();
  if (stream.state.at !== "ended") return null;
  return (
    <a class="row" href={`#/stream/${stream.id}`} data-state={stream.state.outcome}>
      <OutcomeBadge outcome={stream.state.outcome} />
      <span class="name">
        <b>{stream.model ?? texts.row.noModel}</b>
        <small>
          <WhyInShort stream={stream} />
        </small>
      </span>
      <Track stream={stream} />
      <span class="figures">
        <span>{formatMs(stream.ms)}</span>
        <small>{stream.streamed ? texts.stream.streamed : texts.stream.whole}</small>
      </span>
      <span class="age">{formatClock(stream.startedAt, texts.lang, true)}</span>
    </a>
  );
}

/** What failed, or what had failed before it came out well. */
function WhyInShort({ stream }: { stream: StreamView }): JSX.Element {
  const { code, faultOf } = useTexts();
  const { state, attempts, upstream } = stream;
  const failure = state.at === "ended" ? state.failure : undefined;
  const fault = state.at === "ended" ? state.fault : undefined;
  if (failure !== undefined) {
    return (
      <>
        {code[failure]}
        {fault && ` · ${fault === "upstream" ? (upstream ?? faultOf.upstream) : faultOf[fault]}`}
      </>
    );
  }
  const broken = attempts.flatMap(({ failure }) => (failure === undefined ? [] : [code[failure]]));
  return <>{broken.length === 0 ? upstream : `${[...new Set(broken)].join(", ")} · ${upstream}`}</>;
}
