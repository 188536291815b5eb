import { describe, expect, test } from "vitest";
import { type Candidate, createUpstreamShared, type UpstreamPolicy } from "../balance/candidate.ts";
import type { OutageView } from "../balance/outage-gate.ts";
import type { Attempt } from "../core/attempt.ts";
import { Failure, type FailureCode, type FailureDetails } from "../core/failure.ts";
import type { Upstream } from "../upstream/upstream.ts";
import { type Ask, type AttemptPolicyOptions, createAttemptPolicy, type Decision, type RunState } from "./attempt-policy.ts";
import { FAILOVER_CAUSES } from "./failover.ts";

const BACKOFF = { initial: 1_000, factor: 2, max: 3_000, jitter: false };
const FOR_EVER = 3_600_000;

interface Setup extends Partial<Pick<AttemptPolicyOptions, "kind" | "idempotent">> {
  readonly maxAttempts?: number;
  readonly policy?: Partial<UpstreamPolicy>;
  readonly jitter?: boolean;
  readonly random?: number;
  readonly state?: RunState;
  readonly remainingMs?: number;
  readonly outage?: OutageView;
  readonly hasTools?: boolean;
  /** How each of the failed attempts was asked. @defaultValue as asked */
  readonly asks?: readonly Ask[];
  readonly refusedAsks?: readonly Ask[];
}

function candidateWith(policy: Partial<UpstreamPolicy>): Candidate {
  return {
    upstream: { name: "main" } as Upstream,
    share: { priority: 0, weight: 1 },
    model: undefined,
    shared: createUpstreamShared(undefined),
    policy: {
      timeouts: { queue: 1, firstToken: 1, alive: 1, idle: 1, total: 1, unstreamed: 1, stream: false },
      gate: { open: "content", toolCalls: "hold", holdFor: 1, lag: 0 },
      emptyFallback: "last",
      requireDone: false,
      finish: "auto",
      repairRawAnswer: false,
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
function decide(failures: readonly Failure[], setup: Setup = {}): Decision {
  const candidate = candidateWith(setup.policy ?? {});
  const policy = createAttemptPolicy(
    {
      candidates: [candidate],
      failover: { on: new Set(FAILOVER_CAUSES), codes: new Set() },
      part: "m",
      model: "m",
      retry: {
        maxAttempts: setup.maxAttempts ?? 4,
        outage: 25_000,
        backoff: { ...BACKOFF, jitter: setup.jitter ?? false },
        maxRetryAfter: 60_000,
      },
      kind: setup.kind ?? "streamed",
      idempotent: setup.idempotent ?? true,
      hasTools: setup.hasTools ?? false,
      refusedAsks: () => new Set(setup.refusedAsks),
    },
    () => setup.random ?? 0,
  );
  const planOf = (index: number) =>
    ({ candidate, ask: setup.asks?.[index] ?? "as-asked", delayMs: 0, acceptEmpty: false }) as const;
  return policy.next({
    history: failures.map((failure, index) => ({ attempt, plan: planOf(index), failure })),
    state: setup.state ?? { at: "waiting" },
    remainingMs: setup.remainingMs ?? FOR_EVER,
    outage: setup.outage,
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
    expect(inWords(decide(failures, setup))).toBe(expected);
  });
});

describe("an answer that may be empty", () => {
  test.each<[string, Failure[], Setup, string]>([
    ["the last of all that were whole and empty", [wholeButEmpty], { maxAttempts: 2 }, "whole in 1000, empty will do"],
    ["not before the last", [wholeButEmpty], { maxAttempts: 3 }, "as-asked in 1000"],
    ["not after another failure", [cut, wholeButEmpty], { maxAttempts: 3 }, "as-asked in 2000"],
    ["not after one without a good end", [nothing], { maxAttempts: 2 }, "whole in 1000"],
    [
      "next: nor after one, where a stream tells nothing",
      [nothing, nothing],
      { ...NEXT, maxAttempts: 3 },
      "whole in 2000, empty will do",
    ],
    ["next: not before the last", [nothing], { ...NEXT, maxAttempts: 3 }, "whole in 0"],
    ["next: not after another failure", [nothing, cut], { ...NEXT, maxAttempts: 3 }, "whole in 2000"],
    ["not streamed", [wholeButEmpty], { maxAttempts: 2, kind: "whole" }, "as-asked in 1000, empty will do"],
  ])("%s", (_what, failures, setup, expected) => {
    expect(inWords(decide(failures, setup))).toBe(expected);
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
    expect(inWords(decide(failures, setup))).toBe(expected);
  });
});

test("gives up with the failure that came last", () => {
  expect(decide([nothing, cut], { maxAttempts: 2 })).toMatchObject({ giveUp: { code: "stream_truncated", exhausted: true } });
});

describe("while the upstream is out", () => {
  const refused = fails("upstream_unreachable", { outage: "connection" });
  const busy = fails("upstream_status", { status: 503, outage: "answer" });
  const tooLong = fails("upstream_status", { status: 503, outage: "answer", retryAfterMs: 60_001 });
  const out = (lastedMs: number, waitMs: number, failure = busy): Setup => ({ outage: { failure, lastedMs, waitMs } });

  test.each<[string, Failure[], Setup, string]>([
    ["it is asked again as soon as it is asked at all", [busy], out(0, 1_000), "as-asked in 1000"],
    ["however often it was asked", Array(9).fill(busy), out(20_000, 5_000), "as-asked in 5000"],
    ["one that has not asked yet waits with the others", [], out(5_000, 3_000), "as-asked in 3000"],
    ["but not beyond retry.outage", [busy], out(25_000, 1_000), "give up"],
    ["until its end", [busy], out(24_990, 10), "as-asked in 10"],
    ["which holds for all that wait", [], out(25_000, 5_000), "give up"],
    ["nor when it asks for longer than retry.maxRetryAfter", [tooLong], out(0, 25_000), "give up"],
    ["nor into the deadline", [busy], { ...out(0, 1_000), remainingMs: 1_000 }, "give up"],
    ["and not again what may be sent once", [busy], { maxAttempts: 1 }, "give up"],
    ["it takes no attempt away", [busy, refused, cut], { maxAttempts: 2 }, "as-asked in 1000"],
    ["attempts are used up all the same", [cut, busy, cut], { maxAttempts: 2 }, "give up"],
    [
      "an empty answer counts as the last of the costly ones",
      [busy, wholeButEmpty],
      { maxAttempts: 2 },
      "whole in 1000, empty will do",
    ],
    ["not when it has been told to give up", [fails("upstream_status", { scope: "never" })], out(0, 1_000), "give up"],
  ])("%s", (_what, failures, setup, expected) => {
    expect(inWords(decide(failures, setup))).toBe(expected);
  });

  test("gives up in the end also where an altered request was refused before", () => {
    const refusal = fails("upstream_status", { status: 422, scope: "never" });
    const setup: Setup = { kind: "whole", policy: { nonStreaming: "viaStream" }, asks: ["via-stream"] };
    expect(inWords(decide([refusal], { ...setup, ...out(25_000, 1_000) }))).toBe("give up");
    expect(inWords(decide([refusal], { ...setup, ...out(1_000, 1_000) }))).toBe("as-asked in 1000");
  });

  test("tells the client its own last status, and when to come back", () => {
    expect(decide([busy], out(25_000, 1_000))).toMatchObject({
      giveUp: { status: 503, retryAfterMs: 25_000, exhausted: false },
    });
  });

  test("tells one that has not asked the status, and not what another was told word for word", () => {
    const reply = { status: 529, headers: { "set-cookie": "other" }, body: Buffer.from("other") };
    const overloaded = fails("upstream_status", { status: 529, outage: "answer", reply, upstreamMessage: "other" });
    const decision = decide([], out(25_000, 1_000, overloaded));
    expect(decision).toMatchObject({ giveUp: { status: 529, reply: undefined, upstreamMessage: undefined } });
  });
});

describe("what is final", () => {
  const same = fails("stream_corrupted", { fingerprint: "a" });
  const other = fails("stream_corrupted", { fingerprint: "b" });
  test.each<[string, Failure[], Setup, string]>([
    ["garbage is asked again", [same], {}, "as-asked in 1000"],
    ["the same bytes a second time are the last", [same, same], {}, "give up"],
    ["also with others in between", [same, other, same], {}, "give up"],
    ["others are asked again", [same, other], {}, "as-asked in 2000"],
    [
      "the same bytes to another way of asking say nothing",
      [same, same],
      { ...NEXT, asks: ["as-asked", "whole"] },
      "whole in 2000",
    ],
  ])("%s", (_what, failures, setup, expected) => {
    expect(inWords(decide(failures, setup))).toBe(expected);
  });
});

describe("what Perennial altered is not blamed on the client", () => {
  const refusal = fails("upstream_status", { status: 422, scope: "never" });
  const viaStream = { kind: "whole", policy: { nonStreaming: "viaStream" } } as const;
  const chatglm3 = { kind: "whole", policy: { nonStreaming: "viaStream", emptyFallback: "next" } } as const;
  test.each<[string, Failure[], Setup, string]>([
    ["refused via a stream: as the client asked", [refusal], { ...viaStream, asks: ["via-stream"] }, "as-asked in 0"],
    [
      "also where it may be asked once",
      [refusal],
      { ...viaStream, maxAttempts: 1, asks: ["via-stream"] },
      "as-asked in 0, empty will do",
    ],
    ["refused as the client asked: told", [refusal, refusal], { ...viaStream, asks: ["via-stream", "as-asked"] }, "give up"],
    ["refused whole: as the client asked", [nothing, refusal], { ...NEXT, asks: ["as-asked", "whole"] }, "as-asked in 0"],
    [
      "refused whole at the last attempt: told, since it was asked as the client did",
      [nothing, refusal],
      { maxAttempts: 2, asks: ["as-asked", "whole"] },
      "give up",
    ],
    ["remembered", [], { ...viaStream, refusedAsks: ["via-stream"] }, "as-asked in 0"],
    [
      "another refusal is told",
      [fails("upstream_status", { status: 401, scope: "never" })],
      { ...viaStream, asks: ["via-stream"] },
      "give up",
    ],
    ["empty via a stream: as the client asked, at once", [nothing], { ...viaStream, asks: ["via-stream"] }, "as-asked in 0"],
    ["garbage via a stream: as the client asked, at once", [garbage], { ...viaStream, asks: ["via-stream"] }, "as-asked in 0"],
    ["cut via a stream: again", [cut], { ...viaStream, asks: ["via-stream"] }, "via-stream in 1000"],
    ["tools: as the client asked, where streams run them", [], { ...chatglm3, hasTools: true }, "as-asked in 0"],
    ["tools: via a stream elsewhere", [], { ...viaStream, hasTools: true }, "via-stream in 0"],
  ])("%s", (_what, failures, setup, expected) => {
    expect(inWords(decide(failures, setup))).toBe(expected);
  });
});

describe("with several upstreams", () => {
  const named = (name: string, more: Partial<Candidate> = {}): Candidate => ({
    ...candidateWith({}),
    upstream: { name } as Upstream,
    ...more,
  });
  const elsewhere = fails("upstream_status", { status: 404, scope: "elsewhere" });
  const refused = fails("upstream_unreachable", { outage: "connection" });
  const never = fails("upstream_status", { status: 400, scope: "never" });
  const same = fails("stream_corrupted", { fingerprint: "x" });

  /** Who is asked next, and when, after these failures at these upstreams. */
  function after(past: readonly (readonly [string, Failure])[], more: Partial<AttemptPolicyOptions> = {}): string {
    const candidates = ["a", "b"].map((name, priority) => named(name, { share: { priority, weight: 1 } }));
    const policy = createAttemptPolicy(
      {
        candidates,
        failover: { on: new Set(FAILOVER_CAUSES), codes: new Set() },
        retry: { maxAttempts: 4, outage: 25_000, backoff: { ...BACKOFF }, maxRetryAfter: 60_000 },
        part: "m",
        model: "m",
        kind: "streamed",
        idempotent: true,
        hasTools: false,
        refusedAsks: () => new Set(),
        ...more,
      },
      () => 0,
    );
    const history = past.map(([name, failure]) => {
      const candidate = candidates.find(({ upstream }) => upstream.name === name) as Candidate;
      return { attempt, failure, plan: { candidate, ask: "as-asked", delayMs: 0, acceptEmpty: false } as const };
    });
    const last = history.at(-1)?.failure;
    const outage = last?.outage === undefined ? undefined : { failure: last, lastedMs: 0, waitMs: 1_000, keptMs: 0 };
    const decision = policy.next({ history, state: { at: "waiting" }, remainingMs: FOR_EVER, outage });
    if ("giveUp" in decision) return `give up: ${decision.giveUp.status} ${decision.giveUp.code}`;
    return `${decision.plan.candidate.upstream.name} in ${decision.plan.delayMs}`;
  }

  test.each<[string, (readonly [string, Failure])[], Partial<AttemptPolicyOptions>, string]>([
    ["the preferred one is asked first", [], {}, "a in 0"],
    ["after a cut the next, at once", [["a", cut]], {}, "b in 0"],
    ["whatever wait the first names", [["a", slowDown(50_000)]], {}, "b in 0"],
    [
      "when each has failed, the first, after its backoff",
      [
        ["a", cut],
        ["b", cut],
      ],
      {},
      "a in 1000",
    ],
    [
      "or the one that may be asked sooner",
      [
        ["a", slowDown(5_000)],
        ["b", cut],
      ],
      {},
      "b in 1000",
    ],
    [
      "in turn",
      [
        ["a", cut],
        ["b", cut],
        ["a", cut],
      ],
      {},
      "b in 1000",
    ],
    [
      "attempts count over all",
      [
        ["a", cut],
        ["b", cut],
        ["a", cut],
        ["b", cut],
      ],
      {},
      "give up: 502 stream_truncated",
    ],
    [
      "one that will not is not asked again",
      [
        ["a", elsewhere],
        ["b", cut],
      ],
      {},
      "b in 1000",
    ],
    ["and the next is asked at once", [["a", elsewhere]], {}, "b in 0"],
    [
      "when none will, the preferred one's word is told",
      [
        ["a", elsewhere],
        ["b", fails("upstream_status", { status: 401, scope: "elsewhere" })],
      ],
      {},
      "give up: 404 upstream_status",
    ],
    ["what is wrong in itself is told", [["a", never]], {}, "give up: 400 upstream_status"],
    ["an outage leads to another at once", [["a", refused]], {}, "b in 0"],
    [
      "late twice is enough, whoever it was",
      [
        ["a", late],
        ["b", late],
      ],
      {},
      "give up: 504 first_token_timeout",
    ],
    [
      "the same garbage twice bars one upstream",
      [
        ["a", same],
        ["b", same],
        ["a", same],
      ],
      {},
      "b in 1000",
    ],
    [
      "failover.on: what is not in it stays with its upstream",
      [["a", cut]],
      { failover: { on: new Set(["status"]), codes: new Set() } },
      "a in 1000",
    ],
    [
      "failover.on: or with the client",
      [["a", elsewhere]],
      { failover: { on: new Set(["empty"]), codes: new Set() } },
      "give up: 404 upstream_status",
    ],
    ["what may be sent once is", [["a", cut]], { idempotent: false }, "give up: 502 stream_truncated"],
    ["there may be none", [], { candidates: [] }, "give up: 404 not_found"],
  ])("%s", (_what, past, more, expected) => {
    expect(after(past, more)).toBe(expected);
  });
});
