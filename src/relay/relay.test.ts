/** One exchange from its request to its one outcome: what it shares with others, what its client may do meanwhile, what is told of it. */
import { setImmediate as turn } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { chatAnswer, chatEvents } from "../../test/support/raw-upstream.ts";
import { type Answers, type Asked, CHAT, type MemoryResponse, relayed, replies, streams } from "../../test/support/relayed.ts";
import type { Exchange } from "../core/exchange.ts";
import { Failure } from "../core/failure.ts";

const EVENTS = chatEvents(["hi"]);
const whole = streams(EVENTS);
const cut = streams(EVENTS.slice(0, 1));
const silent: Answers = () => {};
const WHOLE = { ...CHAT, stream: false };
const left = new Failure("client_gone", "the client left");
const broken = new Failure("stream_truncated", "the connection was cut");
const later =
  (ms: number, answer: Answers): Answers =>
  (to, request) =>
    void setTimeout(() => answer(to, request), ms).unref();

test.each<[string, Answers | Answers[], Asked, object]>([
  ["complete", whole, {}, { status: 200 }],
  ["recovered", [cut, whole], {}, { status: 200 }],
  ["repaired", streams(EVENTS.slice(0, -1)), {}, { status: 200 }],
  ["repaired", replies(chatAnswer("hi")), {}, { status: 200 }],
  ["complete", replies(chatAnswer("hi")), { body: WHOLE }, { status: 200 }],
  ["complete", replies("bytes"), { path: "/files" }, { status: 200 }],
  ["complete", replies("bytes", 201), { path: "/files" }, { status: 201 }],
  ["failed", replies({ error: "no" }, 400), {}, { status: 400, failure: "upstream_status" }],
  ["interrupted", streams(EVENTS.slice(0, 2), broken), {}, { status: 200, failure: "stream_truncated" }],
])("it is %s, and told so once", async (outcome, answers, asked, more) => {
  const ends: unknown[] = [];
  const { send, context } = relayed({ a: answers }, {}, { observer: { onExchangeEnd: (_exchange, end) => ends.push(end) } });
  const { end } = await send(asked);
  const nothing = { failure: undefined, seams: [], seam: undefined, defect: undefined };
  const { durationMs, ...told } = end;
  if (asked.path === "/files") expect(told.seams).toEqual([]);
  expect(told).toEqual({ outcome, ...nothing, ...more });
  expect(durationMs).toBeGreaterThanOrEqual(0);
  expect(durationMs).toBeLessThan(60_000);
  // It holds nothing any more.
  expect([ends.length, context.held.bytes]).toEqual([1, 0]);
});

describe("a client that leaves", () => {
  test("before it has anything is cancelled, and gets nothing", async () => {
    const got = await relayed({ a: silent }).send({ onExchange: (exchange) => setImmediate(() => exchange.abort(left)) });
    expect([got.status, got.how, got.end]).toMatchObject([undefined, "cut", { outcome: "cancelled", failure: undefined }]);
  });

  test("while it has not taken the end of its answer has not got it", async () => {
    const got = await relayed({ a: whole }).send({
      onExchange(exchange, response) {
        response.isSlow = true;
        void ended(response).then(() => exchange.abort(left));
      },
    });
    expect(got.end).toMatchObject({ outcome: "cancelled", failure: undefined, status: 200 });
  });
});

async function ended(response: MemoryResponse): Promise<void> {
  while (!response.writableEnded) await turn();
}

describe("a client that is slow", () => {
  test("holds what it has not read until it has; its exchange is over then, and not before", async () => {
    const { send, context } = relayed({ a: whole });
    const held: number[] = [];
    const got = await send({
      async onExchange(_exchange, response) {
        response.isSlow = true;
        await ended(response);
        await turn();
        held.push(context.held.bytes);
        response.take();
      },
    });
    expect([held, got.end.outcome, context.held.bytes]).toEqual([[EVENTS.join("").length], "complete", 0]);
  });

  test.each([
    ["its whole answer", whole, "interrupted", "overloaded"],
    ["how its answer broke", streams(EVENTS.slice(0, 2), broken), "interrupted", "stream_truncated"],
  ] as const)("for which there is no room any more sees that it breaks: %s", async (_what, answers, outcome, failure) => {
    const got = await relayed({ a: answers }).send({
      async onExchange(exchange, response) {
        response.isSlow = true;
        await ended(response);
        exchange.abort(new Failure("overloaded", "no room for what the client has not read"));
      },
    });
    expect([got.how, got.end]).toMatchObject(["cut", { outcome, failure, status: 200 }]);
  });

  test("is not waited for when its time is over", async () => {
    const { send } = relayed({ a: silent }, { timeouts: { total: "1ms" } });
    const got = await send({ onExchange: (_exchange, response) => Object.assign(response, { isSlow: true }) });
    expect([got.how, got.end]).toMatchObject([undefined, { outcome: "failed", failure: "deadline_exceeded", status: 504 }]);
  });
});

describe("a defect on the way to the client", () => {
  const defect = new Error("of ours");
  const failing = (times: number) => (_exchange: Exchange, response: MemoryResponse) => {
    const { writeHead } = response;
    let failed = 0;
    response.writeHead = (...args) => {
      if (failed++ < times) throw defect;
      return writeHead.apply(response, args);
    };
  };

  test("is told where it still can be, and reported with its cause", async () => {
    const got = await relayed({ a: replies(chatAnswer("hi")) }).send({ body: WHOLE, onExchange: failing(1) });
    expect([got.status, JSON.parse(got.body).error]).toMatchObject([
      500,
      {
        code: "internal_error",
        message: expect.stringMatching(/^Perennial failed on this request; this is a bug, please report it\./),
      },
    ]);
    expect([got.how, got.end]).toMatchObject(["clean", { outcome: "failed", failure: "internal_error", defect }]);
  });

  test("cuts the client off where it cannot: nobody waits for ever", async () => {
    const got = await relayed({ a: replies(chatAnswer("hi")) }).send({ body: WHOLE, onExchange: failing(2) });
    expect([got.status, got.how, got.end]).toMatchObject([
      undefined,
      "cut",
      { outcome: "failed", failure: "internal_error", defect },
    ]);
    const begun = await relayed({ a: streams(EVENTS.slice(0, 2), broken) }).send({
      onExchange(_exchange, response) {
        const { end } = response;
        response.end = () => {
          response.end = end;
          throw defect;
        };
      },
    });
    expect([begun.status, begun.how, begun.end]).toMatchObject([
      200,
      "cut",
      { outcome: "interrupted", failure: "internal_error", defect },
    ]);
  });
});

describe("what all exchanges share", () => {
  test.each<[string, Record<string, string>, string]>([
    ["is a request that allows a retry", {}, "recovered"],
    ["is one that an SDK has not made before", { "x-stainless-retry-count": "0" }, "recovered"],
    ["is a retry of an SDK's own, which allows none", { "x-stainless-retry-count": "1" }, "failed"],
  ])("retries: what %s", async (_what, headers, outcome) => {
    const refused: string[] = [];
    const observer = { onRetryRefused: ({ id }: Exchange) => refused.push(id) };
    const { send } = relayed({ a: [cut, whole] }, { retry: { budget: { percent: 100, min: 0 } } }, { observer });
    expect((await send({ headers })).end.outcome).toBe(outcome);
    expect(refused).toEqual(outcome === "failed" ? ["the-id"] : []);
  });

  test("who made what is come back for is asked for it; where there is one, nothing is written down", async () => {
    const response = (id: string): Answers =>
      replies({
        id,
        object: "response",
        status: "completed",
        output: [{ type: "message", content: [{ type: "output_text", text: "hi" }] }],
      });
    const ask = (previous_response_id?: string) => ({
      path: "/responses",
      body: { model: "m", input: "x", previous_response_id },
    });
    const { send, seen } = relayed({ a: replies({ error: "down" }, 500), b: [response("r1"), response("r2"), response("r3")] });
    for (const id of [undefined, "r1", "r2"]) expect((await send(ask(id))).status).toBe(200);
    // The first found out whom to ask; of the second another one was asked about what the first had not made.
    expect(seen.map(({ upstream }) => upstream)).toEqual(["a", "b", "b", "b"]);
    const alone = relayed({ a: response("r1") });
    await alone.send(ask());
    expect(alone.context.sticky.find(["r1"]).size).toBe(0);
  });

  describe("a second attempt beside one that is slow", () => {
    const by = async (hedge: object, asked: Asked = {}, warm = 0, ms = 20) => {
      const answers = [...Array(warm).fill(whole), later(ms, whole)];
      const rig = relayed({ a: answers, b: whole }, { hedge });
      for (let count = 0; count < warm; count++) await rig.send();
      const got = await rig.send(asked);
      return [
        got.headers["x-perennial-upstream"],
        rig.seen
          .slice(warm)
          .map(({ upstream }) => upstream)
          .join(" "),
        got.end.outcome,
      ];
    };
    const OFTEN = { percent: 50 };
    const NEVER = 60_000;

    test("begins after the time that is set, for streams alone, and for a share of all", async () => {
      expect(await by({ ...OFTEN, after: "2ms" }, {}, 2, NEVER)).toEqual(["b", "a b", "complete"]);
      expect(await by({ ...OFTEN, after: "off" }, {}, 2)).toEqual(["a", "a", "complete"]);
      expect(await by({ ...OFTEN, after: "2ms" }, {}, 0)).toEqual(["a", "a", "complete"]);
      expect(await by({ ...OFTEN, after: "10s" }, {}, 2)).toEqual(["a", "a", "complete"]);
    });

    test("is not made for what is not streamed, nor counted as one that could be", async () => {
      const slow = later(20, replies(chatAnswer("hi")));
      const rig = relayed({ a: slow, b: whole }, { hedge: { ...OFTEN, after: "2ms" } });
      for (let count = 0; count < 3; count++) await rig.send({ body: WHOLE });
      expect([rig.seen.map(({ upstream }) => upstream), rig.context.hedging.take()]).toEqual([["a", "a", "a"], false]);
    });

    test("with p95 begins when nearly all others of its route had begun", async () => {
      expect(await by({ ...OFTEN, after: "p95" }, {}, 20, NEVER)).toEqual(["b", "a b", "complete"]);
      // Of another model nothing is known.
      expect(await by({ ...OFTEN, after: "p95" }, { body: { ...CHAT, model: "other" } }, 20)).toEqual(["a", "a", "complete"]);
      expect(await by({ ...OFTEN, after: "p95" }, {}, 19)).toEqual(["a", "a", "complete"]);
    });
  });
});

test("what is written down of an exchange is ended with it, and of each call", async () => {
  const told: string[] = [];
  const call = (url: string) => {
    told.push(url);
    const tell = (what: string) => () => void told.push(what);
    return {
      onHandover: tell("handover"),
      onHead: (status: number) => void told.push(`head ${status}`),
      onData: tell("data"),
      onEnd: tell("end"),
      onFailure: tell("failure"),
      onLeft: tell("left"),
    };
  };
  const recording = { call, end: async () => void told.push("over") };
  const observer = { onExchangeEnd: () => void told.push("told") };
  const { send } = relayed({ a: [cut, streams([EVENTS.join("")])] }, {}, { observer, record: () => recording });
  await send();
  const url = "http://a.test/v1/chat/completions";
  expect(told).toEqual([url, "handover", "head 200", "data", "end", url, "handover", "head 200", "data", "end", "told", "over"]);
});
