/** Rate limits of several replicas and a real Redis: together they keep to what one would. */
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, describe, expect } from "vitest";
import type { RateTurn } from "../../src/balance/rate/rate-ask.ts";
import { RateLimiter } from "../../src/balance/rate/rate-limiter.ts";
import type { RatePolicy } from "../../src/balance/rate/rate-policy.ts";
import { createKeys } from "../../src/store/redis-keys.ts";
import { RedisLink } from "../../src/store/redis-link.ts";
import { RedisRates } from "../../src/store/redis-rates.ts";
import { chat } from "../support/client.ts";
import { WHOLE } from "../support/events.ts";
import { sendFramed } from "../support/raw-upstream.ts";
import { visit } from "../support/returning-client.ts";
import { type Tools, test } from "../support/test.ts";
import { type RedisProcess, startRedis } from "./redis-process.ts";

const MINUTE = 60_000;
const eventually = <T>(read: () => T) => expect.poll(read, { timeout: 20_000 });
let redis: RedisProcess;
let url: string;
let client: Redis;
beforeAll(async () => {
  redis = await startRedis();
  url = `redis://127.0.0.1:${redis.port}/0`;
  client = new Redis(url);
});
afterAll(async () => {
  client.disconnect();
  await redis.close();
});
beforeEach(() => client.flushall());

interface Asked {
  readonly turn: Promise<RateTurn>;
  /** On the clock of `performance.now()`. */
  passedAt?: number;
}

interface Replica {
  ask(tokens?: number): Asked;
}

/** The limits of one upstream, as several replicas have them. */
async function startLimiters({ closing }: Pick<Tools, "closing">, count: number, policy: Partial<RatePolicy>) {
  const replicas: Replica[] = [];
  for (let index = 0; index < count; index++) {
    const link = new RedisLink({ url, onChange() {}, onRefusal() {} });
    await link.open();
    const rates = new RedisRates(link, createKeys("perennial"));
    closing({
      close: () => {
        rates.close();
        return link.close();
      },
    });
    const limiter = new RateLimiter({ scope: "upstream", name: "a" }, rates);
    limiter.configure({ waitMs: 20 * MINUTE, models: {}, ...policy });
    const leaving = new AbortController();
    closing({ close: async () => leaving.abort() });
    replicas.push({
      ask(tokens) {
        const estimate = tokens === undefined ? undefined : { prompt: tokens, maxAnswer: 0, perCharacter: 0.25 };
        const of = { model: "m", credential: "", tokens: estimate, priority: 0, arrivedAt: performance.now() };
        const entered = limiter.enter(of, leaving.signal);
        const asked: Asked = { turn: "turn" in entered ? entered.turn : Promise.resolve(entered) };
        asked.turn.then(
          () => {
            asked.passedAt = performance.now();
          },
          () => {},
        );
        return asked;
      },
    });
  }
  return replicas;
}

const passedOf = (asked: readonly Asked[]): Asked[] => asked.filter(({ passedAt }) => passedAt !== undefined);

describe("several replicas", () => {
  test("let no more pass within a window than one would, at whatever moment", async ({ closing }) => {
    const perMs = 600;
    const replicas = await startLimiters({ closing }, 3, { requests: { amount: 10, perMs } });
    const began = performance.now();
    const asked = Array.from({ length: 45 }, (_, index) => replicas[index % 3]?.ask() as Asked);
    await eventually(() => passedOf(asked).length).toBe(45);
    const times = asked.map(({ passedAt = 0 }) => passedAt - began).sort((one, other) => one - other);
    // Ten at once, and ten more only when those have left the window.
    expect(times.filter((at, index) => at < Math.floor(index / 10) * perMs - 1)).toEqual([]);
  });

  test("share what runs at the same time; the place of one that was killed comes free by itself", async ({ closing }) => {
    const [one, other] = (await startLimiters({ closing }, 2, { concurrent: 3 })) as [Replica, Replica];
    const asked = [one, other, one, other, one].map((replica) => replica.ask());
    await eventually(() => passedOf(asked).length).toBe(3);
    const [held] = passedOf(asked);
    (await held?.turn)?.end();
    await eventually(() => passedOf(asked).length).toBe(4);
    const [key = ""] = await client.keys("*:rate:*");
    const [member = ""] = await client.zrange(key, "0", "0");
    expect(Number(await client.zscore(key, member)) - Date.now()).toBeGreaterThan(10_000);
    await client.zadd(key, "1", member);
    await eventually(() => passedOf(asked).length).toBe(5);
    expect(await client.zcard(key)).toBe(3);
  });

  test("share tokens, as they were estimated, and as they came out", async ({ closing }) => {
    const [one, other] = (await startLimiters({ closing }, 2, {
      tokens: { amount: 1_000, perMs: 10 * MINUTE },
    })) as [Replica, Replica];
    const first = await one.ask(800).turn;
    const second = other.ask(500);
    await sleep(100);
    expect(second.passedAt).toBeUndefined();
    first.end(200);
    // It passes, and takes all that there is and more.
    const turn = await second.turn;
    turn.end(3_000);
    const third = one.ask(1);
    await sleep(1_200);
    expect(third.passedAt).toBeUndefined();
    const [key = ""] = await client.keys("*:rate:*");
    expect(await client.hget(key, "owed")).toBe("2200");
    // Two windows that are owed, this one, and one more.
    expect(await client.pttl(key)).toBeGreaterThan(40 * MINUTE);
  });

  test("count each by itself while Redis is away, with what they have sent before, and together again afterwards", async ({
    closing,
  }) => {
    const [one, other] = (await startLimiters({ closing }, 2, {
      requests: { amount: 4, perMs: 10 * MINUTE },
    })) as [Replica, Replica];
    for (let times = 0; times < 3; times++) await one.ask().turn;
    await redis.stop();
    const alone = [one, one, other, other, other, other, other].map((replica) => replica.ask());
    await eventually(() => passedOf(alone).length).toBe(5);
    await redis.start();
    const more = other.ask();
    await sleep(200);
    expect([...passedOf(alone), ...passedOf([more])]).toHaveLength(5);
  });
});

describe("two Perennials", () => {
  const wholes = (tools: Pick<Tools, "startUpstream">) => tools.startUpstream((socket) => sendFramed(socket, "chunked", WHOLE));

  test("keep to the limits of an upstream and of a key, without a wait that anybody is told of", async ({
    startUpstream,
    startPerennial,
  }) => {
    const upstream = await wholes({ startUpstream });
    const secret = "the-secret-key";
    const settings = {
      store: url,
      progress: true,
      upstream: { rate: { requests: "5/d", wait: "0s", models: { "the-model": { requests: "3/d" } } } },
      auth: { keys: [{ key: secret, name: "the-name", rate: { requests: "4/d", concurrent: 9, wait: "0s" } }] },
    };
    const both = [await startPerennial(upstream.baseUrl, settings), await startPerennial(upstream.baseUrl, settings)] as const;
    const ask = (index: number, model: string) =>
      chat(both[index % 2]?.baseUrl ?? "", { model }, { headers: { authorization: `Bearer ${secret}` } });
    const limited = await Promise.all([0, 1, 2, 3, 4].map((index) => ask(index, "the-model")));
    // Three of the model; what the key has left is for others.
    const whole = limited.filter(({ body }) => body === WHOLE.join(""));
    expect(whole).toHaveLength(3);
    expect(limited.filter(({ body }) => body.includes('"code":"rate_limited"'))).toHaveLength(2);
    expect(upstream.requests).toHaveLength(3);
    for (const perennial of both) {
      await perennial.exchangeLog(2);
      const served = perennial.log.filter(({ outcome }) => outcome === "complete");
      expect(served.filter(({ limitedMs }) => limitedMs !== undefined)).toEqual([]);
    }
    const keys = await client.keys("*");
    expect(keys.length).toBeGreaterThan(2);
    for (const key of keys) {
      const value = key.includes(":rate:") && (await client.type(key)) === "hash" ? await client.hgetall(key) : "";
      expect(key + JSON.stringify(value)).not.toMatch(/secret|the-name|the-model|127/);
      expect(await client.pttl(key), key).toBeGreaterThan(0);
    }
  });

  test("ask another upstream where the first is at its limit by what the other replica has asked", async ({
    startUpstream,
    startPerennial,
  }) => {
    const [first, second] = [await wholes({ startUpstream }), await wholes({ startUpstream })];
    const upstreams = [
      { name: "first", baseUrl: first.baseUrl, rate: { requests: "1/d" } },
      { name: "second", baseUrl: second.baseUrl, priority: 1 },
    ];
    const start = () => startPerennial(undefined, { store: url, upstreams });
    const both = [await start(), await start()] as const;
    const asked: (string | string[] | undefined)[] = [];
    for (const { baseUrl } of both) {
      const body = JSON.stringify({ model: "m", stream: true, messages: [] });
      asked.push((await visit(`${baseUrl}/chat/completions`, { body })).headers["x-perennial-upstream"]);
    }
    expect(asked).toEqual(["first", "second"]);
  });
});
