/** The wait for a rate limit: who waits, what it is told, what it is counted, and where else it may go. */
import { setImmediate as turn } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { chatAnswer, chatEvents } from "../../test/support/raw-upstream.ts";
import { type Answers, type Asked, CHAT, fails, type Relayed, relayed, replies, streams } from "../../test/support/relayed.ts";
import { Failure } from "../core/failure.ts";
import type { Observer } from "../core/observer.ts";

const EVENTS = chatEvents(["hi"]);
const ok = streams(EVENTS);
const left = new Failure("client_gone", "the client left");

/** Answers when it is told to. */
function onDemand() {
  const waiting: (() => void)[] = [];
  const answer: Answers = (to, request) => void waiting.push(() => ok(to, request));
  return { answer, next: () => waiting.shift()?.() };
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await turn();
}

function noting() {
  const told: string[] = [];
  const observer: Observer = {
    onRateWaitStart: (_exchange, { scope, name }) => told.push(`waits for ${scope} ${name}`),
    onRateWaitEnd: (_exchange, { name }, ms) => told.push(`waited for ${name}${ms >= 0 && ms < 60_000 ? "" : " for ever"}`),
    onRateRefused: (_exchange, { name }) => told.push(`refused by ${name}`),
  };
  return { told, observer };
}

describe("a place that another has", () => {
  test("is waited for in order; each is told how many are before it, and by how long it was late", async () => {
    const { answer, next } = onDemand();
    const { told, observer } = noting();
    const config = { upstreams: { a: { rate: { concurrent: 1 } } }, progress: true, heartbeat: false };
    const { send, seen } = relayed({ a: answer }, config, { observer });
    const all = [send()];
    await until(() => seen.length === 1);
    all.push(send(), send());
    await until(() => told.length === 2);
    for (let count = 1; count <= 3; count++) {
      await until(() => seen.length === count);
      await turn();
      next();
    }
    const [first, second, third] = (await Promise.all(all)) as [Relayed, Relayed, Relayed];
    expect([first, second, third].map(({ body }) => body.split("data:")[0])).toEqual([
      "",
      ": perennial next in the queue\n\n",
      ": perennial 1 ahead in the queue\n\n",
    ]);
    expect(told.toSorted()).toEqual(["waited for a", "waited for a", "waits for upstream a", "waits for upstream a"]);
    expect([first.exchange.stats.limitedMs, first.end.outcome, third.end.outcome]).toEqual([undefined, "complete", "complete"]);
    for (const { exchange } of [second, third]) expect(exchange.stats.limitedMs).toBeGreaterThan(0);
  });

  test.each<[string, object, Asked, string]>([
    ["an upstream's", { upstreams: { a: { rate: { concurrent: 1, wait: "5ms" } } } }, {}, "upstream a"],
    [
      "a key's",
      { auth: { keys: [{ key: "k", name: "ann", rate: { concurrent: 1, wait: "5ms" } }] } },
      { client: { id: "1", name: "ann", priority: 0, models: undefined } },
      "key ann",
    ],
  ])("%s is not waited for beyond its time, nor by a client that has left", async (_what, config, asked, owner) => {
    const { answer, next } = onDemand();
    const { told, observer } = noting();
    const { send, seen } = relayed({ a: answer }, config as Record<string, unknown>, { observer });
    const first = send(asked);
    await until(() => seen.length === 1);
    const refused = await send(asked);
    const [, name = ""] = owner.split(" ");
    expect([refused.status, refused.end.failure, told.splice(0)]).toEqual([
      429,
      "rate_limited",
      [`waits for ${owner}`, `refused by ${name}`, `waited for ${name}`],
    ]);
    const gone = await send({ ...asked, onExchange: (exchange) => setImmediate(() => exchange.abort(left)) });
    expect([gone.end.outcome, told]).toEqual(["cancelled", [`waits for ${owner}`, `waited for ${name}`]]);
    next();
    expect((await first).end.outcome).toBe("complete");
    // Whoever has gone keeps nobody from it.
    const last = send(asked);
    await until(() => seen.length === 2);
    next();
    expect((await last).end.outcome).toBe("complete");
  });
});

test("a place that was got while the upstream is out is given back by a client that leaves", async () => {
  const { told, observer } = noting();
  let fail = (): void => {};
  const down = new Failure("upstream_unreachable", "down", { outage: "connection" });
  const first: Answers = (to) => {
    fail = () => to.onFailure(down);
  };
  const config = { upstreams: { a: { rate: { concurrent: 1 } } }, retry: { backoff: { initial: "100ms", jitter: false } } };
  const { send, seen } = relayed({ a: [first, ok] }, config, { observer });
  const waiting = send();
  await until(() => seen.length === 1);
  let leave = (): void => {};
  const leaving = send({
    onExchange(exchange) {
      leave = () => exchange.abort(left);
    },
  });
  await until(() => told.length === 1);
  fail();
  await until(() => told.length === 2);
  leave();
  expect((await leaving).end.outcome).toBe("cancelled");
  expect([(await waiting).end.outcome, (await send()).end.outcome, seen.length]).toEqual(["recovered", "complete", 3]);
});

describe("tokens are counted as the upstream tells them, else by the length of texts", () => {
  const long = "word".repeat(1_000);
  const usage = (total: number): Answers => replies({ ...JSON.parse(chatAnswer("hi")), usage: { total_tokens: total } });
  const cut = new Failure("stream_truncated", "cut");
  const down = new Failure("upstream_unreachable", "down", { outage: "connection" });
  const WHOLE = { body: { ...CHAT, stream: false, max_tokens: 10 } };
  const STREAM = { body: { ...CHAT, max_tokens: 10 } };
  const said = (words: string, total?: number): string[] => {
    const events = chatEvents([words]);
    const told = `data: ${JSON.stringify({ choices: [], usage: { total_tokens: total } })}\n\n`;
    return total === undefined ? events : [...events.slice(0, -1), told, ...events.slice(-1)];
  };

  test.each<[string, Answers, Asked, boolean]>([
    ["many, of an answer", usage(900), WHOLE, true],
    ["few, of an answer", usage(5), WHOLE, false],
    ["many, of a stream", streams(said("hi", 900)), STREAM, true],
    ["few, of a stream that is long", streams(said(long, 5)), STREAM, false],
    ["none, of a stream that is long", streams(said(long)), STREAM, true],
    ["none, of a stream that is short", streams(said("hi")), STREAM, false],
    ["none, of a stream that is long, and cut", streams(said(long).slice(0, 2), cut), STREAM, true],
    ["none, since it was refused", replies({ error: { message: long } }, 400), WHOLE, false],
    ["none, since it was not sent", fails(down), STREAM, false],
  ])("%s", async (_what, first, asked, isUsedUp) => {
    const limits = { tokens: "900/h", wait: "0s" };
    const client = { id: "1", name: "ann", priority: 0, models: undefined };
    for (const [config, by] of [
      [{ upstreams: { a: { rate: limits } } }, {}],
      [{ auth: { keys: [{ key: "k", name: "ann", rate: limits }] } }, { client }],
    ] as const) {
      const retry = { maxAttempts: 1, outage: "1ms" };
      const { send } = relayed({ a: [first, usage(5)] }, { ...config, retry } as Record<string, unknown>);
      await send({ ...asked, ...by });
      const next = await send({ ...WHOLE, ...by });
      expect(next.end.failure, JSON.stringify(config)).toBe(isUsedUp ? "rate_limited" : undefined);
    }
  });

  test("a key's limit is passed once by a request, however often it is asked; an upstream's each time", async () => {
    const client = { id: "1", name: "ann", priority: 0, models: undefined };
    const limits = { requests: "2/h", wait: "0s" };
    const answers = [streams([]), streams([]), ok];
    const key = relayed({ a: answers }, { auth: { keys: [{ key: "k", name: "ann", rate: limits }] } });
    expect((await key.send({ client })).end.outcome).toBe("recovered");
    expect((await key.send({ client })).end.outcome).toBe("complete");
    expect((await key.send({ client })).end.failure).toBe("rate_limited");
    const upstream = relayed({ a: answers }, { upstreams: { a: { rate: limits } } });
    expect((await upstream.send()).end.failure).toBe("rate_limited");
  });
});

describe("where another upstream can be asked", () => {
  const config = (a: object, b: object = {}) => ({ upstreams: { a: { rate: a }, b: { rate: b } } });

  test("nobody waits for one at its limit", async () => {
    const { send, seen } = relayed({ a: ok, b: ok }, config({ requests: "1/h" }));
    for (const upstream of ["a", "b", "b"]) expect((await send()).headers["x-perennial-upstream"]).toBe(upstream);
    expect(seen.length).toBe(3);
  });

  test("nobody waits for one of which the store that is shared says so; what it has in common it waits for", async () => {
    const asked: string[] = [];
    const free = { end() {}, giveBack() {} };
    const full = new Set(["a"]);
    const shared = {
      isUp: true,
      async take(charges: readonly { name: string }[]) {
        const [{ name } = { name: "" }] = charges;
        asked.push(name);
        return full.has(name) ? { waitsMs: charges.map(() => 60_000) } : { taken: charges.map(() => free as never) };
      },
    };
    const { told, observer } = noting();
    const limits = { requests: "100/h", wait: "5ms" };
    const two = relayed({ a: ok, b: ok }, config(limits, limits), { shared, observer });
    expect((await two.send()).headers["x-perennial-upstream"]).toBe("b");
    expect([asked.splice(0), told.splice(0)]).toEqual([["a", "b"], []]);
    const alone = relayed({ a: ok }, { upstreams: { a: { rate: limits } } }, { shared, observer });
    expect((await alone.send()).end.failure).toBe("rate_limited");
    expect(told.splice(0)).toEqual(["waits for upstream a", "refused by a", "waited for a"]);
    full.clear();
    const freed = relayed({ a: ok }, { upstreams: { a: { rate: limits } } }, { shared, observer });
    expect([(await freed.send()).end.outcome, told]).toEqual(["complete", []]);
  });

  test("a rest of an answer for which there is no place is told as the break that it was", async () => {
    const words = ["A stream is a small", " promise: the first word", " arrives before the last one"];
    const broken = streams(chatEvents(words).slice(0, 4), new Failure("stream_truncated", "the connection was cut"));
    const upstream = { recovery: "continue", continuation: "assistant", rate: { requests: "1/h", wait: "0s" } };
    const { send, seen } = relayed({ a: broken }, { upstreams: { a: upstream } });
    const got = await send({ body: { ...CHAT, temperature: 0 } });
    expect([seen.length, got.end.outcome, got.end.failure]).toEqual([1, "interrupted", "stream_truncated"]);
    expect(got.body).toContain("Incomplete stream: the connection was cut.");
  });
});
