/** An answer that is kept, as each of its clients is given it: the one that started it, and those that come back. */
import { describe, expect, test } from "vitest";
import { chatAnswer, chatEvents } from "../../test/support/raw-upstream.ts";
import { type Answers, CHAT, type Relayed, type Rig, relayed, replies, streams } from "../../test/support/relayed.ts";
import { Failure } from "../core/failure.ts";
import type { StreamEvent } from "../core/stream-event.ts";
import type { KeptAnswer, KeptEnd } from "../run/kept-answer.ts";
import { type Arrival, arrive } from "./come-back.ts";

const ID = "a".repeat(32);
const REPLAY = { ttl: 60_000, linger: 60_000, maxStreamBytes: 100_000, maxTotalBytes: 1_000_000, joinRetries: true };
const WORDS = chatEvents(["one", " two"]).map((text) => text.slice("data: ".length, -2));
const events: StreamEvent[] = WORDS.slice(0, -1).map((data) => ({ event: undefined, data }));
const numbered = (id: string, from = 1, words = WORDS): string =>
  words.map((data, index) => `data: ${data}\nid: ${id}:${from + index}\n\n`).join("");
const failure = new Failure("stream_truncated", "the upstream's stream ended early", { seam: "tail" });
const FAILED: KeptEnd = {
  kind: "failed",
  failure,
  message: "As all are told.",
  errorEvent: "data: as all are told\n\n",
  seams: [],
};
const streamed = { kind: "streamed", repaired: false } as const;
const headers = { "x-perennial-replay": "1" };

/** One that tells what it is told to. */
function answerOf(read: KeptAnswer["read"], more: Partial<KeptAnswer> = {}): KeptAnswer {
  return { id: ID, isLast: () => false, isTaken: true, isOver: true, read, ...more } as KeptAnswer;
}

const joins = (stream: KeptAnswer, more: object = {}) => ({
  arrive: async () => ({ kind: "joins", stream, after: 0, hasIds: true, way: "get", ...more }) as Arrival,
});

function readsAll(end: KeptEnd, said = events): KeptAnswer["read"] {
  return async (client) => {
    if (said.length > 0) client.commit({ "x-theirs": "1" });
    for (const event of said) client.push(event, "content");
    client.flush();
    return { kind: "over", end };
  };
}

const inShort = ({ status, body, how, end }: Relayed) => [status, body, how, end.outcome, end.failure, end.seams, end.seam];

describe("an answer that is over, to one that comes for it", () => {
  const rig = relayed({ a: () => {} });

  test.each<[string, KeptAnswer, object, unknown[]]>([
    [
      "whole: as whoever was there from the beginning was given it; what was tried was the other's",
      answerOf(readsAll({ kind: "answered", result: streamed, outcome: "recovered", seams: [] })),
      {},
      [200, numbered(ID), "clean", "complete", undefined, [], undefined],
    ],
    [
      "the rest of it, numbered from there on",
      answerOf(readsAll({ kind: "answered", result: streamed, outcome: "complete", seams: [] }, events.slice(2))),
      { after: 2 },
      [200, numbered(ID, 3, WORDS.slice(2)), "clean", "complete", undefined, [], undefined],
    ],
    [
      "without numbers where it did not ask for them",
      answerOf(readsAll({ kind: "answered", result: streamed, outcome: "repaired", seams: [] })),
      { hasIds: false },
      [200, WORDS.map((data) => `data: ${data}\n\n`).join(""), "clean", "repaired", undefined, [], undefined],
    ],
    [
      "how it went on over its breaks is told once, of the exchange that has made it",
      answerOf(readsAll({ kind: "answered", result: streamed, outcome: "resumed", seams: ["native"] })),
      {},
      [200, numbered(ID), "clean", "resumed", undefined, [], undefined],
    ],
    [
      "broken: in the words that all are told",
      answerOf(readsAll(FAILED)),
      {},
      [
        200,
        `${numbered(ID, 1, WORDS.slice(0, -1))}data: as all are told\nid: ${ID}:${events.length + 1}\n\n`,
        "clean",
        "interrupted",
        "stream_truncated",
        [],
        "tail",
      ],
    ],
    [
      "that never began: an HTTP error in the same words",
      answerOf(readsAll(FAILED, [])),
      {},
      [502, expect.stringContaining('"message":"As all are told."'), "clean", "failed", "stream_truncated", [], "tail"],
    ],
    [
      "all of which it has: nothing, whole",
      answerOf(readsAll({ kind: "answered", result: streamed, outcome: "complete", seams: [] }, []), {
        isLast: (after) => after === 9,
      }),
      { after: 9 },
      [undefined, "", "clean", "complete", undefined, [], undefined],
    ],
    [
      "all of which it has, its failure too: nothing, and that it was broken is known",
      answerOf(readsAll(FAILED, []), { isLast: (after) => after === 9 }),
      { after: 9 },
      [undefined, "", "clean", "interrupted", "stream_truncated", [], "tail"],
    ],
    [
      "that it could not read to its end: its own failure, after what it has",
      answerOf(async (client) => {
        client.commit({});
        client.push(events[0] as StreamEvent, "content");
        client.flush();
        return { kind: "left", failure: new Failure("overloaded", "no room"), lastEvent: events[0] };
      }),
      {},
      [
        200,
        expect.stringMatching(/1\n\ndata: \{"error":\{"message":"No room\.".*\n\n$/),
        "clean",
        "interrupted",
        "overloaded",
        [],
        undefined,
      ],
    ],
  ])("%s", async (_what, stream, more, told) => {
    const got = await rig.send(joins(stream, more));
    expect(inShort(got)).toEqual(told);
    expect(got.exchange.kept).toEqual({ stream: ID, way: "get" });
  });

  test("in one piece", async () => {
    const body = Buffer.from(chatAnswer("hi"));
    const result = { kind: "reply", status: 200, headers: { "x-theirs": "1" }, body, repaired: false } as const;
    const end: KeptEnd = { kind: "answered", result, outcome: "recovered", seams: [] };
    const got = await rig.send({ body: { ...CHAT, stream: false }, ...joins(answerOf(readsAll(end, [])), { way: "retry" }) });
    expect(inShort(got)).toEqual([200, chatAnswer("hi"), "clean", "complete", undefined, [], undefined]);
    expect(got.headers).toMatchObject({ "x-theirs": "1", "x-perennial-stream": ID });
  });
});

describe("an answer whose maker has gone", () => {
  const moved = answerOf(async (client) => {
    client.commit({});
    for (const event of events.slice(0, 2)) client.push(event, "content");
    client.flush();
    return { kind: "moved", after: 2 };
  });
  const LOST = "Incomplete stream: the replica of Perennial that made the answer has ended.";

  test("is read on where another replica makes it, from behind what the client has; also where the store is found again", async () => {
    const asked: unknown[] = [];
    const end: KeptEnd = { kind: "answered", result: streamed, outcome: "resumed", seams: [] };
    const rest = answerOf(async (client, after, signal) => {
      asked.push(after, signal.aborted);
      for (const event of events.slice(2)) client.push(event, "content");
      client.flush();
      return { kind: "over", end };
    });
    let tries = 0;
    const find = async (id: string): Promise<KeptAnswer> => {
      asked.push(id);
      if (tries++ === 0) throw new Failure("overloaded", "the store is away");
      return rest;
    };
    const rig = relayed({ a: () => {} }, {}, { kept: { find } as Rig["context"]["kept"] });
    expect(inShort(await rig.send(joins(moved)))).toEqual([200, numbered(ID), "clean", "resumed", undefined, [], undefined]);
    expect(asked).toEqual([ID, ID, 2, false]);
  });

  test.each<[string, Rig["context"]["kept"]["find"], string, RegExp]>([
    ["is not kept any more", async () => undefined, "stream_truncated", new RegExp(LOST)],
    [
      "cannot be looked for, since its client is not served any more",
      async () => {
        throw new Failure("overloaded", "the store is away");
      },
      "overloaded",
      /The store is away/,
    ],
  ])("that %s is broken for its client", async (_what, find, code, words) => {
    let asked = 0;
    const counted: typeof find = (id) => {
      asked++;
      return find(id);
    };
    const rig = relayed({ a: () => {} }, {}, { kept: { find: counted } as Rig["context"]["kept"] });
    const got = await rig.send({
      ...joins(moved),
      onExchange: (exchange) => code === "overloaded" && exchange.abort(new Failure("draining", "Perennial is shutting down")),
    });
    expect(inShort(got).slice(2)).toEqual(["clean", "interrupted", code, [], undefined]);
    // For a client that is served no more it is not sought again and again.
    expect(asked).toBe(1);
    expect(got.body).toMatch(words);
    expect(got.body.startsWith(numbered(ID, 1, WORDS.slice(0, 2)))).toBe(true);
  });
});

describe("an answer that is kept while it is made", () => {
  const keeping = (rig: Rig) => (exchange: Parameters<typeof arrive>[0]) => arrive(exchange, REPLAY, rig.context);

  async function both(answers: Answers | readonly Answers[], config: object, body: object = CHAT) {
    const rig = relayed({ a: answers }, config as Record<string, unknown>);
    const first = await rig.send({ headers: { ...headers, "idempotency-key": "k" }, body, arrive: keeping(rig) });
    const second = await rig.send({ headers: { ...headers, "idempotency-key": "k" }, body, arrive: keeping(rig) });
    const { stream } = first.exchange.kept ?? { stream: "" };
    return { first, second, stream, asked: rig.seen.length };
  }

  test("is told as it is to who started it, and again to who comes: whole", async () => {
    const { first, second, stream, asked } = await both([streams([]), streams(chatEvents(["one", " two"]))], {});
    expect(inShort(first)).toEqual([200, numbered(stream), "clean", "recovered", undefined, [], undefined]);
    expect(inShort(second)).toEqual([200, numbered(stream), "clean", "complete", undefined, [], undefined]);
    expect([first.exchange.kept?.way, second.exchange.kept?.way, asked]).toEqual([undefined, "idempotency-key", 2]);
    expect(first.end).not.toHaveProperty("lingered");
  });

  test("and broken, with how much of it there was", async () => {
    const cut = streams(chatEvents(["one", " two"]).slice(0, 3), new Failure("stream_truncated", "the connection was cut"));
    const { first, second, stream, asked } = await both(cut, { retry: { maxAttempts: 1 } });
    const words =
      "Incomplete stream: the connection was cut. The answer is incomplete: 7 characters had arrived, after 1 attempt. Send the request again.";
    expect(first.body).toContain(`"message":"${words}"`);
    expect(first.body.startsWith(numbered(stream, 1, WORDS.slice(0, 3)))).toBe(true);
    expect(first.body.endsWith(`\nid: ${stream}:4\n\n`)).toBe(true);
    expect([second.body, asked]).toEqual([first.body, 1]);
    for (const got of [first, second]) expect(inShort(got).slice(2, 5)).toEqual(["clean", "interrupted", "stream_truncated"]);
  });

  test("and in one piece; what never began is asked for anew", async () => {
    const whole = await both(replies(chatAnswer("hi")), {}, { ...CHAT, stream: false });
    expect([whole.first.body, whole.second.body, whole.asked]).toEqual([chatAnswer("hi"), chatAnswer("hi"), 1]);
    const refused = await both(replies({ error: { message: "no" } }, 400), {});
    expect([refused.first.status, refused.first.body, refused.asked]).toEqual([400, '{"error":{"message":"no"}}', 2]);
    expect(refused.second.body).toBe(refused.first.body);
  });
});

describe("what is shown beside the client (dashboard.text)", () => {
  test.each([
    ["a stream, event by event", streams(chatEvents(["one", " two"])), CHAT, WORDS.slice(0, -1)],
    ["an answer, whole", replies(chatAnswer("hi")), { ...CHAT, stream: false }, [chatAnswer("hi")]],
    ["no refusal", replies("no", 400), CHAT, []],
  ] as const)("%s; kept or not, and its client gets the same", async (_what, answers, body, shown) => {
    const seen: string[] = [];
    const texts = {
      begin: () => ({ event: ({ data }: StreamEvent) => seen.push(data), whole: (text: Buffer) => seen.push(text.toString()) }),
    };
    const plain = await relayed({ a: answers }).send({ body });
    const rig = relayed({ a: answers }, {}, { texts });
    const watched = await rig.send({ body });
    expect([watched.status, watched.body, watched.headers]).toEqual([plain.status, plain.body, plain.headers]);
    expect(seen.splice(0)).toEqual(shown);
    const kept = await rig.send({ body, headers, arrive: (exchange) => arrive(exchange, REPLAY, rig.context) });
    expect(kept.body.replaceAll(/^id: .*\n/gm, "")).toBe(plain.body);
    expect(seen).toEqual(shown);
  });

  test("a body that is passed through is its client's alone", async () => {
    const rig = relayed({ a: replies("bytes") }, {}, { texts: { begin: () => expect.unreachable() } });
    expect((await rig.send({ path: "/files" })).body).toBe("bytes");
  });
});
