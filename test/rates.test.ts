/** Rate limits: further requests wait in their order, told and bounded, and nobody else is made to wait for them. */
import { describe, expect } from "vitest";
import { configSchema } from "../src/config/schema.ts";
import { chat, codeIn, codeOf, readStream, type Seen, send } from "./support/client.ts";
import { chatChunk, DONE, line, WHOLE } from "./support/events.ts";
import type { TestPerennial } from "./support/perennial.ts";
import { sumOf } from "./support/prometheus.ts";
import { chatAnswer, jsonReply, NOBODY, SSE_HEAD, sendFramed } from "./support/raw-upstream.ts";
import { late, open } from "./support/replies.ts";
import { test as several } from "./support/several-upstreams.ts";
import { type Answer, test } from "./support/test.ts";

/** On a busy machine all takes its time. */
const eventually = <T>(read: () => T) => expect.poll(read);
const HOUR = { requests: "1/h" };
const whole: Answer = (socket) => sendFramed(socket, "chunked", WHOLE);
/** Answers when it is told to. */
function onDemand(): { answer: Answer; release(): void } {
  const waiting: (() => void)[] = [];
  return { answer: (socket) => waiting.push(() => sendFramed(socket, "chunked", WHOLE)), release: () => waiting.shift()?.() };
}
const withRate = (baseUrl: string, rate: object | undefined) =>
  configSchema.parse({ port: 0, upstreams: [{ baseUrl, ...(rate && { rate }) }] });
const metric = async ({ url }: TestPerennial, name: string): Promise<number> => {
  return sumOf((await send(`${url}/metrics`)).body, `perennial_rate_${name}`);
};
const queued = (perennial: TestPerennial): Promise<number> => metric(perennial, "queued_exchanges");
const isWhole = ({ status, body }: Seen): boolean => status === 200 && readStream(body).text === "Hello, world";

test("what is over the limit waits, and gets its answer at the first attempt: nobody is told 429", async ({ serve }) => {
  const { perennial, upstream } = await serve(whole, { upstream: { rate: { requests: "20/h" } } });
  const ask = (index: number): Promise<Seen> => chat(perennial.baseUrl, { user: String(index) });
  const first = Array.from({ length: 20 }, (_, index) => ask(index));
  await eventually(() => upstream.requests.length).toBe(20);
  const late = Array.from({ length: 10 }, (_, index) => ask(20 + index));
  await eventually(() => queued(perennial)).toBe(10);
  expect(upstream.requests).toHaveLength(20);
  await perennial.reload(withRate(upstream.baseUrl, { requests: "30/h" }));
  const seen = await Promise.all([...first, ...late]);
  expect(seen.filter((each) => !isWhole(each))).toEqual([]);
  await perennial.exchangeLog(30);
  const lines = perennial.log.filter(({ outcome }) => outcome !== undefined);
  expect(lines.filter(({ outcome, attempts }) => outcome !== "complete" || attempts.length !== 1)).toEqual([]);
  expect(lines.filter(({ limitedMs }) => limitedMs !== undefined)).toHaveLength(10);
  expect(await metric(perennial, "wait_seconds_count")).toBe(10);
  expect(await metric(perennial, "refused_total")).toBe(0);
  expect(perennial.log.filter(({ msg }) => /requests wait for it in their order/.test(msg))).toHaveLength(1);
});

describe("a wait", () => {
  test.for([
    ["not streamed", { stream: false }, 429],
    ["streamed", {}, 429],
    ["streamed, behind heartbeats", {}, 200],
  ])(
    "that is in vain ends after rate.wait, as ours and with a time to come back: %s",
    async ([what, body, status], { serve }) => {
      const heartbeat = what.includes("heartbeats") ? { after: "50ms", every: "50ms" } : undefined;
      const { perennial, upstream } = await serve([jsonReply(chatAnswer("Hi"))], {
        upstream: { rate: { ...HOUR, wait: "400ms" } },
        ...(heartbeat === undefined ? {} : { heartbeat }),
      });
      expect((await chat(perennial.baseUrl, { stream: false })).status).toBe(200);
      const seen = await chat(perennial.baseUrl, body);
      expect(seen.status).toBe(status);
      expect(codeIn(seen)).toBe("rate_limited");
      if (status === 429) {
        expect(Number(seen.headers["retry-after"])).toBeGreaterThan(3_500);
        expect(seen.headers).not.toHaveProperty("x-should-retry");
        expect(seen.headers["x-perennial-attempts"] ?? "0").toBe("0");
      } else expect(seen.body).toMatch(/^(: keep-alive\n\n)+data: \{"error"/);
      expect(await perennial.exchangeLog(2)).toMatchObject({ failure: "rate_limited", attempts: [] });
      expect(upstream.requests).toHaveLength(1);
      expect(await metric(perennial, "refused_total")).toBe(1);
    },
  );

  test("ends with its client, who makes way", async ({ serve }) => {
    const { answer, release } = onDemand();
    const { perennial, upstream } = await serve(answer, { upstream: { rate: { concurrent: 1 } } });
    const first = chat(perennial.baseUrl);
    await eventually(() => upstream.requests.length).toBe(1);
    const leaving = new AbortController();
    const left = fetch(`${perennial.baseUrl}/chat/completions`, {
      method: "POST",
      body: JSON.stringify({ model: "m", messages: [] }),
      signal: leaving.signal,
    }).catch(() => "left");
    await eventually(() => queued(perennial)).toBe(1);
    const second = chat(perennial.baseUrl);
    await eventually(() => queued(perennial)).toBe(2);
    leaving.abort();
    expect(await left).toBe("left");
    await eventually(() => queued(perennial)).toBe(1);
    release();
    expect(isWhole(await first)).toBe(true);
    await eventually(() => upstream.requests.length).toBe(2);
    release();
    expect(isWhole(await second)).toBe(true);
  });

  test("ends with a shutdown, and with memory that is needed", async ({ serve }) => {
    const { answer } = onDemand();
    const { perennial } = await serve(answer, {
      upstream: { rate: { concurrent: 1 } },
      drain: { timeout: "100ms" },
      limits: { maxHeldBytes: "3MiB" },
    });
    const large = (size: number): object => ({ messages: [{ role: "user", content: "x".repeat(size) }] });
    const running = chat(perennial.baseUrl);
    await eventually(() => sumOfOpen(perennial)).toBe(1);
    const waiting = chat(perennial.baseUrl, large(1_500_000));
    await eventually(() => queued(perennial)).toBe(1);
    // What waits is counted with what runs: there is no room for as much again.
    expect(codeOf(await chat(perennial.baseUrl, large(2_000_000)))).toBe("overloaded");
    await perennial.close();
    expect((await Promise.all([running, waiting])).map(codeIn)).toEqual(["draining", "draining"]);
  });
});

const sumOfOpen = async ({ url }: TestPerennial): Promise<number> =>
  sumOf((await send(`${url}/metrics`)).body, "perennial_open_exchanges");

describe("what an upstream says of its own limits", () => {
  const limited = (seconds: number): string =>
    jsonReply('{"error":{"message":"slow down"}}', "429 Too Many Requests", `retry-after: ${seconds}\r\n`);
  const USED_UP = "x-ratelimit-remaining-requests: 0\r\nx-ratelimit-reset-requests: 1h\r\n";

  test.for([
    ["a refusal", 429, (socket) => socket.write(limited(3_600))],
    ["a head", 200, (socket) => sendFramed(socket, "chunked", WHOLE, `${SSE_HEAD}${USED_UP}`)],
  ] as [string, number, Answer][])(
    "holds back the same credential and model, and nobody else: %s",
    async ([_what, status, answer], { serve }) => {
      const { perennial, upstream } = await serve(
        (socket, request) => {
          if (request.number === 1) answer(socket, request);
          else whole(socket, request);
        },
        { upstream: { rate: {} } },
      );
      const as = (key: string) => ({ headers: { authorization: `Bearer ${key}` } });
      expect((await chat(perennial.baseUrl, {}, as("one"))).status).toBe(status);
      // For longer than rate.wait: nobody is kept waiting for that.
      const same = await chat(perennial.baseUrl, {}, as("one"));
      expect(same).toMatchObject({ status: 429, headers: { "retry-after": expect.stringMatching(/^(600|5\d\d)$/) } });
      expect(JSON.parse(same.body).error).toMatchObject({ code: "rate_limited", message: expect.stringContaining("has said") });
      expect(isWhole(await chat(perennial.baseUrl, { model: "other" }, as("one")))).toBe(true);
      expect(isWhole(await chat(perennial.baseUrl, {}, as("two")))).toBe(true);
      expect(upstream.requests).toHaveLength(3);
    },
  );

  test("by default changes nothing for others", async ({ serve }) => {
    const { perennial, upstream } = await serve((socket, request) => {
      if (request.number === 1) socket.write(limited(1));
      else whole(socket, request);
    });
    const first = chat(perennial.baseUrl);
    await eventually(() => upstream.requests.length).toBe(1);
    expect(isWhole(await chat(perennial.baseUrl))).toBe(true);
    expect(upstream.requests).toHaveLength(2);
    expect(isWhole(await first)).toBe(true);
  });
});

test("a request that waits for a model that is out keeps no place from those that ask for another", async ({ serve }) => {
  const { answer, release } = onDemand();
  const { perennial, upstream } = await serve(
    (socket, request) => {
      if (request.json?.model === "out") socket.write(jsonReply("{}", "503 Service Unavailable"));
      else answer(socket, request);
    },
    {
      upstream: { rate: { concurrent: 1 } },
      retry: { outage: "9m", backoff: { initial: "5m", max: "5m", jitter: false } },
      drain: { timeout: "100ms" },
    },
  );
  const first = chat(perennial.baseUrl);
  await eventually(() => upstream.requests.length).toBe(1);
  const out = [];
  for (const waiting of [1, 2]) {
    out.push(chat(perennial.baseUrl, { model: "out" }));
    await eventually(() => queued(perennial)).toBe(waiting);
  }
  const second = chat(perennial.baseUrl);
  await eventually(() => queued(perennial)).toBe(3);
  release();
  await eventually(() => upstream.requests.map(({ json }) => json?.model)).toEqual(["m", "out", "m"]);
  release();
  expect((await Promise.all([first, second])).every(isWhole)).toBe(true);
  await perennial.close();
  expect((await Promise.all(out)).map(codeIn)).toEqual(["draining", "draining"]);
});

several("an upstream at its limit is passed over while another can be asked at once", async ({ inFrontOf }) => {
  const { perennial, upstreams } = await inFrontOf([
    { reply: whole, settings: { rate: { ...HOUR, wait: "100ms" } } },
    { reply: whole, settings: { rate: { requests: "2/h", wait: "100ms" } } },
  ]);
  const asked = [];
  for (let index = 0; index < 4; index++) asked.push(await chat(perennial.baseUrl));
  expect(asked.map(({ headers }) => headers["x-perennial-upstream"])).toEqual(["a", "b", "b", undefined]);
  expect(asked.filter(isWhole)).toHaveLength(3);
  expect(asked[3]?.status).toBe(429);
  expect(upstreams.map(({ requests }) => requests.length)).toEqual([1, 2]);
});

several("one that has failed is asked again rather than one whose limit makes it wait for long", async ({ inFrontOf }) => {
  const broken = jsonReply('{"error":{"message":"x"}}', "500 Internal Server Error");
  const failing = new Set([1, 2]);
  const { perennial, upstreams } = await inFrontOf([
    (socket, request) => {
      if (failing.has(request.number)) socket.write(broken);
      else whole(socket, request);
    },
    { reply: whole, settings: { rate: HOUR } },
  ]);
  const asked = [await chat(perennial.baseUrl), await chat(perennial.baseUrl)];
  // The first finds room at b, the second only a long wait there.
  expect(asked.map(({ headers }) => headers["x-perennial-upstream"])).toEqual(["b", "a"]);
  expect(asked.filter(isWhole)).toHaveLength(2);
  expect(upstreams.map(({ requests }) => requests.length)).toEqual([3, 1]);
});

several(
  "a hedge waits for no limit: where the second upstream is at its own, the slow one goes on alone",
  async ({ inFrontOf }) => {
    const { perennial, upstreams } = await inFrontOf(
      [
        (socket, request) => {
          if (request.number > 1) late(300, whole)(socket, request);
        },
        { reply: whole, settings: { rate: HOUR } },
      ],
      { hedge: { after: "50ms", percent: 100 } },
    );
    const asked = [await chat(perennial.baseUrl), await chat(perennial.baseUrl)];
    expect(asked.map(({ headers }) => headers["x-perennial-upstream"])).toEqual(["b", "a"]);
    expect(asked.filter(isWhole)).toHaveLength(2);
    expect(upstreams[1]?.requests).toHaveLength(1);
    expect(await queued(perennial)).toBe(0);
  },
);

several("one that is not there is not charged, and what waits for it keeps no turn from others", async ({ inFrontOf }) => {
  const { perennial, upstreams } = await inFrontOf([{ reply: NOBODY, settings: { rate: HOUR } }, whole]);
  for (let index = 0; index < 2; index++) expect(isWhole(await chat(perennial.baseUrl))).toBe(true);
  expect(upstreams[0]?.requests).toHaveLength(2);
  expect(await queued(perennial)).toBe(0);
});

test("tokens are corrected by what the upstream tells", async ({ serve }) => {
  const usage = line({ choices: [], usage: { total_tokens: 2_000 } });
  const told: Answer = (socket) =>
    sendFramed(socket, "chunked", [chatChunk({ content: "Hi" }), chatChunk({}, "stop"), usage, DONE]);
  const { perennial } = await serve(told, { upstream: { rate: { tokens: "3000/h", wait: "100ms" } } });
  expect((await chat(perennial.baseUrl)).status).toBe(200);
  // It was thought to take some hundred: by now it is known that another would be too much.
  expect(codeOf(await chat(perennial.baseUrl, { stream: false }))).toBe("rate_limited");
});

test("a new configuration lets in those that wait, and goes on counting", async ({ serve }) => {
  const { perennial, upstream } = await serve(whole, { upstream: { rate: HOUR } });
  expect(isWhole(await chat(perennial.baseUrl))).toBe(true);
  const waiting = [chat(perennial.baseUrl), chat(perennial.baseUrl)];
  await eventually(() => queued(perennial)).toBe(2);
  const reload = (rate: object | undefined): Promise<unknown> => perennial.reload(withRate(upstream.baseUrl, rate));
  await reload({ requests: "2/h" });
  expect(isWhole(await Promise.race(waiting))).toBe(true);
  expect(await queued(perennial)).toBe(1);
  await reload(undefined);
  expect((await Promise.all(waiting)).filter(isWhole)).toHaveLength(2);
});

describe("a client's key", () => {
  const KEYS = {
    keys: [
      "plain-S3CRET",
      { key: "team-S3CRET", name: "team", models: ["qwen*"], rate: HOUR },
      { key: "batch-S3CRET", name: "batch", priority: 5 },
      { key: "desk-S3CRET", name: "desk" },
    ],
  };
  const as = (name: string) => ({ headers: { authorization: `Bearer ${name}-S3CRET` } });
  const LIST = JSON.stringify({ object: "list", data: [{ id: "qwen-7b" }, { id: "gpt-4o" }] });

  test("may ask for its models alone, and is told so by its name", async ({ serve }) => {
    const { perennial, upstream } = await serve(
      (socket, request) => {
        if (request.head.startsWith("GET")) socket.write(jsonReply(LIST));
        else whole(socket, request);
      },
      { auth: KEYS },
    );
    const models = async (name: string): Promise<string[]> =>
      JSON.parse((await send(`${perennial.baseUrl}/models`, as(name))).body).data.map(({ id }: { id: string }) => id);
    expect(isWhole(await chat(perennial.baseUrl, { model: "qwen-7b" }, as("team")))).toBe(true);
    const refused = await chat(perennial.baseUrl, { model: "gpt-4o" }, as("team"));
    expect(refused.status).toBe(403);
    expect(JSON.parse(refused.body).error).toMatchObject({
      code: "unauthorized",
      message: 'The key "team" is not for the model "gpt-4o" (auth.keys: models).',
    });
    const unread = await send(`${perennial.baseUrl}/files`, { method: "POST", body: "x", ...as("team") });
    expect(unread.status).toBe(403);
    expect(isWhole(await chat(perennial.baseUrl, { model: "gpt-4o" }, as("plain")))).toBe(true);
    expect(upstream.requests).toHaveLength(2);
    expect(await models("team")).toEqual(["qwen-7b"]);
    expect(await models("plain")).toEqual(["qwen-7b", "gpt-4o"]);
    expect(perennial.log.find(({ key }) => key !== undefined)).toMatchObject({ key: "team", outcome: "complete" });
    expect(JSON.stringify([perennial.log, refused])).not.toContain("S3CRET");
  });

  test("has a limit of its own, in which others have no part", async ({ serve }) => {
    const rate = { ...HOUR, wait: "200ms" };
    const auth = { keys: [{ key: "team-S3CRET", name: "team", rate }, "plain-S3CRET"] };
    const { perennial } = await serve(whole, { auth, metrics: { public: true } });
    expect(isWhole(await chat(perennial.baseUrl, {}, as("team")))).toBe(true);
    const refused = await chat(perennial.baseUrl, {}, as("team"));
    expect(refused.status).toBe(429);
    expect(refused.body).toMatch(/limit of the key \\"team\\" is used up/);
    expect(isWhole(await chat(perennial.baseUrl, {}, as("plain")))).toBe(true);
    expect((await send(`${perennial.url}/metrics`)).body).toContain('perennial_rate_refused_total{scope="key",name="team"} 1');
  });

  test("of a lower number goes first where all wait", async ({ serve }) => {
    const { answer, release } = onDemand();
    const { perennial, upstream } = await serve(answer, {
      auth: KEYS,
      metrics: { public: true },
      upstream: { rate: { concurrent: 1 } },
    });
    const asked = [];
    for (const [index, name] of ["plain", "batch", "desk"].entries()) {
      asked.push(chat(perennial.baseUrl, { user: name }, as(name)));
      if (index === 0) await eventually(() => upstream.requests.length).toBe(1);
      else await eventually(() => queued(perennial)).toBe(index);
    }
    for (let count = 1; count <= 3; count++) {
      await eventually(() => upstream.requests.length).toBe(count);
      release();
    }
    await Promise.all(asked);
    expect(upstream.requests.map(({ json }) => json.user)).toEqual(["plain", "desk", "batch"]);
  });
});

describe("progress: true", () => {
  const BROKEN = jsonReply('{"error":{"message":"x"}}', "500 Internal Server Error");
  const settings = { progress: true, retry: { backoff: { initial: "1ms", jitter: false }, outage: "500ms" } };

  several.for([
    ["an SDK", {}, ": perennial attempt 2 of 3, upstream b\n\n"],
    ["Go's", { "x-stainless-lang": "go" }, ": perennial attempt 2 of 3, upstream b\n"],
  ])(
    "tells which attempt comes next, as a comment that its client can bear: %s",
    async ([_who, headers, comment], { inFrontOf }) => {
      const { perennial } = await inFrontOf([BROKEN, open(...WHOLE.slice(0, 1))], settings);
      const seen = await new Promise<string>((resolve) => {
        const onRead = (body: string, abort: () => void): void => {
          resolve(body);
          abort();
        };
        chat(perennial.baseUrl, {}, { headers, onRead }).catch(() => {});
      });
      expect(seen).toBe(comment);
    },
  );

  test("tells the place in the queue, and nothing of it to those that are not streamed", async ({ serve }) => {
    const { answer, release } = onDemand();
    const { perennial, upstream } = await serve(answer, { ...settings, upstream: { rate: { concurrent: 1 } } });
    const first = chat(perennial.baseUrl);
    await eventually(() => upstream.requests.length).toBe(1);
    const bodies: string[] = [];
    const others = [];
    for (let index = 0; index < 2; index++) {
      others.push(chat(perennial.baseUrl, {}, { onRead: (body) => (bodies[index] = body) }));
      await eventually(() => bodies[index] ?? "").toMatch(/^: perennial .* in the queue\n\n$/);
    }
    const unstreamed = chat(perennial.baseUrl, { stream: false });
    await eventually(() => queued(perennial)).toBe(3);
    expect(bodies).toEqual([": perennial next in the queue\n\n", ": perennial 1 ahead in the queue\n\n"]);
    for (let count = 1; count <= 4; count++) {
      await eventually(() => upstream.requests.length).toBe(count);
      release();
    }
    const [second] = await Promise.all(others);
    expect(readStream(second?.body ?? "").text).toBe("Hello, world");
    expect((await unstreamed).body).not.toContain("perennial next");
    await first;
  });

  test("tells nothing while there were only outages: the status stays possible", async ({ serve }) => {
    const { perennial } = await serve([jsonReply("{}", "503 Service Unavailable")], settings);
    const seen = await chat(perennial.baseUrl);
    expect(seen).toMatchObject({ status: 503, body: "{}" });
  });

  test("is off by default", async ({ serve }) => {
    const { perennial } = await serve([BROKEN, WHOLE]);
    expect((await chat(perennial.baseUrl)).body).not.toContain(": perennial");
  });
});
