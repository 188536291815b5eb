/** The list of models: of one upstream as it is, of several as one, and what each is asked for it. */
import { afterEach, expect, test, vi } from "vitest";
import { type Answers, fails, relayed, replies } from "../../test/support/relayed.ts";
import { Failure } from "../core/failure.ts";

afterEach(() => void vi.useRealTimers());

const JSON_HEAD = { "content-type": "application/json; charset=utf-8" };
const qwen = { id: "qwen2.5-72b", owned_by: "them", created: 5 };
const silent: Answers = () => {};
const get = { method: "GET", path: "/models" };
const named = (models: string[] | undefined) => ({ id: "1", name: "n", priority: 0, models });

interface Case {
  readonly upstreams?: Record<string, object>;
  readonly models?: string[];
  readonly lists: Record<string, Answers>;
  readonly told: unknown;
}

test.each<[string, Case]>([
  [
    "each model once, as the first upstream says it that has it, and whatever else the first list says",
    {
      lists: {
        a: replies({ object: "list", has_more: false, data: [qwen, { id: "m" }, { id: 7 }, "odd", null] }),
        b: replies({ object: "other", data: [{ id: "z" }, { id: "m", owned_by: "b" }] }),
      },
      told: { object: "list", has_more: false, data: [qwen, { id: "m" }, { id: "z" }] },
    },
  ],
  [
    "the ends of the whole list where one list says its own",
    {
      lists: {
        a: replies({ data: [qwen, { id: "m" }], first_id: qwen.id, last_id: "m" }),
        b: replies({ data: [{ id: "z" }] }),
      },
      told: { object: "list", first_id: qwen.id, last_id: "z", data: [qwen, { id: "m" }, { id: "z" }] },
    },
  ],
  [
    "no ends of a list that is empty",
    {
      lists: { a: replies({ data: [], first_id: null, last_id: null }), b: replies({}) },
      told: { object: "list", first_id: null, last_id: null, data: [] },
    },
  ],
  [
    "the names of ours for what an upstream has, also where it does not list that; but for the one that stands for any",
    {
      upstreams: { a: { models: { mini: qwen.id, fast: "hidden", "*": "x" } } },
      lists: { a: replies({ data: [qwen] }) },
      told: {
        object: "list",
        data: [qwen, { object: "model", ...qwen, id: "mini" }, { object: "model", created: 0, owned_by: "a", id: "fast" }],
      },
    },
  ],
  [
    "only what is served of each",
    {
      upstreams: { a: { only: ["qwen*"] }, b: { only: ["m"] } },
      lists: { a: replies({ data: [qwen, { id: "m" }] }), b: replies({ data: [qwen, { id: "m", owned_by: "b" }] }) },
      told: { object: "list", data: [qwen, { id: "m", owned_by: "b" }] },
    },
  ],
  [
    "only what the client's key may use, of one upstream as well",
    {
      models: ["m", "z*"],
      lists: { a: replies({ data: [qwen, { id: "m" }, { id: "zz" }, { id: "mm" }] }) },
      told: { object: "list", data: [{ id: "m" }, { id: "zz" }] },
    },
  ],
  [
    "what the others have where one fails, or has what is no list",
    {
      lists: {
        a: replies({ error: { message: "down" } }, 500),
        b: replies("[]"),
        c: replies({ data: "odd" }),
        d: replies({ object: "x", data: [{ id: "z" }] }),
      },
      told: { object: "x", data: [{ id: "z" }] },
    },
  ],
])("%s", async (_what, { upstreams, models, lists, told }) => {
  const { send } = relayed(lists, { upstreams });
  const got = await send({ ...get, ...(models && { client: named(models) }) });
  expect([got.status, JSON.parse(got.body), got.end.outcome, got.how]).toEqual([200, told, "complete", "clean"]);
  expect(got.headers).toMatchObject({ ...JSON_HEAD, "content-length": String(got.body.length) });
});

test("one upstream's list is given as it came, and so is what is asked otherwise of several", async () => {
  const list = '{ "data" : [ {"id":"m"} ] }';
  const one = relayed({ a: replies(list) });
  expect((await one.send(get)).body).toBe(list);
  // A name of a key that may use everything makes no other list.
  expect((await one.send({ ...get, client: named(undefined) })).body).toBe(list);
  const keys = relayed({ a: replies(list) }, { upstreams: { a: { apiKeys: ["one", "two"] } } });
  expect([(await keys.send(get)).body, keys.seen.length]).toEqual([list, 1]);
  const two = relayed({ a: replies(list), b: replies("{}") });
  for (const asked of [
    { method: "GET", path: "/models/m" },
    { method: "GET", path: "/v1/models2" },
    { method: "HEAD", path: "/models" },
  ])
    expect((await two.send(asked)).body, asked.path).toBe(list);
  expect(two.seen.every(({ upstream }) => upstream === "a")).toBe(true);
  for (const path of ["/models", "/v1/models", "/models?limit=2"])
    expect(JSON.parse((await two.send({ method: "GET", path })).body), path).toEqual({ object: "list", data: [{ id: "m" }] });
});

test("each is asked at once, for the whole of its list, and its attempt is told of", async () => {
  const told: unknown[] = [];
  const { send, seen } = relayed(
    { a: replies({ data: [] }, 200, { "retry-after": "7" }), b: replies("no", 404) },
    { upstreams: { b: { apiKeys: ["k", "l"] } } },
    {
      observer: {
        onAttemptStart: (_exchange, { number, upstream }) => told.push(`${number} ${upstream}`),
        onAttemptEnd: (_exchange, { number, failure }) => told.push(`${number} over ${failure}`),
      },
      propagator: { headersFor: (_exchange, { number }) => ({ traceparent: `t${number}` }) },
    },
  );
  const headers = {
    "if-none-match": '"x"',
    "if-modified-since": "x",
    range: "bytes=0-1",
    "x-if": "1",
    "x-range": "1",
    "x-gif": "1",
  };
  const got = await send({ ...get, path: "/models?limit=2", headers });
  expect(seen).toEqual(
    ["a", "b"].map((upstream, index) => ({
      upstream,
      method: "GET",
      path: "/models?limit=2",
      headers: { "x-if": "1", "x-range": "1", "x-gif": "1" },
      set: { "accept-encoding": "identity", traceparent: `t${index + 1}` },
      body: "",
    })),
  );
  expect(told).toEqual(["1 a", "2 b", "1 over undefined", "2 over upstream_status"]);
  expect(got.exchange.attempts).toMatchObject([
    { number: 1, upstream: "a", status: 200, failure: undefined },
    { number: 2, upstream: "b", status: 404, failure: "upstream_status" },
  ]);
  expect(got.headers).toMatchObject({ ...JSON_HEAD, "x-perennial-attempts": "2" });
});

test("where all fail the first one's failure is told; where the client leaves, nothing", async () => {
  const refused = await relayed({
    a: replies({ error: "key" }, 401),
    b: fails(new Failure("upstream_unreachable", "down")),
  }).send(get);
  expect([refused.status, refused.body, refused.end.outcome, refused.end.failure]).toEqual([
    401,
    '{"error":"key"}',
    "failed",
    "upstream_status",
  ]);
  const odd = await relayed({ a: replies("[1]"), b: replies("[1]") }).send(get);
  expect([odd.status, JSON.parse(odd.body).error.message]).toEqual([
    502,
    "The upstream's list of models is not a JSON object. No answer had arrived, after 2 attempts. Send the request again.",
  ]);
  const left = await relayed({ a: silent, b: silent }).send({
    ...get,
    onExchange: (exchange) => setImmediate(() => exchange.abort(new Failure("client_gone", "the client left"))),
  });
  expect([left.status, left.how, left.end.outcome]).toEqual([undefined, "cut", "cancelled"]);
});

test.each<[string, Answers]>([
  ["says nothing", silent],
  [
    "stops within its list",
    (to) => {
      to.onHead(200, {});
      to.onData(Buffer.from('{"data":'));
    },
  ],
])("one that %s keeps the others' models from the client for 10 s and no longer", async (_what, slow) => {
  vi.useFakeTimers();
  const { send } = relayed({ a: slow, b: replies({ data: [{ id: "z" }] }) });
  let body: string | undefined;
  void send(get).then((got) => {
    body = got.body;
  });
  await vi.advanceTimersByTimeAsync(9_900);
  expect(body).toBeUndefined();
  await vi.advanceTimersByTimeAsync(200);
  expect(JSON.parse(String(body))).toEqual({ object: "list", data: [{ id: "z" }] });
});
