/** Several upstreams for one request: who is asked after whom, with what, and what the client is told when none answers. */
import { expect, test } from "vitest";
import { chatAnswer, chatEvents } from "../../test/support/raw-upstream.ts";
import { type Answers, type Asked, CHAT, fails, type RigConfig, relayed, replies, streams } from "../../test/support/relayed.ts";
import { Failure } from "../core/failure.ts";

const ok = streams(chatEvents(["hi"]));
const empty = streams([]);
const status = (code: number, words = `${code}`, headers = {}): Answers => replies({ error: { message: words } }, code, headers);
const WHOLE = { body: { ...CHAT, stream: false } };
const down = fails(
  new Failure("upstream_unreachable", "the upstream cannot be reached (ECONNREFUSED)", { outage: "connection" }),
);
const slow = fails(new Failure("first_token_timeout", "late"));

interface Told {
  readonly status: number;
  /** A part of the body. */
  readonly says: string;
  /** Whose answer it is said to be. */
  readonly upstream: string | undefined;
}

test.each<[string, Record<string, Answers | readonly Answers[]>, RigConfig, string, Told]>([
  ["one that is down", { a: down, b: ok }, {}, "a b", { status: 200, says: "hi", upstream: "b" }],
  ["one that fails", { a: status(500), b: ok }, {}, "a b", { status: 200, says: "hi", upstream: "b" }],
  ["one that says nothing", { a: empty, b: ok }, {}, "a b", { status: 200, says: "hi", upstream: "b" }],
  ["one that is late", { a: slow, b: ok }, {}, "a b", { status: 200, says: "hi", upstream: "b" }],
  ["one without that model", { a: status(404), b: ok }, {}, "a b", { status: 200, says: "hi", upstream: "b" }],
  ["one that has no money", { a: status(402), b: ok }, {}, "a b", { status: 200, says: "hi", upstream: "b" }],
  [
    "a request that is wrong: nobody else",
    { a: status(400, "wrong"), b: ok },
    {},
    "a",
    { status: 400, says: "wrong", upstream: "a" },
  ],
  [
    "a request that is wrong, with failover.codes",
    { a: status(400), b: ok },
    { failover: { codes: [400] } },
    "a b",
    { status: 200, says: "hi", upstream: "b" },
  ],
  [
    "one that fails, where that is no cause",
    { a: status(500, "five"), b: ok },
    { failover: { on: ["timeout"] } },
    "a a a",
    { status: 500, says: "five", upstream: "a" },
  ],
  [
    "one that is down, where that is no cause",
    { a: down, b: ok },
    { failover: { on: ["status"] }, retry: { outage: "1ms" } },
    "a( a)*",
    {
      status: 503,
      says: "None of the upstreams can be asked (a: the upstream cannot be reached (ECONNREFUSED)).",
      upstream: "a",
    },
  ],
  [
    "one that refuses its key, where that is no cause",
    { a: status(403, "key"), b: ok },
    { failover: { on: ["status"] } },
    "a",
    { status: 403, says: "key", upstream: "a" },
  ],
  [
    "one without that model, where refused keys are no cause",
    { a: status(404), b: ok },
    { failover: { on: ["status"] } },
    "a b",
    { status: 200, says: "hi", upstream: "b" },
  ],
  [
    "two that fail, one after the other; what was tried last is told",
    { a: status(500, "first"), b: status(500, "second") },
    {},
    "a b a",
    { status: 500, says: "first", upstream: "a" },
  ],
  [
    "one that refuses, after one that fails: what may pass is told, and the one is asked again",
    { a: status(500, "may pass"), b: status(404, "never") },
    {},
    "a b a",
    { status: 500, says: "may pass", upstream: "a" },
  ],
  [
    "all that refuse: the preferred one's word is told, and whose it is",
    { a: status(404, "a has no such model"), b: status(404, "b has none"), c: status(403, "no") },
    {},
    "a b c",
    { status: 404, says: "a has no such model", upstream: "a" },
  ],
  [
    "two that are down",
    { a: down, b: down },
    { retry: { outage: "1ms" } },
    "a b( a b)*( a)?",
    {
      status: 503,
      says: "None of the upstreams can be asked (a: the upstream cannot be reached (ECONNREFUSED); b: the upstream cannot be reached (ECONNREFUSED)).",
      upstream: expect.stringMatching(/^[ab]$/) as never,
    },
  ],
  [
    "one that is down, after one that refuses: that it is down may pass",
    { a: status(404, "none here"), b: down },
    { retry: { outage: "1ms" } },
    "a b( b)*",
    {
      status: 503,
      says: "None of the upstreams can be asked (b: the upstream cannot be reached (ECONNREFUSED)).",
      upstream: "b",
    },
  ],
])("after %s", async (_what, answers, config, asked, told) => {
  const { send, seen } = relayed(answers, config);
  const got = await send();
  // While one is out it is asked as often as there is time.
  expect([seen.map(({ upstream }) => upstream).join(" "), got.status, got.headers["x-perennial-upstream"]]).toEqual([
    expect.stringMatching(new RegExp(`^${asked}$`)),
    told.status,
    told.upstream,
  ]);
  expect(got.body).toContain(told.says);
  expect(got.exchange.attempts.map(({ number }) => number)).toEqual(seen.map((_, index) => index + 1));
});

test("attempts are counted over all, and what is left to each is told in its progress", async () => {
  const { send, seen } = relayed(
    { a: empty, b: empty },
    {
      retry: { maxAttempts: 5 },
      upstreams: { a: { emptyFallback: "off" }, b: { emptyFallback: "off" } },
      progress: true,
      heartbeat: false,
    },
  );
  const { body } = await send();
  expect(seen.map(({ upstream }) => upstream)).toEqual(["a", "b", "a", "b", "a"]);
  expect(body.match(/^: perennial.*$/gm)).toEqual(
    [2, 3, 4, 5].map((number) => `: perennial attempt ${number} of 5, upstream ${number % 2 === 0 ? "b" : "a"}`),
  );
});

test.each<[string, Asked, object | undefined, string]>([
  ["a model", {}, { only: ["other"] }, 'No upstream is configured for the model "m" (upstreams: api, models, only).'],
  ["a model with a long name", { body: { ...CHAT, model: "x".repeat(300) } }, { only: ["m"] }, `the model "${"x".repeat(200)}"`],
])("%s that nobody serves is said to be that", async (_what, asked, upstream, words) => {
  const { send, seen } = relayed({ a: ok, b: ok }, { upstreams: { a: upstream ?? {}, b: upstream ?? {} } });
  const got = await send(asked);
  expect([got.status, seen, JSON.parse(got.body).error]).toMatchObject([
    404,
    [],
    { code: "not_found", message: expect.stringContaining(words) },
  ]);
});

test("each is asked for the model by its own name, and the client is told its own", async () => {
  const theirs = (name: string) => chatEvents(["hi"]).map((event) => event.replaceAll('"model":"m"', `"model":"${name}"`));
  const upstreams = { a: { models: { gpt: "a-model" } }, b: { models: { gpt: "b-model" } } };
  const { send, seen } = relayed({ a: empty, b: streams(theirs("b-model")) }, { upstreams });
  const got = await send({ body: { ...CHAT, model: "gpt" } });
  expect(seen.map(({ body }) => JSON.parse(body))).toEqual(["a-model", "b-model"].map((model) => ({ ...CHAT, model })));
  expect(got.body).toBe(theirs("gpt").join(""));
  expect(got.exchange.attempts.map(({ servedModel }) => servedModel)).toEqual([undefined, "b-model"]);
  // Where the answer says the client's own name already, it goes on as it came.
  const spaced = theirs("gpt").map((event) => event.replace('"model":', '"model" : '));
  const same = relayed({ a: streams(spaced) }, { upstreams: { a: { models: { gpt: "a-model" } } } });
  expect((await same.send({ body: { ...CHAT, model: "gpt" } })).body).toBe(spaced.join(""));
  const whole = relayed({ a: replies(chatAnswer("hi")) }, { upstreams: { a: { models: { gpt: "m" } } } });
  const { body } = await whole.send({ body: { ...WHOLE.body, model: "gpt" } });
  expect(body).toBe(chatAnswer("hi").replace('"model":"m"', '"model":"gpt"'));
});

test.each<[string, string, string, string]>([
  [
    "a number that JSON.parse would change",
    '{"model":"gpt","seed":12345678901234567890,"stream":true}',
    "",
    '{"model":"theirs","seed":12345678901234567890,"stream":true}',
  ],
  ["a compressed one, plain", '{"model":"gpt","stream":true}', "gzip", '{"model":"theirs","stream":true}'],
])("a request that is written anew says what the client's did: %s", async (_what, body, encoding, sent) => {
  const { send, seen } = relayed({ a: ok }, { upstreams: { a: { models: { gpt: "theirs" } } } });
  await send({ body, headers: encoding === "" ? { "x-theirs": "1" } : { "x-theirs": "1", "content-encoding": encoding } });
  expect(seen.map((request) => [request.body, request.headers])).toEqual([[sent, { "x-theirs": "1" }]]);
});

test("a refusal that is large is not kept for when no other has a better word; a small one is", async () => {
  for (const [size, isKept] of [
    [65_000, true],
    [66_000, false],
  ] as const) {
    const words = "x".repeat(size);
    const { send } = relayed({ a: status(500, words), b: status(404, "none here") }, { retry: { maxAttempts: 2 } });
    const got = await send();
    expect([got.status, got.headers["x-perennial-upstream"], got.end.failure]).toEqual([500, "a", "upstream_status"]);
    expect(got.body.includes('"code":"upstream_status"')).toBe(!isKept);
  }
});

test("one that keeps failing rests: nobody asks it while another can be asked", async () => {
  const { send, seen } = relayed({ a: [status(500), ok], b: ok }, { breaker: { failures: 1, window: "30s", rest: "1h" } });
  for (let count = 0; count < 3; count++) expect((await send()).headers["x-perennial-upstream"]).toBe("b");
  // Another model of it may be well.
  expect((await send({ body: { ...CHAT, model: "other" } })).headers["x-perennial-upstream"]).toBe("a");
  expect(seen.map(({ upstream }) => upstream)).toEqual(["a", "b", "b", "b", "a"]);
});

test("a key that is refused rests, and the next one is asked; what is no matter of keys is asked of none of the others", async () => {
  const keys = { upstreams: { a: { apiKeys: ["one", "two"] } } };
  for (const [code, asked] of [
    [401, 3],
    [402, 3],
    [404, 3],
    [400, 2],
  ] as const) {
    const { send, seen } = relayed({ a: [status(code), ok] }, keys);
    const [first, second] = [await send(), await send()];
    expect([first.status, second.status, seen.length], `${code}`).toEqual([code === 400 ? 400 : 200, 200, asked]);
  }
});

test("no second upstream is asked beside one that is slow where its limits would make it wait", async () => {
  const late: Answers = (to, request) => void setTimeout(() => ok(to, request), 30);
  const upstreams = { b: { rate: { requests: "1/h" }, priority: 1 }, a: { priority: 0 } };
  const { send, seen } = relayed({ a: late, b: ok }, { upstreams, hedge: { after: "2ms", percent: 50 } });
  const by: unknown[] = [];
  for (let count = 0; count < 4; count++) by.push((await send()).headers["x-perennial-upstream"]);
  expect(seen.filter(({ upstream }) => upstream === "b").length).toBe(1);
  expect(by).toEqual(["a", "b", "a", "a"]);
});
