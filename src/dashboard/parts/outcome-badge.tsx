/** How a stream ended, as a word, a colour and a shape: no one of them alone. */
import type { JSX } from "preact";
import type { Outcome } from "../../core/outcome.ts";
import { useTexts } from "../texts.ts";

export const GLYPHS: Readonly<Record<Outcome, string>> = {
  complete: "●",
  recovered: "◆",
  repaired: "■",
  resumed: "▶",
  interrupted: "▲",
  failed: "✖",
  rejected: "⊘",
  cancelled: "○",
};

/** From what is good to what is not: the order of every legend, and of every pile. */
export const OUTCOMES = Object.keys(GLYPHS) as readonly Outcome[];

export function OutcomeBadge({ outcome }: { outcome: Outcome }): JSX.Element {
  const texts = useTexts();
  return (
    <span class={`badge outcome outcome-${outcome}`} title={texts.outcomeText[outcome]}>
      <span aria-hidden="true">{GLYPHS[outcome]}</span> {texts.outcome[outcome]}
    </span>
  );
}
