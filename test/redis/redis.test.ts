/** Two replicas and a real Redis: a client comes back to the other one, whatever becomes of the first, and of Redis. */
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { RedisLink } from "../../src/store/redis-link.ts";
import { byName } from "../support/dialect-client.ts";
import { DONE, WHOLE } from "../support/events.ts";
import type { TestPerennial } from "../support/perennial.ts";
import { chatEvents, jsonReply, type RawUpstream } from "../support/raw-upstream.ts";
import { STREAM_HEAD } from "../support/replies.ts";
import { type Asked, type Got, lastId, splitEvents, visit } from "../support/returning-client.ts";
import { type Tools, test } from "../support/test.ts";
import { keptKeys } from "./kept-keys.ts";
import { type RedisProcess, startRedis, startWay } from "./redis-process.ts";

const CHAT = byName("openai-chat");
const PROMPT = "the-secret-prompt";
const KEY = "the-secret-key";
const BODY = JSON.stringify({ model: "m", stream: true, messages: [{ role: "user", content: PROMPT }] });
const settings = (url: string, replay: object = {}): Record<string, unknown> => ({
  store: url,
  replay: { linger: "60s", ...replay },
  interruptEnd: "clean",
});

let redis: RedisProcess;
let own: string;
beforeAll(async () => {
  redis = await startRedis();
  own = `redis://127.0.0.1:${redis.port}/0`;
});
afterAll(() => redis.close());

const post = (to: { url: string }, more: Asked = {}): Promise<Got> =>
  visit(`${to.url}/v1/chat/completions`, {
    body: BODY,
    ...more,
    headers: { authorization: `Bearer ${KEY}`, "x-perennial-replay": "1", ...more.headers },
  });
const get = (to: { url: string }, stream: string, more: Asked = {}): Promise<Got> =>
  visit(`${to.url}/v1/streams/${stream}`, {
    method: "GET",
    ...more,
    headers: { authorization: `Bearer ${KEY}`, ...more.headers },
  });
const streamOf = ({ headers }: Got): string => String(headers["x-perennial-stream"]);
const withoutIds = (body: string): string => body.replaceAll(/^id: .*\n/gm, "");

/** An upstream that says so many events of each answer, and the rest when it is told to. */
async function startUpstream({ startUpstream }: Pick<Tools, "startUpstream">, at: number) {
  let finish: () => void = () => {};
  const told = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const upstream = await startUpstream(async (socket) => {
    socket.write(STREAM_HEAD + WHOLE.slice(0, at).join(""));
    await told;
    socket.end(WHOLE.slice(at).join(""));
  });
  return Object.assign(upstream, { finish }) as RawUpstream & { finish: () => void };
}

async function startTwo(tools: Pick<Tools, "startPerennial">, upstream: RawUpstream, url = own, replay: object = {}) {
  const one = await tools.startPerennial(upstream.baseUrl, settings(url, replay));
  const other = await tools.startPerennial(upstream.baseUrl, settings(url, replay));
  return [one, other] as const;
}

interface Left {
  readonly to: TestPerennial;
  readonly stream: string;
  readonly id: string | undefined;
  readonly key: string;
  readonly onData?: (text: string) => void;
}

const WAYS: Record<string, (left: Left) => Promise<Got>> = {
  "by its address": ({ to, stream, id, ...more }) => get(to, stream, { ...more, headers: id ? { "last-event-id": id } : {} }),
  "by Last-Event-ID": ({ to, stream, id, ...more }) => post(to, { ...more, headers: { "last-event-id": id ?? `${stream}:0` } }),
  "by Idempotency-Key": ({ to, key, ...more }) => post(to, { ...more, headers: { "idempotency-key": key } }),
};

describe.each(Object.entries(WAYS))("a client that comes back to another replica, %s", (way, comeBack) => {
  test("has exactly the whole, after any event", async ({ serve, startPerennial }) => {
    const { perennial: one, upstream } = await serve([WHOLE], settings(own));
    const other = await startPerennial(upstream.baseUrl, settings(own));
    for (let leaveAfter = 0; leaveAfter <= WHOLE.length; leaveAfter++) {
      const key = `${way} ${leaveAfter}`;
      const left = await post(one, { leaveAfter, headers: { "idempotency-key": key } });
      await one.exchangeLog(leaveAfter + 1);
      const back = await comeBack({ to: other, stream: streamOf(left), id: lastId(left.body), key });
      const body = way === "by Idempotency-Key" ? back.body : left.body + back.body;
      expect(splitEvents(body).map(lastId), key).toEqual(WHOLE.map((_, at) => `${streamOf(left)}:${at + 1}`));
      expect(withoutIds(body), key).toBe(WHOLE.join(""));
    }
    expect(upstream.requests).toHaveLength(WHOLE.length + 1);
  });

  test("goes on with what is still made, and keeps it from being given up", async ({ startUpstream: start, startPerennial }) => {
    const upstream = await startUpstream({ startUpstream: start }, 3);
    const [one, other] = await startTwo({ startPerennial }, upstream, own, { linger: "1s" });
    const key = `running ${way}`;
    const left = await post(one, { leaveAfter: 2, headers: { "idempotency-key": key } });
    const later = setTimeout(upstream.finish, 3_000);
    const back = await comeBack({ to: other, stream: streamOf(left), id: lastId(left.body), key });
    clearTimeout(later);
    expect(withoutIds((way === "by Idempotency-Key" ? "" : left.body) + back.body)).toBe(WHOLE.join(""));
    expect(upstream.requests).toHaveLength(1);
  });
});

describe("two replicas", () => {
  test("are asked the same at once, and the upstream is asked once: streamed and not", async ({
    startUpstream: start,
    startPerennial,
  }) => {
    for (const stream of [true, false]) {
      const upstream = await start(async (socket) => {
        await new Promise((resolve) => setTimeout(resolve, 300));
        socket.end(stream ? STREAM_HEAD + WHOLE.join("") : jsonReply(JSON.stringify(CHAT.answer)));
      });
      const both = await startTwo({ startPerennial }, upstream);
      const body = JSON.stringify({ ...JSON.parse(BODY), stream });
      const headers = { "idempotency-key": `both ${stream}` };
      const got = await Promise.all(both.map((to) => post(to, { body, headers })));
      expect(got.map(({ body }) => withoutIds(body))).toEqual(
        Array(2).fill(stream ? WHOLE.join("") : JSON.stringify(CHAT.answer)),
      );
      expect(upstream.requests).toHaveLength(1);
    }
  });

  test("tell of an answer, refuse others, and stop it, wherever it is made", async ({ startUpstream: start, startPerennial }) => {
    const upstream = await startUpstream({ startUpstream: start }, 3);
    const [one, other] = await startTwo({ startPerennial }, upstream);
    const left = await post(one, { leaveAfter: 3, headers: { "idempotency-key": "stop" } });
    const stream = streamOf(left);
    const told = await get(other, stream, { headers: { accept: "application/json" } });
    expect(JSON.parse(told.body)).toMatchObject({ state: "running", characters: 7, events: 3, text: "Hello, ", error: null });
    const foreign = { authorization: "Bearer other" };
    expect((await get(other, stream, { headers: foreign })).status).toBe(404);
    expect((await post(other, { headers: { ...foreign, "idempotency-key": "stop" } })).status).toBe(404);
    expect(
      (await post(other, { body: JSON.stringify({ ...JSON.parse(BODY), seed: 1 }), headers: { "idempotency-key": "stop" } }))
        .status,
    ).toBe(422);
    expect((await get(other, stream, { method: "DELETE" })).status).toBe(204);
    expect(await one.exchangeLog()).toMatchObject({ outcome: "cancelled" });
    for (const to of [one, other]) expect((await get(to, stream)).status).toBe(410);
    upstream.finish();
  });

  test("hand on an error event to the letter", async ({ serve, startPerennial }) => {
    const { perennial: one, upstream } = await serve([WHOLE.slice(0, 3)], { ...settings(own), retry: { maxAttempts: 1 } });
    const other = await startPerennial(upstream.baseUrl, settings(own));
    const got = await post(one);
    expect(got.body).toContain('"code":"stream_truncated"');
    expect((await get(other, streamOf(got))).body).toBe(got.body);
  });
});

test("a retry joins the request before it by the store's clock, whatever the replicas' own say", async ({
  startUpstream: start,
  startPerennial,
  spawnPerennial,
}) => {
  const upstream = await start((socket) => socket.write(STREAM_HEAD + WHOLE.slice(0, 3).join("")));
  const replay = settings(own, { joinRetries: true });
  const folder = await mkdtemp(join(tmpdir(), "perennial-redis-"));
  const file = join(folder, "perennial.yaml");
  await writeFile(file, JSON.stringify({ port: 0, upstreams: [{ baseUrl: upstream.baseUrl }], ...replay }));
  const hourLate = "data:text/javascript,const{now}=Date;Date.now=()=>now()-3600000";
  const one = await spawnPerennial(["--config", file], { NODE_OPTIONS: `--import=${hourLate}` });
  const other = await startPerennial(upstream.baseUrl, replay);
  const ask = (to: { url: string }, retries: number) =>
    post(to, { leaveAfter: 2, headers: { "x-stainless-retry-count": String(retries) } });
  const first = await ask(one, 0);
  const stream = streamOf(first);
  expect(streamOf(await ask(other, 1))).toBe(stream);
  // And is another one when it comes late: 20 s, as the store sees it.
  const client = new Redis(own);
  for (const field of ["started", "left"]) {
    await expect.poll(() => client.hexists(`perennial:stream:${stream}`, field)).toBe(1);
    await client.hincrby(`perennial:stream:${stream}`, field, -20_000);
  }
  client.disconnect();
  expect(streamOf(await ask(other, 1))).not.toBe(stream);
  expect(upstream.requests).toHaveLength(2);
  await rm(folder, { recursive: true });
});

test("a replica that is told to stop lets a client elsewhere read for drain.timeout, and ends then", async ({
  startUpstream: start,
  startPerennial,
}) => {
  const upstream = await start((socket) => socket.write(STREAM_HEAD + WHOLE.slice(0, 3).join("")));
  const one = await startPerennial(upstream.baseUrl, { ...settings(own), drain: { timeout: "500ms" } });
  const other = await startPerennial(upstream.baseUrl, settings(own));
  const left = await post(one, { leaveAfter: 2 });
  let closed: Promise<unknown> | undefined;
  const rest = await get(other, streamOf(left), {
    onData: () => {
      closed ??= one.close();
    },
  });
  await closed;
  expect(rest.body).toContain('"code":"draining"');
  expect(await one.exchangeLog()).toMatchObject({ outcome: "cancelled" });
});

test("a replica that is killed in mid-answer is told of within seconds, to those that read it elsewhere", async ({
  startUpstream: start,
  startPerennial,
  spawnPerennial,
}) => {
  const upstream = await start((socket) => socket.write(STREAM_HEAD + WHOLE.slice(0, 3).join("")));
  const folder = await mkdtemp(join(tmpdir(), "perennial-redis-"));
  const file = join(folder, "perennial.yaml");
  await writeFile(file, JSON.stringify({ port: 0, upstreams: [{ baseUrl: upstream.baseUrl }], ...settings(own) }));
  const one = await spawnPerennial(["--config", file]);
  const other = await startPerennial(upstream.baseUrl, settings(own));
  const left = await post(one, { leaveAfter: 2, headers: { "idempotency-key": "killed" } });
  let killed: Promise<unknown> | undefined;
  const rest = await get(other, streamOf(left), {
    onData: () => {
      killed ??= one.stop("SIGKILL");
    },
  });
  await killed;
  expect(rest.body).toContain('"code":"stream_truncated"');
  expect(rest.body).not.toContain(DONE.trim());
  // Nor is it joined, or a new one refused for it.
  const again = await post(other, { headers: { "idempotency-key": "killed" }, leaveAfter: 2 });
  expect(again.status).toBe(200);
  expect(upstream.requests).toHaveLength(2);
  await rm(folder, { recursive: true });
});

test("a server that wants a password gets it, and one that is full is said to refuse", async ({
  closing,
  serve,
  startPerennial,
}) => {
  const guarded = closing(await startRedis(["--requirepass", "pass", "--maxmemory", "64mb"]));
  const url = (password: string): string => `redis://default:${password}@127.0.0.1:${guarded.port}/0`;
  const { perennial: one, upstream } = await serve([WHOLE], settings(url("pass")));
  const other = await startPerennial(upstream.baseUrl, {
    ...settings(url("pass")),
    store: { url: url("pass"), prefix: "perennial" },
  });
  const got = await post(one);
  expect((await get(other, streamOf(got))).body).toBe(got.body);
  const elsewhere = await startPerennial(upstream.baseUrl, { ...settings(own), store: { url: url("pass"), prefix: "other" } });
  expect((await get(elsewhere, streamOf(got))).status).toBe(410);
  const client = new Redis(url("pass"));
  await client.config("SET", "maxmemory", "1");
  const alone = await post(one);
  expect(withoutIds(alone.body)).toBe(WHOLE.join(""));
  expect((await get(one, streamOf(alone))).body).toBe(alone.body);
  expect(one.log.filter(({ msg }) => /refuses to keep/.test(msg))).toHaveLength(1);
  expect(JSON.stringify(one.log)).not.toContain("pass@");
  client.disconnect();
  const wrong = await startPerennial(upstream.baseUrl, settings(url("wrong")));
  expect(withoutIds((await post(wrong)).body)).toBe(WHOLE.join(""));
});

test("a start says that the store is there, and not before that it is not", async () => {
  for (let times = 0; times < 20; times++) {
    const told: boolean[] = [];
    const link = new RedisLink({ url: own, onChange: (isUp) => void told.push(isUp), onRefusal() {} });
    // As a replica does, for what others publish to it.
    link.subscribe("channel", () => {});
    await link.open();
    expect([link.isUp, ...told]).toEqual([true, true]);
    await link.close();
  }
});

describe("when Redis is away", () => {
  test("is not what is said of one that takes one connection later than the other", async ({ closing }) => {
    let connections = 0;
    const way = createServer((socket) => {
      const onward = connect(redis.port, "127.0.0.1");
      onward.pipe(socket).on("error", () => onward.destroy());
      setTimeout(() => socket.pipe(onward), connections++ === 0 ? 200 : 0);
    });
    await once(way.listen(0, "127.0.0.1"), "listening");
    closing({ close: () => way.close() });
    const told: boolean[] = [];
    const url = `redis://127.0.0.1:${(way.address() as AddressInfo).port}/0`;
    const link = new RedisLink({ url, onChange: (isUp) => told.push(isUp), onRefusal: () => {} });
    closing(link);
    link.subscribe("channel", () => {});
    await link.open();
    expect(told).toEqual([true]);
  });

  test("from the start, answers are kept by each process alone, which is said once", async ({ serve }) => {
    const { perennial } = await serve([WHOLE], settings("redis://127.0.0.1:1/0"));
    const got = await post(perennial);
    expect(withoutIds(got.body)).toBe(WHOLE.join(""));
    expect((await get(perennial, streamOf(got))).body).toBe(got.body);
    expect((await get(perennial, "0".repeat(32))).status).toBe(503);
    expect(perennial.log.filter(({ msg }) => /cannot be reached/.test(msg))).toHaveLength(1);
    expect((await visit(`${perennial.url}/metrics`, { method: "GET" })).body).toContain("perennial_store_up 0");
  });

  test.for(["restarted", "cut off"] as const)(
    "%s in mid-answer, streams go on, and what comes later is shared again",
    async (how, { closing, startUpstream: start, startPerennial }) => {
      const own = closing(await startRedis());
      const way = closing(await startWay(own.port));
      const upstream = await startUpstream({ startUpstream: start }, 3);
      const [one, other] = await startTwo({ startPerennial }, upstream, way.url);
      let lost: Promise<void> | undefined;
      const got = await post(one, {
        onData: () => {
          lost ??= (async () => {
            if (how === "restarted") await own.stop();
            else way.freeze();
            upstream.finish();
          })();
        },
      });
      expect(withoutIds(got.body)).toBe(WHOLE.join(""));
      // And new ones begin meanwhile, with no more delay than one command may take.
      expect(withoutIds((await post(one)).body)).toBe(WHOLE.join(""));
      await lost;
      expect((await get(one, streamOf(got))).body).toBe(got.body);
      if (how === "restarted") await own.start();
      else way.thaw();
      await expect
        .poll(async () => (await visit(`${one.url}/metrics`, { method: "GET" })).body, { timeout: 15_000 })
        .toContain("perennial_store_up 1");
      await expect
        .poll(async () => (await visit(`${other.url}/metrics`, { method: "GET" })).body, { timeout: 15_000 })
        .toContain("perennial_store_up 1");
      const shared = await post(one);
      expect((await get(other, streamOf(shared))).body).toBe(shared.body);
      expect(one.log.filter(({ msg }) => /cannot be reached/.test(msg))).toHaveLength(1);
    },
  );

  test("to a client that reads an answer of another replica, it is told within seconds", async ({
    closing,
    startUpstream: start,
    startPerennial,
  }) => {
    const own = closing(await startRedis());
    const way = closing(await startWay(own.port));
    const upstream = await startUpstream({ startUpstream: start }, 3);
    const [one, other] = await startTwo({ startPerennial }, upstream, way.url);
    const left = await post(one, { leaveAfter: 1 });
    const rest = await get(other, streamOf(left), { onData: () => way.freeze() });
    expect(rest.body).toContain('"code":"overloaded"');
    upstream.finish();
  });
});

test("what stands in Redis holds no prompt and no key, and everything has an end; it is bounded as in memory", async ({
  serve,
}) => {
  const words = Array.from({ length: 200 }, (_, n) => `word ${n} `.repeat(20));
  const { perennial } = await serve([chatEvents(words)], settings(own, { maxStreamBytes: "32KiB" }));
  await post(perennial, { headers: { "idempotency-key": KEY } });
  const client = new Redis(own);
  const kept = await keptKeys(client);
  expect(kept.length).toBeGreaterThan(2);
  for (const { key, type, text, ttlMs } of kept) {
    expect(key + text).not.toMatch(/the-secret/);
    expect(ttlMs, key).toBeGreaterThan(0);
    if (type === "stream") expect(text.length).toBeLessThan(64 * 1024);
  }
  client.disconnect();
});
