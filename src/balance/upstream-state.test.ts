import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Failure } from "../core/failure.ts";
import { createUpstreamShared, type UpstreamShared } from "./candidate.ts";
import type { Asker, Turn } from "./outage-gate.ts";
import { stateOf } from "./upstream-state.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["performance", "setTimeout", "clearTimeout"] }));
afterEach(() => void vi.useRealTimers());

const { signal } = new AbortController();
const asker = (isNew = true): Asker => ({
  ...{ arrivedAt: performance.now(), asked: 0, isNew, signal },
  pace: { limitMs: 25_000, pauseMs: () => 1_000 },
});
const busy = new Failure("upstream_status", "S3CRET", { status: 503, outage: "answer" });
const gone = new Failure("upstream_unreachable", "S3CRET", { outage: "connection" });
const out = async ({ outages }: UpstreamShared, part: string, failure: Failure): Promise<unknown> =>
  ((await outages.enter(part, asker())) as Turn).isOut(failure);
const restsOf = (shared: UpstreamShared) => stateOf(shared, [], undefined).rests;

it("says what is out, why, for how long, and when it is asked again, but nothing of what it said", async () => {
  const shared = createUpstreamShared(undefined);
  expect(stateOf(shared, [], undefined)).toEqual({
    ...{ open: 0, rests: [], counts: { outage: 0, breaker: 0 }, keys: [], health: undefined },
  });
  await out(shared, "m", busy);
  shared.outages.rest("n", new Failure("empty_stream", "S3CRET"), 10_000);
  await out(shared, "o", gone);
  vi.advanceTimersByTime(400);
  const common = { lastedMs: 400, isAsked: false, waiting: 0 };
  expect(restsOf(shared)).toEqual([
    { ...common, part: undefined, why: "outage", failure: "upstream_unreachable", status: undefined, waitMs: 600 },
    { ...common, part: "m", why: "outage", failure: "upstream_status", status: 503, waitMs: 600 },
    { ...common, part: "n", why: "breaker", failure: "empty_stream", status: undefined, waitMs: 9_600 },
  ]);
  expect(stateOf(shared, [], undefined).counts).toEqual({ outage: 2, breaker: 1 });
});

it("says who waits, that one asks, and that it is over", async () => {
  const shared = createUpstreamShared(undefined);
  await out(shared, "m", busy);
  const [first, second] = [shared.outages.enter("m", asker(false)), shared.outages.enter("m", asker(false))];
  expect(restsOf(shared)).toMatchObject([{ waiting: 2, isAsked: false }]);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(restsOf(shared)).toMatchObject([{ waiting: 1, isAsked: true, waitMs: 0 }]);
  ((await first) as Turn).works();
  await second;
  expect(restsOf(shared)).toEqual([]);
});

it("forgets what is too old to go by", async () => {
  const shared = createUpstreamShared(undefined);
  await out(shared, "m", busy);
  vi.advanceTimersByTime(121_000);
  expect(restsOf(shared)).toEqual([]);
});

it("is bounded, and hides the query of a path, whatever clients ask for", async () => {
  const shared = createUpstreamShared(undefined);
  await out(shared, "/files?key=S3CRET", busy);
  for (let n = 0; n < 99; n++) await out(shared, `${n}${"m".repeat(5_000)}`, busy);
  const state = stateOf(shared, [], undefined);
  expect([state.rests.length, state.counts]).toEqual([20, { outage: 100, breaker: 0 }]);
  expect(state.rests[0]?.part).toBe("/files");
  expect(JSON.stringify(state)).not.toContain("S3CRET");
  expect(JSON.stringify(state).length).toBeLessThan(10_000);
});

it("tells of keys by their number: refused for all, or limited for some models", () => {
  const shared = createUpstreamShared(undefined);
  const keys = ["k1-S3CRET", "k2-S3CRET", "k3-S3CRET"];
  shared.credential("k1-S3CRET").rest("m", { status: 401, retryAfterMs: undefined });
  shared.credential("k2-S3CRET").rest("m", { status: 429, retryAfterMs: 5_000 });
  shared.credential("k2-S3CRET").rest("n", { status: 429, retryAfterMs: 9_000 });
  const state = stateOf(shared, keys, { isUp: true, agoMs: 3 });
  expect(state).toMatchObject({
    health: { isUp: true },
    keys: [
      { number: 1, rest: { why: "refused", status: 401, waitMs: 600_000, parts: undefined } },
      { number: 2, rest: { why: "limited", status: 429, waitMs: 5_000, parts: 2 } },
      { number: 3, rest: undefined },
    ],
  });
  expect(JSON.stringify(state)).not.toContain("S3CRET");
  vi.advanceTimersByTime(9_001);
  expect(stateOf(shared, keys, undefined).keys[1]?.rest).toBeUndefined();
});
