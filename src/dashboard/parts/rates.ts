/** How much of the rate limits is used, in words. */
import type { RateLimitView, RateSnapshot } from "../../balance/rate/rate-policy.ts";
import { formatCount, formatMs } from "../format.ts";
import type { Texts } from "../texts/en.ts";

/** Limits that are told of one owner: there may be some for each of very many models. */
const MAX_LIMITS = 6;

/** What is used of each limit, those that have the least left first. */
export function describeLimits({ limits }: RateSnapshot, words: Texts["rates"]): string {
  const left = ({ used, limit }: RateLimitView): number => 1 - used / limit;
  const shown = limits.length <= MAX_LIMITS ? limits : [...limits].sort((a, b) => left(a) - left(b)).slice(0, MAX_LIMITS);
  const told = shown.map((limit) => describeLimit(limit, words));
  return [...told, ...(limits.length > shown.length ? [words.more(limits.length - shown.length)] : [])].join(" · ");
}

/** Who waits for them, and for what; empty while all pass. */
export function describeWait({ waiting, heldMs }: RateSnapshot, words: Texts["rates"]): string {
  return [heldMs > 0 && words.held(formatMs(heldMs)), waiting > 0 && words.waiting(waiting)].filter(Boolean).join(" ");
}

function describeLimit({ what, model, limit, perMs, used }: RateLimitView, words: Texts["rates"]): string {
  const said =
    what === "concurrent"
      ? words.concurrent(formatCount(used), formatCount(limit))
      : words[what](formatCount(used), formatCount(limit), words.per[unitOf(perMs)]);
  return model === undefined ? said : words.ofModel(model, said);
}

/** The units in which rates are configured. */
function unitOf(perMs = 0): keyof Texts["rates"]["per"] {
  if (perMs < 60_000) return "s";
  if (perMs < 3_600_000) return "m";
  return perMs < 86_400_000 ? "h" : "d";
}
