/** An answer that broke when clients had some of it: who is asked for the rest, when, or what clients are told. */
import { describe, expect, test } from "vitest";
import { type Candidate, createUpstreamShared, type UpstreamPolicy } from "../balance/candidate.ts";
import type { OutageView } from "../balance/outage-gate.ts";
import type { Attempt } from "../core/attempt.ts";
import { Failure, type FailureCode, type FailureDetails } from "../core/failure.ts";
import { continueChat } from "../dialect/continue-chat.ts";
import type { Upstream } from "../upstream/upstream.ts";
import { type AttemptPolicyOptions, createAttemptPolicy, type PastAttempt } from "./attempt-policy.ts";
import { FAILOVER_CAUSES } from "./failover.ts";
import type { AskLeg } from "./seam/next-leg.ts";

const RESUME: UpstreamPolicy["resume"] = {
  ...{ proof: "auto", maxAttempts: 3, minChars: 40, tail: 24 },
  ...{ tools: "refuse", structured: "refuse", background: false },
};
const RETRY = {
  maxAttempts: 3,
  outage: 25_000,
  maxRetryAfter: 60_000,
  backoff: { initial: 700, factor: 2, max: 5_000, jitter: true },
};
const WORDS = ["A stream is a small", " promise: the first word", " arrives before the last one"];
const REFUSED: AskLeg = { kind: "continue", proof: "answer", needsServer: false, style: "assistant", rest: () => "tail" };
const NATIVE = { path: "/stream?conv_id=1", from: "beginning" } as const;

const fails = (code: FailureCode, details?: FailureDetails): Failure => new Failure(code, `${code} it was`, details);
const CUT = fails("stream_truncated");
const SILENT = fails("stream_stalled");
const DOWN = fails("upstream_unreachable", { outage: "connection" });
const wrong = (seam: Failure["seam"]): Failure => fails("stream_corrupted", { seam, scope: "elsewhere" });

interface Place extends Partial<Pick<UpstreamPolicy, "recovery" | "continuation">> {
  readonly model?: string | undefined;
  /** Another key of this upstream. */
  readonly of?: string;
  readonly isOut?: boolean;
  readonly isFull?: boolean;
  readonly kept?: boolean;
  readonly resume?: Partial<UpstreamPolicy["resume"]>;
}

interface Case {
  readonly places?: Readonly<Record<string, Place>>;
  /** Where the answer was asked for, and the rest of it; and how that failed. @defaultValue cut, at the first */
  readonly history?: readonly (readonly [place: string, failure: Failure, ask?: AskLeg])[];
  /** How many of these clients have some of. @defaultValue 1 */
  readonly told?: number;
  /** Null where nothing of it was written down. */
  readonly words?: readonly string[] | null;
  readonly outage?: OutageView;
  readonly remainingMs?: number;
  readonly model?: string | undefined;
  readonly on?: readonly string[];
  readonly temperature?: number;
}

/** In few words: whom it asks, for what, after which wait, at its gate or not; or with which failure, and rule, it gives up. */
function decide(it: Case): string {
  const { places = { a: {} }, history = [["a", CUT]], told = 1, words = WORDS, on = FAILOVER_CAUSES } = it;
  const shared = new Map<string, Candidate["shared"]>();
  const sharedOf = (name: string, { isOut, isFull }: Place) => {
    const made = createUpstreamShared(isFull ? 1 : undefined);
    if (isOut) made.outages.closeConnection(DOWN, 60_000);
    if (isFull) void made.connections.acquire({ signal: new AbortController().signal, maxWaitMs: 1, onWait() {} });
    shared.set(name, made);
    return made;
  };
  const candidates = Object.entries(places).map(([name, place]): Candidate => {
    const { model, of = name } = place;
    const policy = { recovery: "continue", continuation: "assistant", ...place, resume: { ...RESUME, ...place.resume } };
    return {
      upstream: { name } as Upstream,
      policy: policy as unknown as UpstreamPolicy,
      shared: shared.get(of) ?? sharedOf(of, place),
      share: { priority: 0, weight: 1 },
      model,
    };
  });
  const named = (name: string): Candidate => candidates.find(({ upstream }) => upstream.name === name) as Candidate;
  const options: AttemptPolicyOptions = {
    candidates,
    failover: { on: new Set(on) as never, codes: new Set() },
    retry: RETRY,
    part: "m",
    model: "model" in it ? it.model : "m",
    kind: "streamed",
    idempotent: true,
    hasTools: false,
    refusedAsks: () => new Set(),
    afterBreak: ({ policy, upstream }) =>
      policy.recovery === "error"
        ? undefined
        : {
            policy,
            continuing: continueChat,
            body: () => ({ model: "m", temperature: it.temperature ?? 0, messages: [{ role: "user", content: "Why?" }] }),
            known: {
              kept: () => (places[upstream.name]?.kept ? NATIVE : undefined),
              hasRefused: () => false,
              isUnfit: () => false,
            },
          },
  };
  const past = history.map(
    ([place, failure, ask], index): PastAttempt => ({
      attempt: { number: index + 1, upstream: place, failure: failure.code } as Attempt,
      plan: { candidate: named(place), ask: ask ?? "as-asked", delayMs: 0, acceptEmpty: false },
      failure,
    }),
  );
  const record = continueChat.record();
  for (const content of words ?? []) {
    const data = JSON.stringify({ id: "c", model: "m", choices: [{ index: 0, delta: { content }, finish_reason: null }] });
    record.add({ event: undefined, data });
  }
  const legs = past.slice(0, told).map(({ attempt }) => attempt);
  const decision = createAttemptPolicy(options, () => 0).next({
    history: past,
    state: { at: "committed", attempt: legs.at(-1) as Attempt, legs, given: words === null ? undefined : record },
    remainingMs: it.remainingMs ?? 3_600_000,
    outage: it.outage,
  });
  if ("giveUp" in decision) return `${decision.giveUp.code} (${decision.giveUp.seam})`;
  const { candidate, ask, delayMs, atGate, acceptEmpty } = decision.plan;
  if (typeof ask === "string" || !acceptEmpty) throw new Error("it is not another leg");
  const elsewhere = "elsewhere" in ask && ask.elsewhere !== undefined ? " elsewhere" : "";
  return `${candidate.upstream.name}: ${ask.kind}${elsewhere} in ${delayMs}${atGate ? " at its gate" : ""}`;
}

const TWO = { a: {}, b: {} };
const out = (more: Partial<OutageView> = {}): OutageView => ({ failure: DOWN, lastedMs: 1_000, waitMs: 300, ...more });

describe("the rest is asked for", () => {
  test.each<[string, Case, string]>([
    ["where it broke, at once", {}, "a: continue in 0"],
    ["there also where another could be asked", { places: TWO }, "a: continue in 0"],
    ["there, where that fell silent and there is no other", { history: [["a", SILENT]] }, "a: continue in 0"],
    [
      "elsewhere, where it fell silent: it may do so again",
      { places: TWO, history: [["a", SILENT]] },
      "b: continue elsewhere in 0",
    ],
    [
      "there, where it fell silent and has kept it, which is certain",
      { places: { a: { kept: true, recovery: "resume" }, b: {} }, history: [["a", SILENT]] },
      "a: native in 0",
    ],
    [
      "there, where it fell silent and no other can go on with it",
      { places: { a: {}, b: { continuation: "off" } }, history: [["a", SILENT]] },
      "a: continue in 0",
    ],
    ["there, where it was out and is so no more", { places: TWO, outage: out() }, "a: continue in 0"],
    ["elsewhere, where it is out", { places: { a: { isOut: true }, b: {} }, outage: out() }, "b: continue elsewhere in 0"],
    [
      "elsewhere, where it was out when it was asked for the rest",
      {
        places: TWO,
        history: [
          ["a", CUT],
          ["a", DOWN, REFUSED],
        ],
      },
      "b: continue elsewhere in 0",
    ],
    [
      "elsewhere, where its rest was none",
      {
        places: TWO,
        history: [
          ["a", CUT],
          ["a", wrong("tail"), REFUSED],
        ],
      },
      "b: continue elsewhere in 0",
    ],
    [
      "of the third where the second had none either",
      {
        places: { a: {}, b: {}, c: {} },
        history: [
          ["a", CUT],
          ["a", wrong("tail"), REFUSED],
          ["b", wrong("tail"), REFUSED],
        ],
      },
      "c: continue elsewhere in 0",
    ],
    [
      "of one that has room before one that has none",
      { places: { a: { isOut: true }, b: { isFull: true }, c: {} }, outage: out() },
      "c: continue elsewhere in 0",
    ],
    [
      "of one without room where there is no other",
      { places: { a: { isOut: true }, b: { isFull: true } }, outage: out() },
      "b: continue elsewhere in 0",
    ],
    [
      "of an upstream once, with whichever of its keys",
      {
        places: { a: {}, b: {}, b2: { of: "b" } },
        history: [
          ["a", CUT],
          ["a", wrong("tail"), REFUSED],
          ["b2", wrong("echo"), REFUSED],
        ],
      },
      "stream_truncated (echo)",
    ],
    [
      "with another key of the same upstream it is the same answer's",
      { places: { a: {}, a2: { of: "a" } }, history: [["a2", CUT]] },
      "a2: continue in 0",
    ],
    [
      "of one that calls the model otherwise, where it is the same one",
      { places: { a: { isOut: true, model: "theirs" }, b: {}, c: { model: "theirs" } }, outage: out() },
      "c: continue elsewhere in 0",
    ],
    [
      "of whoever told the first of it, where another has gone on",
      {
        places: TWO,
        told: 2,
        history: [
          ["a", CUT],
          ["b", CUT, REFUSED],
        ],
      },
      "a: continue in 0",
    ],
  ])("%s", (_what, it, words) => {
    expect(decide(it)).toBe(words);
  });
});

describe("no other is asked", () => {
  const FAILED = {
    history: [
      ["a", CUT],
      ["a", wrong("tail"), REFUSED],
    ],
  } as const;
  test.each<[string, Case]>([
    ["that serves another model", { ...FAILED, places: { a: {}, b: { model: "other" } } }],
    ["where nobody knows which model it is", { ...FAILED, places: TWO, model: undefined }],
    ["where that is not wanted after a cut", { ...FAILED, places: TWO, on: ["status", "timeout"] }],
    ["that is out", { ...FAILED, places: { a: {}, b: { isOut: true } } }],
    ["that goes on with none", { ...FAILED, places: { a: {}, b: { recovery: "error" } } }],
    ["whose words nothing would prove", { ...FAILED, places: TWO, temperature: 1 }],
  ])("%s: clients are told why it broke, and by which rule it did not go on", (_what, it) => {
    expect(decide(it)).toBe("stream_truncated (tail)");
  });
});

describe("it is waited for", () => {
  const LIMITED = fails("upstream_status", { status: 429, retryAfterMs: 2_000 });
  const again = (failure: Failure): Exclude<Case["history"], undefined> => [
    ["a", CUT],
    ["a", failure, REFUSED],
  ];
  test.each<[string, Case, string]>([
    ["where all that wait ask, while it is out", { outage: out() }, "a: continue in 300 at its gate"],
    [
      "also where another is out, too",
      { places: { a: { isOut: true }, b: { isOut: true } }, outage: out() },
      "a: continue in 300 at its gate",
    ],
    ["as long as it asks for", { history: again(LIMITED) }, "a: continue in 2000"],
    ["for a moment where it asks for none", { history: again(fails("upstream_status", { status: 500 })) }, "a: continue in 700"],
    [
      "as long as may be asked for at most",
      { history: again(fails("upstream_status", { status: 429, retryAfterMs: 60_000 })) },
      "a: continue in 60000",
    ],
    [
      "and not for longer",
      { history: again(fails("upstream_status", { status: 429, retryAfterMs: 60_001 })) },
      "stream_truncated (refused)",
    ],
    ["nor into the deadline", { history: again(LIMITED), remainingMs: 2_000 }, "stream_truncated (refused)"],
    ["but until just before it", { history: again(LIMITED), remainingMs: 2_001 }, "a: continue in 2000"],
    ["not where it was out, and nobody knows for how long", { history: again(DOWN) }, "stream_truncated (refused)"],
    ["not when the outage has lasted as long as one may", { outage: out({ lastedMs: 24_995 }) }, "stream_truncated (refused)"],
    ["until then", { outage: out({ lastedMs: 24_994 }) }, "a: continue in 300 at its gate"],
    ["not where it is asked next behind the deadline", { outage: out(), remainingMs: 300 }, "stream_truncated (refused)"],
    ["nor when no time is left", { remainingMs: 0 }, "stream_truncated (time)"],
  ])("%s", (_what, it, words) => {
    expect(decide(it)).toBe(words);
  });
});

describe("clients are told how it broke", () => {
  test.each<[string, Case, string]>([
    ["where nothing goes on there", { places: { a: { recovery: "error" }, b: {} } }, "stream_truncated (undefined)"],
    ["where nothing of it was written down", { words: null }, "stream_truncated (undefined)"],
    ["by a client that left", { history: [["a", fails("client_gone")]] }, "client_gone (undefined)"],
    ["by a shutdown", { history: [["a", fails("draining")]] }, "draining (undefined)"],
    ["by a defect of ours", { history: [["a", fails("internal_error")]] }, "internal_error (undefined)"],
    [
      "where the upstream would say the same again",
      { history: [["a", fails("upstream_error_event", { scope: "never" })]] },
      "upstream_error_event (failure)",
    ],
    ["where there is too little of it", { words: ["A stream"] }, "stream_truncated (too-short)"],
    [
      "as often as it may be asked for",
      {
        history: [
          ["a", CUT],
          ["a", CUT, REFUSED],
        ],
        told: 2,
        places: { a: { resume: { maxAttempts: 1 } } },
      },
      "stream_truncated (attempts)",
    ],
    [
      "by the rule of whoever was asked last",
      {
        places: TWO,
        history: [
          ["a", CUT],
          ["a", wrong("tail"), REFUSED],
          ["b", wrong("echo"), REFUSED],
        ],
      },
      "stream_truncated (echo)",
    ],
    [
      "by the failure of what they have last, and not of what they have nothing of",
      {
        history: [
          ["a", CUT],
          ["a", SILENT, REFUSED],
          ["a", wrong("tail"), REFUSED],
        ],
        told: 2,
      },
      "stream_stalled (tail)",
    ],
  ])("%s", (_what, it, words) => {
    expect(decide(it)).toBe(words);
  });
});
