/** What a strict reader makes of an upstream's body: the events that count, and whether they may, must or must not be called whole. */
import type { Case } from "./case.ts";
import { ChatchatRules } from "./chatchat-rules.ts";
import { ChoicesRules } from "./choices-rules.ts";
import { LENIENCIES } from "./leniencies.ts";
import { MessagesRules } from "./messages-rules.ts";
import { ResponsesRules } from "./responses-rules.ts";
import type { Rules } from "./rules.ts";
import { type Item, readSse, type SseEvent } from "./strict-sse.ts";

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
/** The ways in which the body may be read: where a last event lacks its blank line, with and without it. */
export function readStrictly(played: Case): readonly Reading[] {
  const { items, tail, torn } = readSse(played.body);
  const ways: [items: readonly Item[], torn: boolean][] = [[items, torn]];
  if (tail !== undefined) ways.push([[...items, { odd: NO_BLANK_LINE }, tail], false]);
  return ways.flatMap(([items, torn]) => {
    const reading = readItems(played, items, torn);
    const { oddAt } = reading;
    // What had finished may be over where something odd comes, so that what is behind that was never read.
    return oddAt === undefined ? [reading] : [reading, readItems(played, [...items.slice(0, oddAt), { odd: FINISHED }], false)];
  });
}

function readItems(played: Case, items: readonly Item[], torn: boolean): Reading & { readonly oddAt: number | undefined } {
  const rules = rulesFor(played);
  const kept: string[] = [];
  const odd = new Set<string>();
  let ended = false;
  let least: number | undefined;
  let oddAt: number | undefined;
  for (const [at, item] of items.entries()) {
    const finished = rules.isFinished();
    const note = (name: string): void => {
      const behind = finished && !LENIENCIES.has(name);
      if (behind) {
        least ??= kept.length;
        oddAt ??= at;
      }
      odd.add(behind ? FINISHED : name);
    };
    if ("odd" in item) {
      rules.onOdd?.(item.odd);
      if (!rules.allowsStrayLines && / on a line |a line that is cut/.test(item.odd)) note(`on a native route, ${item.odd}`);
      else note(item.odd);
      continue;
    }
    if (item.data === undefined) {
      if (item.event === "error") note("an error event");
      else if (/[{}"]/.test(item.event)) note("debris of JSON for a name");
      else note(rules.isPart(item.event) ? "a part without its data" : "a name alone");
      continue;
    }
    const event: SseEvent = item;
    const use = rules.onEvent(event, note);
    if (use === "keep" || use === "end and keep") kept.push(event.data);
    ended = use === "end" || use === "end and keep";
    if (ended) break;
  }
  rules.atEnd({ ended, how: played.end, torn }, (name) => odd.add(name));
  if (played.end === "reset") odd.add("a reset");
  const worst = [...odd].filter((name) => !LENIENCIES.has(name));
  const verdict = worst.length > 0 ? "broken" : odd.size > 0 ? "either" : "whole";
  return { verdict, kept, least: least ?? kept.length, oddAt, odd: worst.length > 0 ? worst : [...odd] };
}
