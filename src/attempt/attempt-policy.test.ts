import { describe, expect, test } from "vitest";
import type { Candidate, UpstreamPolicy } from "../balance/candidate.ts";
import type { Attempt } from "../core/attempt.ts";
import { Failure, type FailureCode, type FailureDetails } from "../core/failure.ts";
import type { Upstream } from "../upstream/upstream.ts";
import { type AttemptPolicyOptions, createAttemptPolicy, type Decision, type RunState } from "./attempt-policy.ts";

const BACKOFF = { initial: 1_000, factor: 2, max: 3_000, jitter: false };
const FOR_EVER = 3_600_000;

interface Setup extends Partial<Pick<AttemptPolicyOptions, "kind" | "idempotent">> {
  readonly maxAttempts?: number;
  readonly policy?: Partial<UpstreamPolicy>;
  readonly jitter?: boolean;
  readonly random?: number;
  readonly state?: RunState;
  readonly remainingMs?: number;
}

function candidateWith(policy: Partial<UpstreamPolicy>): Candidate {
  return {
    upstream: { name: "main" } as Upstream,
    model: undefined,
    policy: {
      timeouts: { firstToken: 1, alive: 1, idle: 1, total: 1, unstreamed: 1, stream: false },
      gate: { toolCalls: "hold", holdFor: 1 },
      emptyFallback: "last",
      requireDone: false,
      nonStreaming: "direct",
      recovery: "error",
      resume: {
        proof: "auto",
        maxAttempts: 1,
        minChars: 40,
        tail: 24,
        tools: "refuse",
        structured: "refuse",
        background: false,
      },
      continuation: "off",
      ...policy,
    },
  };
}

const attempt: Attempt = { number: 1, upstream: "main", startedAt: 0, durationMs: 0, failure: undefined, status: undefined };

/** What is decided after these failures, in their order. */
function after(failures: readonly Failure[], setup: Setup = {}): Decision {
  const candidate = candidateWith(setup.policy ?? {});
  const policy = createAttemptPolicy(
    {
      candidate,
      retry: {
        maxAttempts: setup.maxAttempts ?? 4,
        backoff: { ...BACKOFF, jitter: setup.jitter ?? false },
        maxRetryAfter: 60_000,
      },
      kind: setup.kind ?? "streamed",
      idempotent: setup.idempotent ?? true,
    },
    () => setup.random ?? 0,
  );
  const plan = { candidate, ask: "as-asked", delayMs: 0, acceptEmpty: false } as const;
  return policy.next({
    history: failures.map((failure) => ({ attempt, plan, failure })),
    state: setup.state ?? { at: "waiting" },
    remainingMs: setup.remainingMs ?? FOR_EVER,
  });
}

/** In few words: `give up`, or how it is asked, after which wait, and whether an empty answer would do. */
function inWords(decision: Decision): string {
  if ("giveUp" in decision) return "give up";
  const { ask, delayMs, acceptEmpty } = decision.plan;
  return `${ask} in ${delayMs}${acceptEmpty ? ", empty will do" : ""}`;
}

const fails = (code: FailureCode, details?: FailureDetails): Failure => new Failure(code, code, details);
const cut = fails("stream_truncated");
const nothing = fails("empty_stream");
const wholeButEmpty = fails("empty_stream", { formallyWhole: true });
const late = fails("first_token_timeout");
const garbage = fails("stream_corrupted");
const slowDown = (retryAfterMs: number): Failure => fails("upstream_status", { status: 429, retryAfterMs });
const NEXT = { policy: { emptyFallback: "next" } } as const;

describe("what is tried next", () => {
  test.each<[string, Failure[], Setup, string]>([
    ["the first attempt, at once", [], {}, "as-asked in 0"],
    ["none when the time is up already", [], { remainingMs: 0 }, "give up"],
    ["the only attempt may find nothing", [], { maxAttempts: 1 }, "as-asked in 0, empty will do"],
    ["after a cut, after a wait", [cut], {}, "as-asked in 1000"],
    ["after two, after a longer one", [cut, cut], {}, "as-asked in 2000"],
    ["after three, after backoff.max", [cut, cut, cut], {}, "as-asked in 3000"],
    ["after maxAttempts, nothing", [cut, cut, cut, cut], {}, "give up"],
    ["jitter takes up to half of the wait off", [cut], { jitter: true, random: 0 }, "as-asked in 500"],
    ["and adds nothing", [cut], { jitter: true, random: 1 }, "as-asked in 1000"],
    ["what must not be sent twice is not", [cut], { idempotent: false, kind: "passthrough" }, "give up"],
    ["once a client has content, nothing", [cut], { state: { at: "committed", attempt } }, "give up"],
    ["once the run is over, nothing", [cut], { state: { at: "over" } }, "give up"],
    ["not into the deadline", [cut], { remainingMs: 1_000 }, "give up"],
    ["but just before it", [cut], { remainingMs: 1_001 }, "as-asked in 1000"],
    ["as the upstream asks", [slowDown(60_000)], {}, "as-asked in 60000"],
    ["at once when it says 0", [slowDown(0)], {}, "as-asked in 0"],
    ["not when it asks for more than maxRetryAfter", [slowDown(60_001)], {}, "give up"],
    ["what would fail again", [fails("upstream_status", { scope: "never" })], {}, "give up"],
    ["what only another upstream may serve", [fails("upstream_status", { scope: "elsewhere" })], {}, "give up"],
    ["the deadline", [fails("deadline_exceeded")], {}, "give up"],
    ["a late first token, once more", [late], {}, "as-asked in 1000"],
    ["not a third time, whatever came between", [late, cut, late], {}, "give up"],
    ["not of an upstream that is alive", [fails("first_token_timeout", { scope: "elsewhere" })], {}, "give up"],
    ["the client left", [fails("client_gone")], {}, "give up"],
  ])("%s", (_what, failures, setup, expected) => {
    expect(inWords(after(failures, setup))).toBe(expected);
  });
});

describe("an answer that may be empty", () => {
  test.each<[string, Failure[], Setup, string]>([
    ["the last of all that were whole and empty", [wholeButEmpty], { maxAttempts: 2 }, "whole in 1000, empty will do"],
    ["not before the last", [wholeButEmpty], { maxAttempts: 3 }, "as-asked in 1000"],
    ["not after another failure", [cut, wholeButEmpty], { maxAttempts: 3 }, "as-asked in 2000"],
    ["not after one without a good end", [nothing], { maxAttempts: 2 }, "whole in 1000"],
    ["not streamed", [wholeButEmpty], { maxAttempts: 2, kind: "whole" }, "as-asked in 1000, empty will do"],
  ])("%s", (_what, failures, setup, expected) => {
    expect(inWords(after(failures, setup))).toBe(expected);
  });
});

describe("how it is asked", () => {
  test.each<[string, Failure[], Setup, string]>([
    ["last: whole only when all were empty", [nothing, nothing, nothing], {}, "whole in 3000"],
    ["last: not when one was cut", [nothing, cut, nothing], {}, "as-asked in 3000"],
    ["next: whole at once after an empty stream", [nothing], NEXT, "whole in 0"],
    ["next: whole at once after bytes that are no stream", [garbage], NEXT, "whole in 0"],
    ["next: whole from then on, after a wait", [nothing, cut], NEXT, "whole in 2000"],
    ["next: as asked after a cut", [cut], NEXT, "as-asked in 1000"],
    ["next: never where nothing is streamed", [nothing], { ...NEXT, kind: "whole" }, "as-asked in 1000"],
    ["off: as asked", [nothing], { maxAttempts: 2, policy: { emptyFallback: "off" } }, "as-asked in 1000"],
    ["via a stream", [], { kind: "whole", policy: { nonStreaming: "viaStream" } }, "via-stream in 0"],
    ["via a stream, not what is streamed", [], { policy: { nonStreaming: "viaStream" } }, "as-asked in 0"],
    [
      "via a stream, not what is passed through",
      [],
      { kind: "passthrough", policy: { nonStreaming: "viaStream" } },
      "as-asked in 0",
    ],
  ])("%s", (_what, failures, setup, expected) => {
    expect(inWords(after(failures, setup))).toBe(expected);
  });
});

test("gives up with the failure that came last", () => {
  expect(after([nothing, cut], { maxAttempts: 2 })).toEqual({ giveUp: cut });
});
