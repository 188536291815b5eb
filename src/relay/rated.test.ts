/** Which requests a rate limit counts, and whom an upstream's own wish to be left alone keeps back. */
import { expect, test } from "vitest";
import { chatAnswer } from "../../test/support/raw-upstream.ts";
import { type Asked, CHAT, relayed, replies } from "../../test/support/relayed.ts";

const ok = replies(chatAnswer("hi"));
const BODY = { ...CHAT, stream: false };
const NOW = { wait: "0s" };

test("what asks a model counts, what is only looked up does not", async () => {
  const { send } = relayed({ a: ok }, { upstreams: { a: { rate: { ...NOW, requests: "1/h" } } } });
  const codes: unknown[] = [];
  for (const method of ["POST", "POST", "PUT", "GET", "HEAD", "OPTIONS", "DELETE"]) {
    const got = await send({ method, path: method === "POST" ? "/chat/completions" : "/files/1", body: BODY });
    codes.push([method, got.status, got.end.failure]);
  }
  const refused = [429, "rate_limited"];
  const passed = [200, undefined];
  expect(codes).toEqual([
    ...[
      ["POST", ...passed],
      ["POST", ...refused],
      ["PUT", ...refused],
    ],
    ...["GET", "HEAD", "OPTIONS", "DELETE"].map((method) => [method, ...passed]),
  ]);
});

test("a limit of one model, by the name that its upstream knows it by, counts that one; what passes through, its path", async () => {
  const limits = { ...NOW, models: { theirs: { requests: "1/h" }, "/files": { requests: "1/h" } } };
  const { send } = relayed({ a: ok }, { upstreams: { a: { rate: limits, models: { m: "theirs" } } } });
  const status = async (asked: Asked): Promise<unknown> => (await send(asked)).status;
  expect([await status({ body: BODY }), await status({ body: BODY })]).toEqual([200, 429]);
  expect(await status({ body: { ...BODY, model: "theirs" } })).toBe(429);
  expect(await status({ body: { ...BODY, model: "other" } })).toBe(200);
  expect([await status({ path: "/files" }), await status({ path: "/files" }), await status({ path: "/batches" })]).toEqual([
    200, 429, 200,
  ]);
});

test("tokens are estimated of what a model reads, and of nothing else", async () => {
  const { send } = relayed({ a: ok }, { upstreams: { a: { rate: { ...NOW, tokens: "100/h" } } } });
  const long = "x".repeat(4_000);
  const large = { ...BODY, messages: [{ role: "user", content: long }] };
  expect((await send({ path: "/files", body: long })).status).toBe(200);
  expect((await send({ body: BODY })).status).toBe(200);
  const { status, body } = await send({ body: large });
  expect([status, JSON.parse(body).error.code]).toEqual([429, "rate_limited"]);
});

test("who is told to wait waits, and no other credential does", async () => {
  const slow = replies({ error: { message: "slow down" } }, 429, { "retry-after": "900" });
  const rate = { ...NOW, requests: "1000/m" };
  for (const name of ["authorization", "x-api-key", "api-key"]) {
    const { send, seen } = relayed({ a: [slow, ok] }, { upstreams: { a: { rate } } });
    const status = async (headers: Record<string, string>): Promise<unknown> => {
      const { end } = await send({ body: BODY, headers });
      return [end.status, end.failure, seen.length];
    };
    expect(await status({ [name]: "mine" }), name).toEqual([429, "upstream_status", 1]);
    expect(await status({ [name]: "mine", cookie: "x" }), name).toEqual([429, "rate_limited", 1]);
    expect(await status({ [name]: "theirs" }), name).toEqual([200, undefined, 2]);
    expect(await status({}), name).toEqual([200, undefined, 3]);
  }
  const keys = relayed({ a: [slow, ok] }, { upstreams: { a: { rate, apiKeys: ["one", "two"] } }, retry: { maxAttempts: 1 } });
  const told: unknown[] = [];
  // Of ours: what a client brings makes no difference.
  for (const authorization of ["a", "b", "c", "d"])
    told.push((await keys.send({ body: BODY, headers: { authorization } })).end.status);
  expect(told).toEqual([429, 200, 200, 200]);
  expect(keys.seen.length).toBe(4);
});
