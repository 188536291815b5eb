/** What a strict reader makes of an upstream's body: the events that count, and whether they may, must or must not be called whole. */
import type { Case } from "./case.ts";
import { ChatchatRules } from "./chatchat-rules.ts";
import { ChoicesRules } from "./choices-rules.ts";
import { LENIENCIES } from "./leniencies.ts";
import { MessagesRules } from "./messages-rules.ts";
import { ResponsesRules } from "./responses-rules.ts";
import type { Rules } from "./rules.ts";
import { type Item, readSse } from "./strict-sse.ts";

export interface Reading {
  readonly verdict: "whole" | "either" | "broken";
  /** The `data` of each event that the client is to get, its terminator left out. */
  readonly kept: readonly string[];
  /** How many of them a whole answer has at least: where it was finished before something odd came, it may end there. */
  readonly least: number;
  readonly odd: readonly string[];
}

function rulesFor({ dialect, choices }: Case): Rules {
  switch (dialect) {
    case "chat":
    case "completions":
      return new ChoicesRules(choices, true);
    case "chatchat-completions":
      return new ChoicesRules(1, false);
    case "messages":
      return new MessagesRules();
    case "responses":
      return new ResponsesRules();
    case "chatchat":
      return new ChatchatRules();
  }
}

const NO_BLANK_LINE = "an event without its blank line at the end";
const FINISHED = "finished, then something odd";
/** Only where events have names is one without data a piece that was lost. */
const NAMED: ReadonlySet<string> = new Set(["messages", "responses"]);

/** The ways in which the body may be read: where a last event lacks its blank line, with and without it. */
export function readStrictly(played: Case): readonly Reading[] {
  const { items, tail, torn } = readSse(played.body);
  const without = readItems(played, items, torn);
  if (tail === undefined) return [without];
  return [without, readItems(played, [...items, { odd: NO_BLANK_LINE }, tail], false)];
}

function readItems(played: Case, items: readonly Item[], torn: boolean): Reading {
  const rules = rulesFor(played);
  const kept: string[] = [];
  const odd = new Set<string>();
  let ended = false;
  let least: number | undefined;
  for (const item of items) {
    const finished = rules.isFinished();
    const note = (name: string): void => {
      const behind = finished && !LENIENCIES.has(name);
      if (behind) least ??= kept.length;
      odd.add(behind ? FINISHED : name);
    };
    if ("odd" in item) {
      if (!rules.allowsStrayLines && item.odd !== NO_BLANK_LINE) note(`on a native route, ${item.odd}`);
      else note(item.odd === "a name without data" && !NAMED.has(played.dialect) ? "an event name" : item.odd);
      continue;
    }
    const use = rules.onEvent(item, note);
    if (use === "keep" || use === "end and keep") kept.push(item.data);
    ended = use === "end" || use === "end and keep";
    if (ended) break;
  }
  rules.atEnd({ ended, how: played.end, torn }, (name) => odd.add(name));
  if (played.end === "reset") odd.add("a reset");
  const worst = [...odd].filter((name) => !LENIENCIES.has(name));
  const verdict = worst.length > 0 ? "broken" : odd.size > 0 ? "either" : "whole";
  return { verdict, kept, least: least ?? kept.length, odd: worst.length > 0 ? worst : [...odd] };
}
