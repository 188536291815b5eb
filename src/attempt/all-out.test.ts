/** All upstreams are out: whether a request waits, where, and what its client is told when it does not. */
import { expect, test, vi } from "vitest";
import { type Candidate, createUpstreamShared } from "../balance/candidate.ts";
import type { OutageView } from "../balance/outage-gate.ts";
import type { Attempt } from "../core/attempt.ts";
import { Failure } from "../core/failure.ts";
import type { Upstream } from "../upstream/upstream.ts";
import { createAttemptPolicy, type PastAttempt } from "./attempt-policy.ts";
import { FAILOVER_CAUSES } from "./failover.ts";

const RETRY = {
  maxAttempts: 3,
  outage: 10_000,
  maxRetryAfter: 60_000,
  backoff: { initial: 1, factor: 2, max: 5, jitter: false },
};
const down = (name: string): Failure => new Failure("upstream_unreachable", `${name} is down`, { outage: "connection" });
const failing = (name: string): Failure => new Failure("upstream_status", `${name} fails`, { status: 500 });

interface Case {
  /** For how long each has been out, and is yet, in milliseconds; where it rests, as one that fails too often. */
  readonly out: Readonly<
    Record<string, { readonly lasted?: number; readonly wait: number; readonly rests?: boolean } | undefined>
  >;
  /** By which it came to be asked about: the outage of the one that failed last. @defaultValue nothing has failed */
  readonly view?: Partial<OutageView>;
  readonly remainingMs?: number;
  /** Two keys of one upstream. */
  readonly sameAs?: Readonly<Record<string, string>>;
}

function decide({ out, view, remainingMs = 3_600_000, sameAs = {} }: Case): string {
  vi.useFakeTimers();
  try {
    const candidates = Object.keys(out).map((name) => {
      const shared = createUpstreamShared(undefined);
      return {
        upstream: { name } as Upstream,
        share: { priority: 0, weight: 1 },
        model: undefined,
        shared,
        policy: {},
      } as Candidate;
    });
    const all = candidates.map((candidate) => {
      const other = candidates.find(({ upstream }) => upstream.name === sameAs[candidate.upstream.name]);
      return other === undefined ? candidate : { ...candidate, shared: other.shared };
    });
    const states = Object.values(out);
    const longest = Math.max(...states.map((state) => state?.lasted ?? 0));
    for (let ms = longest; ms >= 0; ms -= 100) {
      all.forEach(({ shared: { outages }, upstream: { name } }, index) => {
        const state = states[index];
        if (state === undefined || (state.lasted ?? 0) !== ms) return;
        if (state.rests) outages.rest("m", failing(name), ms + state.wait);
        else outages.closeConnection(down(name), ms + state.wait);
      });
      if (ms > 0) vi.advanceTimersByTime(100);
    }
    const [first] = all;
    const failure = down(first?.upstream.name ?? "");
    const attempt = { number: 1, upstream: "a", failure: failure.code } as Attempt;
    const plan = { candidate: first as Candidate, ask: "as-asked", delayMs: 0, acceptEmpty: false } as const;
    const history: PastAttempt[] = view === undefined ? [] : [{ attempt, plan, failure }];
    const policy = createAttemptPolicy({
      candidates: all,
      failover: { on: new Set(FAILOVER_CAUSES), codes: new Set() },
      retry: RETRY,
      part: "m",
      ...{ model: "m", kind: "passthrough", idempotent: true, hasTools: false },
      refusedAsks: () => new Set(),
    });
    const outage = view && { failure, lastedMs: 0, waitMs: 0, ...view };
    const decision = policy.next({ history, state: { at: "waiting" }, remainingMs, outage });
    if ("giveUp" in decision) {
      const { code, message, retryAfterMs } = decision.giveUp;
      return `${code}: ${message}, ${retryAfterMs}`;
    }
    const { candidate, delayMs, atGate } = decision.plan;
    return `${candidate.upstream.name} in ${delayMs}${atGate ? " at its gate" : ""}`;
  } finally {
    vi.useRealTimers();
  }
}

const NONE = "circuit_open: none of the upstreams can be asked";
const BOTH = `${NONE} (a: a is down; b: b is down)`;
const both = (wait = 500, lasted = 0) => ({ a: { wait, lasted }, b: { wait: wait + 300, lasted } });

test.each<[string, Case, string]>([
  ["one that is not out is asked at once", { out: { a: { wait: 500 }, b: undefined }, view: {} }, "b in 0"],
  ["else where the first of them is asked next", { out: both(), view: {} }, "a in 500 at its gate"],
  ["whichever that is", { out: { a: { wait: 900 }, b: { wait: 300 } }, view: {} }, "b in 300 at its gate"],
  ["for as long as an outage may last", { out: both(500, 9_900), view: {} }, "a in 500 at its gate"],
  ["and no longer: then when to come back is told", { out: both(500, 10_000), view: {} }, `${BOTH}, 10000`],
  [
    "as long as the one that went out last",
    { out: { a: { wait: 500, lasted: 20_000 }, b: { wait: 900, lasted: 100 } }, view: {} },
    "a in 500 at its gate",
  ],
  ["and no longer than this request was kept by outages", { out: both(), view: { keptMs: 9_995 } }, `${BOTH}, 10000`],
  ["until then it is", { out: both(), view: { keptMs: 9_994 } }, "a in 500 at its gate"],
  ["not into its deadline", { out: both(), view: {}, remainingMs: 500 }, `${BOTH}, 10000`],
  ["but until just before it", { out: both(), view: {}, remainingMs: 501 }, "a in 500 at its gate"],
  ["not for longer than may be waited for", { out: both(60_001), view: {} }, `${BOTH}, 60001`],
  ["but for as long", { out: both(60_000), view: {} }, "a in 60000 at its gate"],
  [
    "an upstream with two keys is one",
    { out: { a: { wait: 60_001 }, a2: undefined, b: { wait: 60_001 } }, sameAs: { a2: "a" }, view: {} },
    `${BOTH}, 60001`,
  ],
  [
    "what rests is not waited for by a new request that it would keep too long",
    { out: { a: { wait: 10_001, rests: true }, b: { wait: 10_001, rests: true } } },
    `${NONE} (a: a fails; b: b fails), 10001`,
  ],
  [
    "but as long as an outage may last",
    { out: { a: { wait: 10_000, rests: true }, b: { wait: 10_001, rests: true } } },
    "a in 0",
  ],
  [
    "nor into its deadline",
    { out: { a: { wait: 500, rests: true }, b: { wait: 500, rests: true } }, remainingMs: 499 },
    `${NONE} (a: a fails; b: b fails), 1000`,
  ],
  ["what is merely down may be back at any time", { out: both(60_001) }, "a in 0"],
])("%s", (_what, it, words) => {
  expect(decide(it)).toBe(words);
});
