/** The four questions of somebody who has never seen this page, and their answers in words. */
import type { ComponentChildren, JSX } from "preact";
import type { DashboardView } from "../../telemetry/history/view.ts";
import { formatClock, formatCount } from "../format.ts";
import type { Texts } from "../texts/en.ts";
import { useTexts } from "../texts.ts";
import { type Blame, isItWorking, whoseFault } from "../verdict.ts";
import { describeRests } from "./rests.ts";

const MAX_CAUSES = 3;

export function FourAnswers({ view }: { view: DashboardView }): JSX.Element {
  return (
    <section class="answers" aria-label="Perennial">
      <IsItWorking view={view} />
      <WhatBroke view={view} />
      <WhoseFault view={view} />
      <WhatWasSaved view={view} />
    </section>
  );
}

interface AnswerProps {
  question: string;
  answer: string;
  unit?: string;
  tone: "good" | "warn" | "bad" | "calm";
  children: ComponentChildren;
}

function Answer({ question, answer, unit, tone, children }: AnswerProps): JSX.Element {
  return (
    <article class={`answer tone-${tone}`}>
      <h2>{question}</h2>
      <p class="big">
        {answer} {unit && <small>{unit}</small>}
      </p>
      {children}
    </article>
  );
}

function IsItWorking({ view }: { view: DashboardView }): JSX.Element {
  const texts = useTexts();
  const { working } = texts;
  const is = isItWorking(view);
  const { question } = working;
  if (is.is === "out") {
    return (
      <Answer question={question} answer={working.out} tone="bad">
        <p>
          <b>{is.upstream.name}</b>: {describeRests([is.rest], texts)}
        </p>
      </Answer>
    );
  }
  if (!("when" in is)) {
    const url = `${location.origin}/v1`;
    return (
      <Answer question={question} answer={working.idle} tone="calm">
        <p>{is.is === "idle" ? working.idleText(url) : working.quietText}</p>
      </Answer>
    );
  }
  const when = is.when === "lately" ? working.lately : working.hour;
  const text =
    is.is !== "yes"
      ? working.someLost(is.whole, is.judged, when)
      : is.mended > 0
        ? working.allMended(is.judged, is.mended, when)
        : working.allWhole(is.judged, when);
  return (
    <Answer question={question} answer={working[is.is]} tone={is.is === "yes" ? "good" : is.is === "mostly" ? "warn" : "bad"}>
      <p>{text}</p>
    </Answer>
  );
}

/** Those that cannot be asked at all, whether or not anybody has met them. */
function namesOfOut({ upstreams }: DashboardView): string[] {
  return upstreams.filter(({ rests }) => rests.some(({ part }) => part === undefined)).map(({ name }) => name);
}

function WhatBroke({ view }: { view: DashboardView }): JSX.Element {
  const { broke, code: words } = useTexts();
  const [first, ...others] = [...byCode(view.causes)];
  const out = namesOfOut(view);
  if (first === undefined) {
    const [name] = out;
    if (name !== undefined) {
      return (
        <Answer question={broke.question} answer={broke.out(name)} tone="warn">
          {out.length > 1 && <p>{broke.outNow(out.join(", "))}</p>}
        </Answer>
      );
    }
    return (
      <Answer question={broke.question} answer={broke.nothing} tone="calm">
        <p>{broke.nothingText}</p>
      </Answer>
    );
  }
  const [code, count] = first;
  return (
    <Answer question={broke.question} answer={broke.times(count)} unit={words[code]} tone="warn">
      <ul class="plain">
        {others.slice(0, MAX_CAUSES - 1).map(([code, count]) => (
          <li key={code}>
            {broke.times(count)} {words[code]}
          </li>
        ))}
      </ul>
      {others.length >= MAX_CAUSES && <p>{broke.more(others.length - MAX_CAUSES + 1)}</p>}
      {out.length > 0 && <p>{broke.outNow(out.join(", "))}</p>}
    </Answer>
  );
}

function byCode(causes: DashboardView["causes"]): Map<DashboardView["causes"][number]["code"], number> {
  const counts = new Map<DashboardView["causes"][number]["code"], number>();
  for (const { code, count } of causes) counts.set(code, (counts.get(code) ?? 0) + count);
  return new Map([...counts].sort(([, a], [, b]) => b - a));
}

function WhoseFault({ view }: { view: DashboardView }): JSX.Element {
  const { fault: words, broke } = useTexts();
  const { causes, tallies } = view;
  const blames = whoseFault(causes);
  const [worst] = blames;
  const [out] = namesOfOut(view);
  if (worst === undefined && out !== undefined) {
    return (
      <Answer question={words.question} answer={words.upstream} tone="warn">
        <p>{broke.out(out)}</p>
      </Answer>
    );
  }
  if (worst === undefined) {
    return (
      <Answer question={words.question} answer={words.nobody} tone="calm">
        <p>{words.nobodyText}</p>
      </Answer>
    );
  }
  return (
    <Answer question={words.question} answer={words[worst.fault]} tone={worst.fault === "perennial" ? "bad" : "warn"}>
      {blames.map((blame) => (
        <p key={blame.fault}>{describeBlame(blame, tallies, words)}</p>
      ))}
    </Answer>
  );
}

function describeBlame({ fault, count, upstream }: Blame, tallies: DashboardView["tallies"], words: Texts["fault"]): string {
  switch (fault) {
    case "upstream": {
      const { failed, attempts } = tallies.find(({ name }) => name === upstream) ?? { failed: count, attempts: count };
      return words.upstreamText(upstream ?? "", failed, attempts);
    }
    case "request":
      return words.requestText(count);
    case "client":
      return words.clientText(count);
    case "perennial":
      return words.perennialText(count);
  }
}

function WhatWasSaved({ view: { today, startedAt } }: { view: DashboardView }): JSX.Element {
  const { saved, lang } = useTexts();
  const { recovered, resumed, repaired, characters, interrupted } = today;
  const count = recovered + resumed;
  const since = today.since === startedAt ? saved.since(formatClock(startedAt, lang)) : saved.today;
  return (
    <Answer question={saved.question} answer={String(count)} unit={saved.answers(count)} tone={count > 0 ? "good" : "calm"}>
      {count === 0 ? (
        <p>{saved.nothingText}</p>
      ) : (
        <p>
          {saved.text(since)} {characters > 0 && saved.characters(formatCount(characters))}
        </p>
      )}
      <p class="kinds">
        {[saved.asked(recovered), saved.resumed(resumed), saved.repaired(repaired)].filter(Boolean).map((text) => (
          <span key={text}>{text}</span>
        ))}
      </p>
      {interrupted > 0 && <p>{saved.told(interrupted)}</p>}
    </Answer>
  );
}
