/** What of an upstream is not asked now, in words. */
import type { Rest } from "../../core/upstream-state.ts";
import type { UpstreamView } from "../../telemetry/history/view.ts";
import { formatMs } from "../format.ts";
import type { Texts } from "../texts/en.ts";

/** Models whose names are told, of those that are out in the same way. */
const MAX_PARTS = 4;

type Group = readonly [Rest, ...Rest[]];

/** Those that are out for the same reason as one: a gateway may have a hundred models. */
export function alike(rests: readonly Rest[]): Group[] {
  const groups = new Map<string, [Rest, ...Rest[]]>();
  for (const rest of rests) {
    const { part, why, failure, status } = rest;
    const key = JSON.stringify([part === undefined, why, failure, status]);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [rest]);
    else group.push(rest);
  }
  return [...groups.values()];
}

/** How many more are out than the feed names; told beside the largest group of their kind. */
export function hiddenOf(group: Group, { rests, counts }: UpstreamView): number {
  const [{ why, part }] = group;
  const ofKind = alike(rests.filter((rest) => rest.why === why && rest.part !== undefined));
  const largest = ofKind.reduce<Group | undefined>((most, each) => (most && most.length >= each.length ? most : each), undefined);
  const isLargest = part !== undefined && largest?.[0].part === part;
  return isLargest ? counts[why] - rests.filter((rest) => rest.why === why).length : 0;
}

/** What rests, why, and until when; of several the one that is asked again first. */
export function describeRests(group: Group, texts: Texts, hidden = 0): string {
  const { upstreams: words, code } = texts;
  const { why, failure, status } = group[0];
  const reason = status === undefined ? code[failure] : words.answers(status);
  const names = group.flatMap(({ part }) => (part === undefined ? [] : [part]));
  const parts = words.parts(names.slice(0, MAX_PARTS).join(words.separator), Math.max(0, names.length - MAX_PARTS) + hidden);
  const lasted = formatMs(Math.max(...group.map(({ lastedMs }) => lastedMs)));
  const next = group.reduce((first, each) => (each.isAsked || each.waitMs < first.waitMs ? each : first));
  const waiting = group.reduce((sum, each) => sum + each.waiting, 0);
  return [
    why === "breaker" ? words.rests(parts, reason, lasted) : words.isOut(parts, reason, lasted),
    nextAsk(next, words),
    waiting > 0 && words.waiting(waiting),
  ]
    .filter(Boolean)
    .join(" ");
}

function nextAsk({ waitMs, isAsked }: Rest, words: Texts["upstreams"]): string {
  if (isAsked) return words.askedNow;
  return waitMs > 0 ? words.askedIn(formatMs(waitMs)) : words.askedNext;
}
