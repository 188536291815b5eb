/** An answer that another replica has begun, and could not end: what is asked for here, what its clients have in the end, how it is told. */
import { expect, test } from "vitest";
import { chatAnswer, chatEvents } from "../../test/support/raw-upstream.ts";
import { type Answers, CHAT, fails, relayed, replies, type SeenRequest, streams } from "../../test/support/relayed.ts";
import type { Exchange } from "../core/exchange.ts";
import { Failure } from "../core/failure.ts";
import type { KeptMirror } from "../run/kept-mirror.ts";
import type { KeptStreams } from "../run/kept-streams.ts";
import type { MadeLeg } from "../run/takeover.ts";
import { continueKept } from "./continue-kept.ts";

const WORDS = ["A", " stream", " is", " a", " small", " promise", ": the", " first", " word", " comes", " before", " the last."];
const TEXT = WORDS.join("");
const EVENTS = chatEvents(WORDS);
const DATA = EVENTS.slice(0, -1).map((text) => text.slice("data: ".length, -2));
/** Enough of it to go on from. */
const MADE = 10;
const KEEP = { ttl: 60_000, linger: 60_000, maxStreamBytes: 100_000, maxTotalBytes: 1_000_000 };
const nowhere: KeptMirror = {
  isAhead: false,
  begin() {},
  leg() {},
  append() {},
  end() {},
  onBroken() {},
  left() {},
  forgetName() {},
  forget() {},
};

const textOf = (data: string): string => JSON.parse(data).choices[0]?.delta.content ?? "";

interface Case {
  readonly answers?: Record<string, Answers | readonly Answers[]>;
  readonly upstream?: object;
  readonly upstreams?: Record<string, object>;
  /** How many events clients have. */
  readonly made?: number;
  readonly legs?: readonly MadeLeg[];
  readonly isCut?: boolean;
  readonly stream?: boolean;
  readonly headers?: Record<string, string>;
}

async function takeOver(it: Case, meanwhile: (rig: { stop(): void; held: number }) => void = () => {}) {
  const { answers = { a: streams(EVENTS) }, upstream, upstreams = { a: upstream ?? {} }, made = MADE, isCut = false } = it;
  const ends: unknown[] = [];
  const retries: unknown[] = [];
  let started: Exchange | undefined;
  const rig = relayed(
    answers,
    { retry: { maxAttempts: 2 }, upstreams },
    {
      observer: {
        onExchangeStart(exchange) {
          started = exchange;
        },
        onExchangeEnd: (_exchange, end) => ends.push({ ...end, durationMs: end.durationMs >= 0 && end.durationMs < 10_000 }),
        onRetry: (_exchange, { upstream }, { code, message }) => retries.push([upstream, code, message]),
      },
    },
  );
  const body = JSON.stringify({ ...CHAT, temperature: 0, stream: it.stream ?? true });
  const exchange = rig.exchangeOf({ body, headers: it.headers ?? {} });
  const { legs = [{ upstream: "a" }] } = it;
  const past = {
    head: {},
    legs,
    first: 1,
    events: DATA.slice(0, made).map((data) => ({
      event: { event: undefined, data, characters: textOf(data).length },
      kind: "content" as const,
    })),
  };
  const facts = { client: "c", request: "r", api: exchange.api as NonNullable<Exchange["api"]> };
  const stream = (rig.context.kept as KeptStreams).open(facts, KEEP, undefined, { id: "kept-1", mirror: nowhere, past });
  const before = rig.context.held.bytes;
  const request = { method: "POST", path: "/chat/completions", headers: it.headers ?? {}, body };
  const over = continueKept(exchange, { stream, request, legs, isCut }, rig.settings, rig.context);
  meanwhile({ held: rig.context.held.bytes - before - body.length, stop: () => stream.giveUp(new Failure("client_gone", "x")) });
  await over;
  const { end } = stream;
  return {
    seen: rig.seen,
    asked: rig.seen.map(({ upstream, method, path }) => `${upstream} ${method} ${path}`),
    told: stream.given.map(({ data }) => data),
    text: stream.given.map(({ data }) => textOf(data)).join(""),
    end,
    words: end?.kind === "failed" ? end.message : undefined,
    ends,
    retries,
    attempts: exchange.attempts.map(({ number, upstream, failure, status, servedModel }) => [
      ...[number, upstream, failure, status],
      ...(servedModel === undefined ? [] : [servedModel]),
    ]),
    kept: started?.kept,
    left: rig.context.held.bytes - before,
  };
}

const ended = (outcome: string, more: object = {}) => [
  { outcome, failure: undefined, status: undefined, durationMs: true, seams: [], seam: undefined, defect: undefined, ...more },
];
const LOST = "Incomplete stream: the replica of Perennial that made the answer has ended.";
const PROVED = { recovery: "continue", continuation: "assistant" };
/** Goes on from where it is asked to. */
const goesOn: Answers = (to, request) => {
  const rest = TEXT.slice(JSON.parse(request.body).messages.at(-1).content.length);
  streams(chatEvents([rest.slice(0, 9), rest.slice(9)]))(to, request);
};
const DEFECT = new Error("of ours");
const own = [1, "a", "stream_truncated", 200];

test("its exchange has no client, and says so", async () => {
  let held = 0;
  const { kept, left, ends } = await takeOver({ made: 0, legs: [] }, (rig) => {
    held = rig.held;
  });
  expect(kept).toEqual({ stream: "kept-1", way: undefined, takenOver: true });
  // What is read of the request counts while it runs.
  expect([held >= 0, left > 0, ends.length]).toEqual([true, true, 1]);
});

test.each<[string, Case, string[], string, unknown[][]]>([
  [
    "the same generation, which its upstream has kept",
    {
      upstream: { profile: "llamacpp", recovery: "resume" },
      legs: [{ upstream: "a", kept: { kind: "conversation", id: "c 1" } }],
    },
    ["a GET /stream?conv_id=c%201&from=0"],
    "native",
    [own, [2, "a", undefined, 200]],
  ],
  [
    "the rest of it, which its own words prove",
    { answers: { a: goesOn }, upstream: PROVED },
    ["a POST /chat/completions"],
    "answer",
    [own, [2, "a", undefined, 200]],
  ],
  [
    "all of it again",
    { upstream: { recovery: "continue", continuation: "rerun" } },
    ["a POST /chat/completions"],
    "rerun",
    [own, [2, "a", undefined, 200]],
  ],
  [
    "the rest of the upstream that made it, and not of the first",
    { answers: { z: fails(new Failure("internal_error", "x")), a: goesOn }, upstreams: { z: PROVED, a: PROVED } },
    ["a POST /chat/completions"],
    "answer",
    [own, [2, "a", undefined, 200]],
  ],
])("goes on with %s", async (_what, it, asked, by, attempts) => {
  const got = await takeOver(it);
  expect([got.text, got.asked, got.words]).toEqual([TEXT, asked, undefined]);
  expect(got.end).toMatchObject({ kind: "answered", outcome: "resumed", seams: [by] });
  expect(got.ends).toEqual(ended("resumed", { seams: [by] }));
  expect(got.attempts).toEqual(attempts);
  expect(got.retries).toEqual([]);
});

test("goes on with what has gone on before, and tells each seam", async () => {
  const legs: MadeLeg[] = [
    { upstream: "a" },
    { upstream: "a", by: "native" },
    { upstream: "b", by: "answer", servedModel: "theirs" },
  ];
  const upstreams = { a: { ...PROVED, resume: { maxAttempts: 5 } }, b: PROVED };
  const got = await takeOver({ answers: { a: goesOn, b: replies("no", 400) }, upstreams, legs });
  expect([got.text, got.asked]).toEqual([TEXT, ["a POST /chat/completions"]]);
  expect(got.end).toMatchObject({ kind: "answered", outcome: "resumed", seams: ["native", "answer", "answer"] });
  expect(got.attempts).toEqual([
    own,
    [2, "a", "stream_truncated", 200],
    [3, "b", "stream_truncated", 200, "theirs"],
    [4, "a", undefined, 200],
  ]);
});

test("what its upstream keeps is come back for as often as the configuration says, before and since together", async () => {
  const legs: MadeLeg[] = [
    { upstream: "a", kept: { kind: "conversation", id: "c" } },
    { upstream: "a", by: "native" },
  ];
  const upstreamOf = (maxAttempts: number) => ({ profile: "llamacpp", recovery: "resume", resume: { maxAttempts } });
  const got = await takeOver({ upstream: upstreamOf(2), legs });
  expect([got.text, got.end]).toMatchObject([TEXT, { kind: "answered", seams: ["native", "native"] }]);
  const spent = await takeOver({ upstream: upstreamOf(1), legs });
  // It makes nothing for nobody.
  expect([spent.asked, spent.end]).toMatchObject([["a DELETE /stream?conv_id=c"], { kind: "failed", seams: ["native"] }]);
});

test.each<[string, Case, string]>([
  ["the configuration allows no more", { upstream: { recovery: "error" } }, ""],
  ["its client had said so", { upstream: PROVED, headers: { "x-perennial-recovery": "error" } }, ""],
  ["some of it is lost", { upstream: PROVED, isCut: true }, ""],
  ["who made it is not asked any more", { upstream: PROVED, legs: [{ upstream: "gone" }] }, ""],
  ["nobody knows who made it", { upstream: PROVED, legs: [] }, ""],
  ["there is too little of it", { upstream: PROVED, made: 3 }, " It could not be continued (too-short)."],
])("is broken for its clients where %s: nobody is asked", async (_what, it, seam) => {
  const got = await takeOver(it);
  const text = TEXT.slice(0, WORDS.slice(0, (it.made ?? MADE) - 1).join("").length);
  expect([got.asked, got.text]).toEqual([[], text]);
  expect(got.words).toBe(
    `${LOST}${seam} The answer is incomplete: ${text.length} characters had arrived, after 1 attempt. Send the request again.`,
  );
  expect(got.end).toMatchObject({ kind: "failed", errorEvent: expect.stringContaining(JSON.stringify(got.words)), seams: [] });
  const rule = /\((.*)\)/.exec(seam)?.[1];
  expect(got.ends).toEqual(ended("interrupted", { failure: "stream_truncated", seam: rule }));
});

test.each<[string, Case, string[], object]>([
  ["streamed", { made: 0 }, EVENTS.slice(0, -1), { kind: "answered", outcome: "complete" }],
  ["streamed, cut before it began", { made: 0, legs: [], isCut: true }, EVENTS.slice(0, -1), { kind: "answered" }],
  ["in one piece", { made: 0, legs: [], stream: false, answers: { a: replies(chatAnswer("hi")) } }, [], { kind: "answered" }],
])("of which clients have nothing is asked for anew: %s", async (_what, it, told, end) => {
  const got = await takeOver(it);
  expect([got.asked, got.told.map((data) => `data: ${data}\n\n`)]).toEqual([["a POST /chat/completions"], told]);
  expect(got.end).toMatchObject(end);
  // The attempt of the replica that has gone has failed.
  expect(got.ends).toEqual(ended("recovered"));
  expect(got.attempts).toEqual([[1, "a", undefined, 200]]);
});

test("is told as a refusal where nobody has anything of it, and as cancelled where nobody waits for it", async () => {
  const refused = await takeOver({ made: 0, legs: [], answers: { a: replies({ error: { message: "no" } }, 400) } });
  expect(refused.end).toMatchObject({ kind: "failed", failure: { code: "upstream_status", reply: { status: 400 } } });
  expect(refused.ends).toEqual(ended("failed", { failure: "upstream_status" }));
  const left = await takeOver({ made: 0, legs: [], answers: { a: () => {} } }, ({ stop }) => setImmediate(stop));
  expect(left.ends).toEqual(ended("cancelled"));
});

test("a reply that was refused to the rest is nobody's answer: clients are told how it broke", async () => {
  const got = await takeOver({ answers: { a: replies({ error: { message: "no prefix" } }, 400) }, upstream: PROVED });
  expect(got.end).toMatchObject({ kind: "failed", failure: { code: "stream_truncated", reply: undefined } });
  expect(got.words).toContain(`${LOST} It could not be continued (refused).`);
});

test("what it was told by its own credentials it is asked without: none are kept", async () => {
  const { seen } = await takeOver({ answers: { a: goesOn }, upstream: PROVED, headers: { "anthropic-beta": "x" } });
  const [request] = seen as [SeenRequest];
  expect([request.headers, request.set]).toEqual([{ "anthropic-beta": "x" }, { "accept-encoding": "identity" }]);
  expect(JSON.parse(request.body)).toEqual({
    ...CHAT,
    temperature: 0,
    messages: [...CHAT.messages, { role: "assistant", content: expect.stringMatching(/^A stream is a/) }],
  });
});

test.each([
  [
    "on the way",
    {
      propagator: {
        headersFor() {
          throw DEFECT;
        },
      },
    },
  ],
  [
    "before it is asked for",
    {
      hedging: {
        request() {
          throw DEFECT;
        },
      } as never,
    },
  ],
] as const)("a defect %s ends it for its clients, and is told as one", async (_what, broken) => {
  const rig = relayed({ a: streams(EVENTS), b: streams(EVENTS) }, { hedge: { after: "1s" } }, broken);
  const exchange = rig.exchangeOf();
  const facts = { client: "c", request: "r", api: exchange.api as NonNullable<Exchange["api"]> };
  const stream = (rig.context.kept as KeptStreams).open(facts, KEEP);
  const ends: unknown[] = [];
  const observer = { onExchangeEnd: (_exchange: Exchange, end: unknown) => ends.push(end) };
  const request = { method: "POST", path: "/chat/completions", headers: {}, body: "{}" };
  await continueKept(exchange, { stream, request, legs: [], isCut: false }, rig.settings, { ...rig.context, observer });
  expect(ends).toMatchObject([{ outcome: "failed", failure: "internal_error", defect: DEFECT }]);
  expect(stream.end).toMatchObject({ kind: "failed", errorEvent: expect.stringContaining("please report it"), seams: [] });
});
