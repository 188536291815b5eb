/** One stream's own page: what happened to it, in order and in words, and how it ended. */
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { StreamPageView, StreamView } from "../../telemetry/history/view.ts";
import { formatBytes, formatClock, formatMs } from "../format.ts";
import { useTexts } from "../texts.ts";
import { momentsOf } from "./moments.ts";
import { OutcomeBadge } from "./outcome-badge.tsx";
import { StreamTexts } from "./stream-texts.tsx";
import { Track } from "./track.tsx";

const EVERY_MS = 1_000;

export function StreamPage({ id }: { id: string }): JSX.Element {
  const { stream: words } = useTexts();
  const stream = useStream(id);
  const heading = useRef<HTMLHeadingElement>(null);
  // Who uses the keyboard, or hears the page, goes on from here.
  useEffect(() => heading.current?.focus(), []);
  return (
    <section class="card stream" aria-labelledby="stream-title">
      <p>
        <a href="#/">← {words.back}</a>
      </p>
      <h1 id="stream-title" tabIndex={-1} ref={heading}>
        {words.title} <code>{id}</code>
      </h1>
      {stream === "looking" ? (
        <p class="empty">{words.looking}</p>
      ) : stream === "unknown" ? (
        <p class="empty">{words.unknown}</p>
      ) : (
        <Found stream={stream} />
      )}
    </section>
  );
}

function Found({ stream }: { stream: StreamPageView }): JSX.Element {
  const texts = useTexts();
  const { stream: words, state: states } = texts;
  const { state } = stream;
  return (
    <>
      <p class="end">
        {state.at === "ended" ? (
          <>
            <OutcomeBadge outcome={state.outcome} /> {texts.outcomeText[state.outcome]}
          </>
        ) : (
          <>
            <span class={`badge badge-${state.at}`}>{states[state.at]}</span> {words.now[state.at]}
          </>
        )}
      </p>
      <Track stream={stream} />
      <div class="columns">
        <div class="column">
          <h2>{words.timeline}</h2>
          <ol class="moments">
            {momentsOf(stream, texts).map(({ atMs, text, kind }, index) => (
              <li key={index} class={`moment moment-${kind}`}>
                <time>{atMs === undefined ? "" : formatMs(atMs)}</time>
                <span>{text}</span>
              </li>
            ))}
          </ol>
        </div>
        <div class="column">
          <Facts stream={stream} />
          <p class="muted">{stream.texts ? words.shown : words.private}</p>
        </div>
      </div>
      {stream.texts && <StreamTexts texts={stream.texts} />}
    </>
  );
}

function Facts({ stream }: { stream: StreamView }): JSX.Element {
  const { stream: words, lang, code, faultOf } = useTexts();
  const { facts } = words;
  const { state } = stream;
  const end = state.at === "ended" ? state : undefined;
  const rows: readonly (readonly [string, string | number | undefined])[] = [
    [facts.model, stream.model],
    [facts.upstream, stream.upstream],
    [facts.dialect, `${stream.dialect}, ${stream.streamed ? words.streamed : words.whole}`],
    [facts.asked, formatClock(stream.startedAt, lang, true)],
    [end ? facts.took : facts.running, formatMs(stream.ms)],
    [facts.attempts, stream.attempts.at(-1)?.n ?? 0],
    [facts.firstToken, stream.firstTokenMs === undefined ? undefined : formatMs(stream.firstTokenMs)],
    [facts.longestGap, stream.longestGapMs === undefined ? undefined : formatMs(stream.longestGapMs)],
    [facts.characters, stream.characters || undefined],
    [facts.events, stream.events || undefined],
    [facts.bytes, formatBytes(stream.bytes)],
    [facts.paidTwice, end?.paidTwice && words.paidTwice[end.paidTwice.from](end.paidTwice.tokens)],
    [facts.status, end?.status],
    [facts.why, end?.failure && `${code[end.failure]} (${end.failure})`],
    [facts.seams, end?.seams.length ? end.seams.join(", ") : undefined],
    [facts.whose, end?.fault && faultOf[end.fault]],
  ];
  return (
    <dl class="facts">
      {rows.map(([name, value]) => {
        if (value === undefined) return null;
        return (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        );
      })}
    </dl>
  );
}

type Found = StreamPageView | "looking" | "unknown";

/** Asked for again until it has ended. */
function useStream(id: string): Found {
  const [found, setFound] = useState<Found>("looking");
  useEffect(() => {
    const gone = new AbortController();
    let again: ReturnType<typeof setTimeout> | undefined;
    const ask = async (): Promise<void> => {
      const told = await fetchStream(id, gone.signal);
      if (gone.signal.aborted) return;
      if (told !== "unreachable") setFound(told);
      const isOver = typeof told === "object" && told.state.at === "ended";
      if (!isOver && told !== "unknown") again = setTimeout(ask, EVERY_MS);
    };
    void ask();
    return () => {
      gone.abort();
      clearTimeout(again);
    };
  }, [id]);
  return found;
}

/** Ours are of these characters; what is not of them need not be asked for. */
const ID = /^[\w-]{1,64}$/;

async function fetchStream(id: string, signal: AbortSignal): Promise<StreamPageView | "unknown" | "unreachable"> {
  if (!ID.test(id)) return "unknown";
  try {
    const response = await fetch(`dashboard/streams/${id}`, { signal });
    if (!response.ok) return "unreachable";
    const told = (await response.json()) as StreamPageView | { unknown: true };
    return "unknown" in told ? "unknown" : told;
  } catch {
    return "unreachable";
  }
}
