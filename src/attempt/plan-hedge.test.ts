import { expect, test } from "vitest";
import { type Candidate, createUpstreamShared } from "../balance/candidate.ts";
import type { Attempt } from "../core/attempt.ts";
import { Failure } from "../core/failure.ts";
import type { Upstream } from "../upstream/upstream.ts";
import { type AttemptPolicyOptions, createAttemptPolicy, type PastAttempt, type RunView } from "./attempt-policy.ts";
import { FAILOVER_CAUSES } from "./failover.ts";

const policy = { emptyFallback: "last", nonStreaming: "direct" } as Candidate["policy"];
const upstreamOf = (name: string, shared = createUpstreamShared(undefined)): Candidate => {
  return { upstream: { name } as Upstream, share: { priority: 0, weight: 1 }, model: undefined, shared, policy };
};
const attempt: Attempt = { number: 1, upstream: "a", startedAt: 0, durationMs: 0, failure: undefined, status: undefined };

function setUp(options: Partial<AttemptPolicyOptions> = {}, names = ["a", "b"]) {
  const candidates = names.map((name) => upstreamOf(name));
  const taken: boolean[] = [];
  const { next, hedge } = createAttemptPolicy(
    {
      candidates,
      failover: { on: new Set(FAILOVER_CAUSES), codes: new Set() },
      retry: { maxAttempts: 3, outage: 1, backoff: { initial: 0, factor: 1, max: 0, jitter: false }, maxRetryAfter: 0 },
      part: "m",
      model: "m",
      kind: "streamed",
      idempotent: true,
      hasTools: false,
      refusedAsks: () => new Set(),
      hedge: { afterMs: () => 70, take: () => taken.push(true) > 0 },
      ...options,
    },
    () => 0,
  );
  const view = (history: readonly PastAttempt[] = []): RunView => ({ history, state: { at: "waiting" }, remainingMs: 1_000 });
  const planned = (history: readonly PastAttempt[] = []) => {
    const decision = next(view(history));
    if ("giveUp" in decision) throw decision.giveUp;
    return decision.plan;
  };
  const failedAt = (candidate: Candidate | undefined): PastAttempt => ({
    attempt,
    plan: { candidate: candidate as Candidate, ask: "as-asked", delayMs: 0, acceptEmpty: false },
    failure: new Failure("upstream_status", "HTTP 500", { status: 500 }),
  });
  const second = (history: readonly PastAttempt[] = []) => hedge?.(view(history), planned(history))?.candidate.upstream.name;
  return { candidates, taken, planned, failedAt, second };
}

test.each<[string, number | undefined, Partial<AttemptPolicyOptions>, string[]?]>([
  ["a streamed answer that another upstream could give", 70, {}],
  ["one that nobody else could give", undefined, {}, ["a"]],
  ["one that is not streamed", undefined, { kind: "whole" }],
  ["what is passed through", undefined, { kind: "passthrough" }],
  ["what must not be sent twice", undefined, { idempotent: false }],
  ["hedge: off", undefined, { hedge: undefined }],
  ["while nothing is known of the route", undefined, { hedge: { afterMs: () => undefined, take: () => true } }],
])("%s is hedged after %s ms", (_what, afterMs, options, names) => {
  expect(setUp(options, names).planned().hedgeAfterMs).toBe(afterMs);
});

test("not beside the last attempt that may cost something", () => {
  const { planned, failedAt, candidates } = setUp();
  const history = [failedAt(candidates[0]), failedAt(candidates[0])];
  expect([planned(history.slice(1)).hedgeAfterMs, planned(history).hedgeAfterMs]).toEqual([70, undefined]);
});

test("at another upstream that has not failed on it, is not out and has room; only then it counts", () => {
  const well = setUp();
  expect([well.second(), well.taken.length]).toEqual(["b", 1]);
  const failed = setUp();
  expect([failed.second([failed.failedAt(failed.candidates[1])]), failed.taken.length]).toEqual([undefined, 0]);
  const out = setUp();
  out.candidates[1]?.shared.outages.closeConnection(new Failure("upstream_unreachable", "down"), 60_000);
  expect([out.second(), out.taken.length]).toEqual([undefined, 0]);
  const spent = setUp({ hedge: { afterMs: () => 70, take: () => false } });
  expect(spent.second()).toBeUndefined();
});
