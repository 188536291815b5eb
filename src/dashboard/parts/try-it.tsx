/** "Try it": one broken stream, twice, beside the code that reads it: straight from the sandbox, and through Perennial. */
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { formatMs } from "../format.ts";
import { useTexts } from "../texts.ts";
import { type Trial, type Way, watchTrial } from "../trial.ts";

const FAULTS = {
  empty: "chaos/empty,ok",
  close: "chaos/close,ok",
  eof: "chaos/eof:12",
  done: "chaos/done-without-finish:12",
  error: "chaos/error-fastchat:12",
} as const;
type FaultName = keyof typeof FAULTS;
const NAMES = Object.keys(FAULTS) as FaultName[];
const WAYS: readonly Way[] = ["direct", "through"];

type Trials = Partial<Record<Way, Trial>>;

export function TryIt({ startsByItself }: { startsByItself: boolean }): JSX.Element {
  const { attempt: words } = useTexts();
  const [chosen, setChosen] = useState<FaultName | undefined>(undefined);
  const [trials, setTrials] = useState<Trials>({});
  const stop = useRef<() => void>(undefined);

  const start = (name: FaultName): void => {
    stop.current?.();
    setChosen(name);
    setTrials({});
    const stops = WAYS.map((way) => watchTrial(way, FAULTS[name], (trial) => setTrials((known) => ({ ...known, [way]: trial }))));
    stop.current = () => {
      for (const each of stops) each();
    };
  };
  useEffect(() => {
    // Whoever has never seen it sees it work, without a click.
    if (startsByItself) start("empty");
    return () => stop.current?.();
  }, []);

  return (
    <section class="card try" aria-labelledby="try-title">
      <div class="try-head">
        <h2 id="try-title">{words.title}</h2>
        <p class="muted">{words.text}</p>
      </div>
      <fieldset class="faults">
        <legend class="unseen">{words.chooser}</legend>
        {NAMES.map((name) => (
          <button key={name} type="button" aria-pressed={chosen === name} onClick={() => start(name)} data-fault={name}>
            <b>{words.faults[name][0]}</b>
            <small>{words.faults[name][1]}</small>
          </button>
        ))}
      </fieldset>
      <div class="try-panes">
        <Code trial={trials.direct} />
        {WAYS.map((way) => (
          <Pane key={way} way={way} trial={trials[way]} isChosen={chosen !== undefined} />
        ))}
      </div>
    </section>
  );
}

const CODE = [
  ['let text = "";', ""],
  ["for await (const chunk of stream) {", ""],
  ['  text += chunk.choices[0]?.delta.content ?? "";', "reading"],
  ["}", ""],
  ["return text;", "over"],
] as const;

/** Where the program is that asks without Perennial: the last line, as a rule, and none the wiser. */
function Code({ trial }: { trial: Trial | undefined }): JSX.Element {
  const { attempt: words } = useTexts();
  const verdict = trial?.verdict;
  const at = trial === undefined ? "" : verdict === "running" ? "reading" : "over";
  const isFooled = verdict === "silent";
  return (
    <figure class="pane code">
      <figcaption>{words.code}</figcaption>
      {/* Focusable, since it scrolls on a phone. */}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reached by the keyboard */}
      <pre tabIndex={0}>
        {CODE.map(([line, where]) => (
          <code key={line} class={where !== "" && where === at ? `here ${isFooled ? "fooled" : ""}` : ""}>
            {line}
            {"\n"}
          </code>
        ))}
      </pre>
      {isFooled && (
        <p class="returned">
          {words.returns} <code>{JSON.stringify(shorten(trial?.text ?? ""))}</code>
        </p>
      )}
      <p class={isFooled ? "bad" : "muted"}>{words.codeNote}</p>
    </figure>
  );
}

/** Its end, where it breaks off, is what matters. */
function shorten(text: string): string {
  return text.length <= 44 ? text : `…${text.slice(-42)}`;
}

function Pane({ way, trial, isChosen }: { way: Way; trial: Trial | undefined; isChosen: boolean }): JSX.Element {
  const { attempt: words } = useTexts();
  return (
    <article class={`pane pane-${way}`} data-way={way} data-verdict={trial?.verdict ?? "none"}>
      <h3>{words[way]}</h3>
      <p class="said" aria-live="off">
        {trial?.text || (
          <span class="muted">
            {isChosen ? (trial?.verdict === "running" || !trial ? words.asking : words.silence) : words.idle}
          </span>
        )}
        {trial?.verdict === "running" && <span class="caret" aria-hidden="true" />}
      </p>
      <span class="share" aria-hidden="true">
        <i style={{ width: `${trial?.share ?? 0}%` }} />
      </span>
      <p class="verdict" role="status">
        {trial && <Verdict trial={trial} />}
      </p>
    </article>
  );
}

function Verdict({ trial }: { trial: Trial }): JSX.Element | null {
  const { attempt: words, code: codes } = useTexts();
  const { verdict, share, error, attempts, ms, id } = trial;
  if (verdict === "running") return null;
  const why = error === "" ? undefined : ((codes as Record<string, string>)[error] ?? error);
  const said = {
    complete: ["●", "good", words.told.complete],
    silent: ["✖", "bad", words.told.silent],
    error: why === undefined ? ["▲", "warn", words.told.broken] : ["▲", "warn", words.told.error(why)],
  }[verdict] as [string, string, string];
  const [glyph, tone, text] = said;
  return (
    <>
      <b class={tone}>
        <span aria-hidden="true">{glyph}</span> {text}
      </b>
      <small>
        {words.share(share)}
        {verdict === "complete" && attempts > 1 && ` · ${words.mended(formatMs(ms))}`}
        {id !== undefined && (
          <>
            {" · "}
            <a href={`#/stream/${id}`}>{words.see}</a>
          </>
        )}
      </small>
    </>
  );
}
