/** What a stream was asked and what it answered, where the configuration has it shown. */
import type { ComponentChildren, JSX } from "preact";
import type { TextView } from "../../telemetry/history/view.ts";
import { formatCount } from "../format.ts";
import { useTexts } from "../texts.ts";

export function StreamTexts({ texts }: { texts: TextView }): JSX.Element {
  const { prompt, promptLeftOut, answer, leftOut, end } = texts;
  const { words } = useTexts();
  return (
    <div class="texts">
      <Scrolling title={words.prompt}>
        {promptLeftOut > 0 && <p class="muted">{words.messagesLeftOut(promptLeftOut)}</p>}
        {prompt.map(({ role, text, leftOut }, index) => (
          <div key={index} class="said-by">
            <b>{role}</b>
            <p>{text}</p>
            {leftOut > 0 && <p class="muted">{words.leftOut(formatCount(leftOut))}</p>}
          </div>
        ))}
        {prompt.length === 0 && <p class="muted">{words.noText}</p>}
      </Scrolling>
      <Scrolling title={words.answer}>
        {answer.map(({ kind, text }, index) => (
          <div key={index} class={`said-by said-${kind}`}>
            {kind !== "text" && <b>{words.kind[kind]}</b>}
            <p>{text}</p>
          </div>
        ))}
        {leftOut > 0 && <p class="muted">{words.leftOut(formatCount(leftOut))}</p>}
        {end !== "" && <p>{end}</p>}
        {answer.length === 0 && <p class="muted">{words.noText}</p>}
      </Scrolling>
    </div>
  );
}

function Scrolling({ title, children }: { title: string; children: ComponentChildren }): JSX.Element {
  return (
    <div>
      <h2>{title}</h2>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reached by the keyboard */}
      <section class="text" tabIndex={0} aria-label={title}>
        {children}
      </section>
    </div>
  );
}
