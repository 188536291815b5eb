import { expect, it } from "vitest";
import type { RateSnapshot } from "../../balance/rate/rate-policy.ts";
import { TEXTS } from "../texts.ts";
import { describeLimits, describeWait } from "./rates.ts";

const limit = (what: "requests" | "tokens" | "concurrent", used: number, perMs?: number, model?: string) => ({
  ...{ what, model, used, perMs, limit: 2_000 },
});
const snapshot: RateSnapshot = {
  ...{ scope: "key", name: "app", waiting: 3, heldMs: 1_500 },
  limits: [limit("requests", 12, 60_000), limit("tokens", 90, 86_400_000, "m"), limit("concurrent", 7)],
};

it.each([
  [
    "en",
    "12 of 2.0k requests a minute · m: 90 of 2.0k tokens a day · 7 of 2.0k at a time",
    "It has said that its own limit is used up for another 1.5 s. 3 requests wait for a place within the rate limit.",
  ],
  [
    "zh",
    "请求 12 / 2.0k（每分钟） · m：token 90 / 2.0k（每天） · 并发 7 / 2.0k",
    "上游称自己的限额已用完，1.5 s 后恢复。 3 个请求在等限额。",
  ],
] as const)("limits are told as far as they are used: %s", (language, used, wait) => {
  const words = TEXTS[language].rates;
  expect(describeLimits(snapshot, words)).toBe(used);
  expect(describeWait(snapshot, words)).toBe(wait);
  expect(describeWait({ ...snapshot, waiting: 0, heldMs: 0 }, words)).toBe("");
});

it("of very many models those are named that have the least left", () => {
  const limits = Array.from({ length: 20 }, (_, n) => limit("requests", n, 1_000, `m${n}`));
  const told = describeLimits({ ...snapshot, limits }, TEXTS.en.rates);
  expect(told).toMatch(/^m19: 19 of 2\.0k requests a second · m18: .* · m14: [^·]* · 14 more$/);
});
