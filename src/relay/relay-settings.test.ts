/** What of a policy is a client's own choice, and under which name a limit is told that it has met. */
import { expect, test } from "vitest";
import { relayed } from "../../test/support/relayed.ts";
import type { Exchange, PolicyOverrides } from "../core/exchange.ts";
import { Failure } from "../core/failure.ts";
import { nameLimit, narrowSettings } from "./relay-settings.ts";

const timeouts = { firstToken: "10s", idle: "20s", total: "30s", unstreamed: "40s", alive: "50s" };
const { settings, exchangeOf } = relayed(
  { a: () => {}, b: () => {} },
  { upstreams: { a: { timeouts, recovery: "resume" }, b: { timeouts: { firstToken: "5s", idle: "4s", total: "8s" } } } },
);
const exchangeWith = (overrides: PolicyOverrides, attempts: object[] = []): Exchange =>
  ({ ...exchangeOf(), overrides, attempts }) as Exchange;

function narrowed(overrides: PolicyOverrides) {
  const { retry, offers } = narrowSettings(settings, exchangeWith(overrides));
  return [
    retry.maxAttempts,
    ...offers.map(({ policy: { timeouts, recovery, gate } }) => [
      ...[timeouts.firstToken, timeouts.idle, timeouts.total, timeouts.unstreamed].map((ms) => ms / 1_000),
      ...[recovery, gate.open],
    ]),
  ];
}

test.each<[string, PolicyOverrides, unknown[]]>([
  ["nothing", {}, [3, [10, 20, 30, 40, "resume", "content"], [5, 4, 8, 32, "error", "content"]]],
  [
    "all of it, stricter",
    { maxAttempts: 2, firstTokenMs: 1_000, idleMs: 2_000, totalMs: 3_000, recovery: "error", gateOpen: "whole" },
    [2, [1, 2, 3, 3, "error", "whole"], [1, 2, 3, 3, "error", "whole"]],
  ],
  [
    "all of it, laxer: only when it is shown its answer is its own to say",
    { maxAttempts: 9, firstTokenMs: 1e9, idleMs: 1e9, totalMs: 1e9, recovery: "continue", gateOpen: "content" },
    [3, [10, 20, 30, 40, "resume", "content"], [5, 4, 8, 32, "error", "content"]],
  ],
  [
    "each as far as it is stricter",
    { firstTokenMs: 7_000, idleMs: 7_000, totalMs: 35_000, recovery: "resume" },
    [3, [7, 7, 30, 35, "resume", "content"], [5, 4, 8, 32, "error", "content"]],
  ],
])("a client that asks for %s", (_what, overrides, expected) => {
  expect(narrowed(overrides)).toEqual(expected);
});

test("what else holds for an upstream holds on", () => {
  const narrow = narrowSettings(settings, exchangeWith({ totalMs: 1_000 }));
  expect({ ...narrow, offers: [] }).toEqual({ ...settings, offers: [] });
  const [offer] = settings.offers;
  expect(narrow.offers[0]).toEqual({
    ...offer,
    policy: { ...offer?.policy, timeouts: { ...offer?.policy.timeouts, total: 1_000, unstreamed: 1_000 } },
  });
});

test.each<[string, PolicyOverrides, string | undefined, string]>([
  ["timeouts.firstToken", { firstTokenMs: 1_000 }, "a", "x-perennial-first-token-timeout"],
  ["timeouts.firstToken", { firstTokenMs: 60_000 }, "a", "timeouts.firstToken"],
  ["timeouts.firstToken", { idleMs: 1_000 }, "a", "timeouts.firstToken"],
  ["timeouts.idle", { idleMs: 1_000 }, "a", "x-perennial-idle-timeout"],
  // It is longer than that of the upstream that was asked last, and shorter than the other's.
  ["timeouts.idle", { idleMs: 10_000 }, "b", "timeouts.idle"],
  ["timeouts.idle", { idleMs: 10_000 }, "a", "x-perennial-idle-timeout"],
  ["timeouts.total", { totalMs: 1_000 }, "a", "x-perennial-total-timeout"],
  ["timeouts.total", { totalMs: 60_000 }, "a", "timeouts.total"],
  // Of all of them together, whichever was asked, or none.
  ["timeouts.total", { totalMs: 20_000 }, "b", "x-perennial-total-timeout"],
  ["timeouts.total", { totalMs: 20_000 }, undefined, "x-perennial-total-timeout"],
  ["timeouts.unstreamed", { totalMs: 35_000 }, "b", "x-perennial-total-timeout"],
  ["timeouts.unstreamed", { totalMs: 60_000 }, "b", "timeouts.unstreamed"],
  ["timeouts.firstToken", { firstTokenMs: 1_000 }, undefined, "timeouts.firstToken"],
  ["timeouts.alive", { firstTokenMs: 1_000, idleMs: 1_000, totalMs: 1_000 }, "a", "timeouts.alive"],
])("a failure at %s, of a client with %o, when %s was asked, names %s", (setting, overrides, upstream, named) => {
  // One that was merely slower than another was not the one.
  const attempts = upstream === undefined ? [] : [{ upstream }, { upstream: upstream === "a" ? "b" : "a", lost: true }];
  const exchange = exchangeWith(overrides, attempts);
  const failure = new Failure("stream_stalled", "late", { setting, status: 418 });
  const told = nameLimit(failure, narrowSettings(settings, exchange), exchange);
  expect([told.setting, told.code, told.message, told.status]).toEqual([named, "stream_stalled", "late", 418]);
});

test("a failure at no limit is told as it is", () => {
  const failure = new Failure("stream_truncated", "cut");
  const exchange = exchangeWith({ totalMs: 1_000 });
  expect(nameLimit(failure, narrowSettings(settings, exchange), exchange)).toBe(failure);
});
