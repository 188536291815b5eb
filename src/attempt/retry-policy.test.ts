import { expect, test } from "vitest";
import { Failure } from "../core/failure.ts";
import { createRetryPolicy } from "./retry-policy.ts";

const options = { maxAttempts: 4, backoff: { initial: 1_000, factor: 2, max: 3_000, jitter: false }, maxRetryAfter: 60_000 };
const cut = new Failure("stream_truncated", "cut");

test("waits longer after each failure, up to backoff.max, and gives up after maxAttempts", () => {
  const policy = createRetryPolicy(options);
  expect([1, 2, 3, 4].map((attempt) => policy.delayAfter(attempt, cut))).toEqual([1_000, 2_000, 3_000, undefined]);
});

test("jitter takes up to half of the wait off, and adds nothing", () => {
  const jittered = { ...options, backoff: { ...options.backoff, jitter: true } };
  expect(createRetryPolicy(jittered, () => 0).delayAfter(1, cut)).toBe(500);
  expect(createRetryPolicy(jittered, () => 1).delayAfter(1, cut)).toBe(1_000);
});

test("asks at once where the second attempt asks otherwise, and waits before the third", () => {
  const policy = createRetryPolicy({ ...options, otherwiseAfter: new Set(["empty_stream"]) });
  const empty = new Failure("empty_stream", "nothing");
  expect([policy.delayAfter(1, empty), policy.delayAfter(2, empty), policy.delayAfter(1, cut)]).toEqual([0, 2_000, 1_000]);
});

test("never tries again what would fail again", () => {
  const policy = createRetryPolicy(options);
  expect(policy.delayAfter(1, new Failure("upstream_status", "400", { retryable: false }))).toBeUndefined();
  expect(policy.delayAfter(1, new Failure("deadline_exceeded", "late"))).toBeUndefined();
  expect(policy.delayAfter(1, new Failure("client_gone", "gone"))).toBeUndefined();
});

test("waits as long as the upstream asks, and gives up when it asks for more than maxRetryAfter", () => {
  const policy = createRetryPolicy(options);
  const asking = (retryAfterMs: number): Failure => new Failure("upstream_status", "429", { retryAfterMs });
  expect(policy.delayAfter(1, asking(60_000))).toBe(60_000);
  expect(policy.delayAfter(1, asking(0))).toBe(0);
  expect(policy.delayAfter(1, asking(60_001))).toBeUndefined();
});
