/** Which answer a request is given: one of its own, or one that is kept for the same client. */
import { beforeEach, describe, expect, test } from "vitest";
import { CHAT, relayed } from "../../test/support/relayed.ts";
import type { ComeBackWay, Exchange } from "../core/exchange.ts";
import type { Failure } from "../core/failure.ts";
import { HeldMemory } from "../core/held-memory.ts";
import type { StreamEvent } from "../core/stream-event.ts";
import type { KeptStream } from "../run/kept-stream.ts";
import { KeptStreams } from "../run/kept-streams.ts";
import {
  type Arrival,
  arrive,
  type ComeBackContext,
  comeBack,
  findKept,
  type ReplaySettings,
  streamOfPath,
} from "./come-back.ts";

const REPLAY: ReplaySettings = { ttl: 60_000, linger: 60_000, maxStreamBytes: 10_000, maxTotalBytes: 100_000, joinRetries: true };
const { exchangeOf } = relayed({ a: () => {} });
const event: StreamEvent = { event: undefined, data: '{"choices":[]}' };

let told: string[] = [];
let context: ComeBackContext;
beforeEach(() => {
  told = [];
  context = {
    kept: new KeptStreams(new HeldMemory()),
    observer: { onComeBack: (way, found) => told.push(`${way} ${found}`) },
  };
});

type Asked = NonNullable<Parameters<typeof exchangeOf>[0]>;
const come = (asked: Asked = {}, replay: Partial<ReplaySettings> = {}) =>
  arrive(exchangeOf(asked), { ...REPLAY, ...replay }, context);

async function started(asked: Asked = {}, replay: Partial<ReplaySettings> = {}): Promise<KeptStream> {
  const arrival = await come({ ...asked, headers: { "x-perennial-replay": "1", ...asked.headers } }, replay);
  if (arrival?.kind !== "starts") throw new Error("it was to start");
  arrival.stream.commit({});
  for (let count = 0; count < 3; count++) arrival.stream.push(event, "content");
  arrival.stream.flush();
  return arrival.stream;
}

/** In few words; a refusal by its status, code and message. */
async function inWords(arriving: Promise<Arrival | undefined>, known?: KeptStream): Promise<string> {
  try {
    const arrival = await arriving;
    if (arrival === undefined) return "none";
    const ids = arrival.hasIds ? " with ids" : "";
    if (arrival.kind === "starts") return `starts${ids}`;
    return `joins ${arrival.stream === known ? "it" : "another"} after ${arrival.after} by ${arrival.way}${ids}`;
  } catch (thrown) {
    const { status, code, message } = thrown as Failure;
    return `${status} ${code}: ${message}`;
  }
}

const AFRESH = "Ask again from the beginning, as a new request.";
const ANOTHER =
  "422 invalid_request: This is another request than the one whose answer is asked for: its path and its body must be the same.";
const FOREIGN = "404 not_found: There is no such stream for this client.";
const GONE = `410 stream_gone: This stream is not kept, or not any more. ${AFRESH}`;
const BEYOND = `410 stream_gone: What follows there is not kept any more. ${AFRESH}`;
const NOBODY = "f".repeat(32);

test.each([
  ["/v1/streams/", true],
  ["/streams/", true],
  ["/v2/streams/", false],
  ["/v1/streams/x", false],
  ["/x/v1/streams/", false],
])("%s and an id names a stream: %s", (before, isOurs) => {
  expect(streamOfPath(before + NOBODY)).toBe(isOurs ? NOBODY : undefined);
  for (const odd of [`${NOBODY}0`, NOBODY.slice(1), NOBODY.toUpperCase(), `${NOBODY}/x`])
    expect(streamOfPath(before + odd)).toBeUndefined();
});

describe("a request", () => {
  test("that asks for nothing of the kind has its own run, which is not kept; so has what passes through", async () => {
    expect(await come()).toBeUndefined();
    expect(await come({ headers: { "x-perennial-replay": "0" } })).toBeUndefined();
    expect(await come({ headers: { "idempotency-key": "" } })).toBeUndefined();
    expect(await come({ path: "/files", headers: { "x-perennial-replay": "1", "idempotency-key": "k" } })).toBeUndefined();
    expect(told).toEqual([]);
  });

  test("with a Last-Event-ID is given what follows there, of its own answer alone", async () => {
    const known = await started({ key: "client" });
    const ask = (id: string, more: Asked = {}) =>
      inWords(come({ key: "client", ...more, headers: { "last-event-id": id } }), known);
    expect(await ask(`${known.id}:2`)).toBe("joins it after 2 by last-event-id with ids");
    expect(await ask(`${known.id}:0`)).toBe("joins it after 0 by last-event-id with ids");
    expect(await ask(`${known.id}:4`)).toBe(BEYOND);
    expect(await ask(`${NOBODY}:0`)).toBe(GONE);
    expect(await ask(`${known.id}:0`, { key: "another" })).toBe(FOREIGN);
    expect(await ask(`${known.id}:0`, { body: { ...CHAT, model: "other" } })).toBe(ANOTHER);
    expect(await ask(`${known.id}:0`, { path: "/completions", body: CHAT })).toBe(ANOTHER);
    expect(told).toEqual([
      ...["running", "running", "refused", "refused", "refused", "refused", "refused"].map((found) => `last-event-id ${found}`),
    ]);
    known.close({ kind: "answered", result: { kind: "streamed", repaired: false }, outcome: "complete", seams: [] });
    expect(await ask(`${known.id}:2`)).toBe("joins it after 2 by last-event-id with ids");
    expect(told.at(-1)).toBe("last-event-id over");
    // What is no id of ours is another server's.
    for (const odd of [
      known.id,
      `${known.id}:`,
      `${known.id}:-1`,
      `${known.id}:1x`,
      `x${known.id}:1`,
      `${known.id}:${"1".repeat(16)}`,
    ])
      expect(await ask(odd), odd).toBe("none");
  });

  test("with an Idempotency-Key that is known is given that answer from its beginning", async () => {
    const known = await started({ headers: { "idempotency-key": "k" } });
    const ask = (headers: Record<string, string>, more: Asked = {}) => inWords(come({ ...more, headers }), known);
    expect(await ask({ "idempotency-key": "k" })).toBe("joins it after 0 by idempotency-key");
    expect(await ask({ "idempotency-key": "k", "x-perennial-replay": "1" })).toBe("joins it after 0 by idempotency-key with ids");
    expect(await ask({ "idempotency-key": "k" }, { key: "another" })).toBe(FOREIGN);
    expect(await ask({ "idempotency-key": "k" }, { body: { ...CHAT, model: "other" } })).toBe(ANOTHER);
    expect(await ask({ "idempotency-key": "other" })).toBe("starts");
    expect(await ask({ "idempotency-key": "new", "x-perennial-replay": "1" })).toBe("starts with ids");
    expect(told).toEqual(["running", "running", "refused", "refused"].map((found) => `idempotency-key ${found}`));
  });

  test("that an SDK retries joins the one before it, where both are alike", async () => {
    const ask = (count: string, replay: Partial<ReplaySettings> = {}, more: Asked = {}) =>
      inWords(come({ ...more, headers: { "x-stainless-retry-count": count, ...more.headers } }, replay));
    expect(await ask("1", { joinRetries: false })).toBe("none");
    expect(await ask("0")).toBe("starts");
    // The first of two that are alike is not the second.
    expect(await ask("0")).toBe("starts");
    expect(await ask("1")).toBe("joins another after 0 by retry");
    expect(await ask("1", {}, { headers: { authorization: "another" } })).toBe("starts");
    expect(await ask("1", {}, { body: { ...CHAT, model: "other" } })).toBe("starts");
    expect(told).toEqual(["retry running"]);
  });

  test("that is retried too late, or whose answer passes unkept, has its own", async () => {
    for (const [headers, isEver] of [
      [{ "x-stainless-retry-count": "2" }, false],
      [{ "idempotency-key": "k" }, true],
    ] as const) {
      const { client, request } = await started({ headers });
      for (const [facts, joins] of [
        [{ quietMs: 10_001, isPiped: false }, isEver],
        [{ quietMs: 10_000, isPiped: false }, true],
        [{ quietMs: 0, isPiped: true }, false],
      ] as const) {
        const known = { client, request, canGiveAfter: () => true, ...facts } as unknown as KeptStream;
        const kept: ComeBackContext["kept"] = {
          find: async () => known,
          claim: async (_facts, _options, name) =>
            name?.mayJoin(known) ? { kind: "known", stream: known } : { kind: "new", stream: known },
        };
        const arrival = await arrive(exchangeOf({ headers }), REPLAY, { ...context, kept });
        expect(arrival?.kind).toBe(joins ? "joins" : "starts");
      }
    }
  });
});

test("clients without a key of ours are told apart by those that they bring", async () => {
  for (const name of ["authorization", "x-api-key", "api-key"]) {
    const known = await started({ headers: { [name]: "mine" } });
    const ask = (headers: Record<string, string>) =>
      inWords(come({ headers: { ...headers, "last-event-id": `${known.id}:1` } }), known);
    expect(await ask({ [name]: "mine", cookie: "x" })).toBe("joins it after 1 by last-event-id with ids");
    for (const other of [{}, { [name]: "theirs" }, { cookie: "mine" }, { authorization: "x", [name]: "" }])
      expect(await ask(other), JSON.stringify(other)).toBe(FOREIGN);
  }
  const byKey = await started({ key: "ours", headers: { authorization: "mine" } });
  expect(
    await inWords(come({ key: "ours", headers: { authorization: "other", "last-event-id": `${byKey.id}:1` } }), byKey),
  ).toMatch(/^joins it/);
});

test("an answer is known by what was asked, and by nothing else of the request", async () => {
  const known = await started({ headers: { "content-type": "application/json" } });
  const compressed: Exchange = {
    ...exchangeOf(),
    request: {
      method: "POST",
      path: "/chat/completions",
      headers: { "last-event-id": `${known.id}:1`, "content-encoding": "gzip" },
      body: Buffer.from("compressed"),
      plain: Buffer.from(JSON.stringify(CHAT)),
    },
  };
  expect(await inWords(arrive(compressed, REPLAY, context), known)).toMatch(/^joins it/);
});

test("what a replica may have to go on with is kept of a request as long as it is no larger than an answer", async () => {
  const asked: unknown[] = [];
  const { kept } = context;
  const noting: ComeBackContext["kept"] = {
    find: (id) => kept.find(id),
    claim(facts, options, name, stored) {
      asked.push(stored());
      return kept.claim(facts, options, name, stored);
    },
  };
  for (const maxStreamBytes of [1_000, 10])
    await arrive(
      exchangeOf({ headers: { "x-perennial-replay": "1" } }),
      { ...REPLAY, maxStreamBytes },
      { ...context, kept: noting },
    );
  expect(asked).toEqual([{ method: "POST", path: "/chat/completions", headers: {}, body: JSON.stringify(CHAT) }, undefined]);
});

describe("a stream by its address", () => {
  type By = { key?: string; after?: string | null; headers?: Record<string, string> };
  const get = (id: string, { key = "client", after = null, headers = {} }: By = {}) =>
    comeBack(id, { key, headers, after }, context);

  test("is given from its beginning, or from where the query or the header says", async () => {
    const known = await started({ key: "client" });
    for (const [by, words] of [
      [{}, "joins it after 0 by get with ids"],
      [{ after: "2" }, "joins it after 2 by get with ids"],
      [{ headers: { "last-event-id": `${known.id}:3` } }, "joins it after 3 by get with ids"],
      [{ after: "1", headers: { "last-event-id": `${known.id}:3` } }, "joins it after 3 by get with ids"],
      [{ after: "4" }, BEYOND],
      [{ key: "another" }, FOREIGN],
      [{ headers: { "last-event-id": `${NOBODY}:3` } }, "400 invalid_request: The Last-Event-ID is that of another stream."],
      ...["", "x", "-1", "1x", "x1", "1".repeat(16)].map((after) => [
        { after },
        "400 invalid_request: The parameter after must be the number of an event.",
      ]),
    ] as [By, string][])
      expect(await inWords(get(known.id, by), known), JSON.stringify(by)).toBe(words);
    expect(await inWords(get(NOBODY))).toBe(GONE);
    expect(new Set(told)).toEqual(new Set<`${ComeBackWay} ${string}`>(["get running", "get refused"]));
  });

  test("is found for its client alone, without being come back for", async () => {
    const known = await started({ key: "client" });
    expect(await findKept(known.id, "client", {}, context)).toBe(known);
    await expect(findKept(known.id, "another", {}, context)).rejects.toThrow("There is no such stream for this client.");
    await expect(findKept(NOBODY, "client", {}, context)).rejects.toThrow("This stream is not kept, or not any more.");
    expect(told).toEqual([]);
  });
});
