import { expect, it } from "vitest";
import type { Rest } from "../../core/upstream-state.ts";
import { en } from "../texts/en.ts";
import { describeRests } from "./rests.ts";

const rest = (part: string | undefined, more: Partial<Rest> = {}): Rest => ({
  ...{ part, why: "outage", failure: "upstream_status", status: 503, lastedMs: 9_000, waitMs: 400, isAsked: false, waiting: 0 },
  ...more,
});

it.each([
  [
    [rest(undefined, { failure: "upstream_unreachable", status: undefined })],
    "Out for 9.0 s (could not be reached). Asked again in 400 ms.",
  ],
  [[rest("m", { waiting: 3 })], "m: out for 9.0 s (answers HTTP 503). Asked again in 400 ms. 3 requests wait for that."],
  [
    [rest("m", { isAsked: true, waiting: 1 })],
    "m: out for 9.0 s (answers HTTP 503). It is being asked now. 1 request waits for that.",
  ],
  [
    [rest("m", { why: "breaker", waitMs: 0 })],
    "m: resting for 9.0 s after too many failures (answers HTTP 503). The next request asks again.",
  ],
  [
    [rest("m"), rest("n", { waitMs: 90, waiting: 2 }), rest("o", { lastedMs: 12_000 })],
    "m, n, o: out for 12 s (answers HTTP 503). Asked again in 90 ms. 2 requests wait for that.",
  ],
] as const)("%j is told as %j", (rests, expected) => {
  expect(describeRests(rests as never, en)).toBe(expected);
});

it("names few of very many models", () => {
  const many = Array.from({ length: 20 }, (_, n) => rest(`m${n}`)) as [Rest, ...Rest[]];
  expect(describeRests(many, en, 80)).toMatch(/^m0, m1, m2, m3 and 96 more: out/);
});
