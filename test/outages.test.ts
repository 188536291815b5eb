/** An upstream that is down, restarts or loads: what its clients notice of it, and how often it is asked meanwhile. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";
import { chat, readStream, type Seen } from "./support/client.ts";
import { startPerennial, type TestPerennial } from "./support/perennial.ts";
import { chatAnswer, chatEvents, frame, jsonReply, NOBODY, type RawUpstream, startRawUpstream } from "./support/raw-upstream.ts";

let upstream: RawUpstream | undefined;
let perennial: TestPerennial | undefined;
let server: Server | undefined;

afterEach(async () => {
  await perennial?.close();
  await upstream?.close();
  server?.closeAllConnections();
  server?.close();
  perennial = upstream = server = undefined;
});

const WHOLE = frame("chunked", chatEvents(["Hello"]));
const BACKOFF = { initial: "40ms", factor: 2, max: "200ms", jitter: false };
const retry = (outage: string, more: object = {}): Record<string, unknown> => ({ retry: { outage, backoff: BACKOFF, ...more } });
const refusal = (status: string, headers = "", body = '{"error":{"message":"no","type":"t","code":null}}'): string =>
  jsonReply(body, status, headers);

/** Down for so many requests, or for a time after the first one, in the way that is told; then well. */
async function startDownFor(span: { requests: number } | { ms: number }, how: string | "reset" | "close"): Promise<void> {
  let since: number | undefined;
  let asked = 0;
  upstream = await startRawUpstream((socket, { json }) => {
    since ??= performance.now();
    if ("ms" in span ? performance.now() - since >= span.ms : asked >= span.requests) {
      socket.write(json?.stream === false ? jsonReply(chatAnswer("Hello")) : WHOLE);
      return;
    }
    asked++;
    if (how === "reset") socket.resetAndDestroy();
    else if (how === "close") socket.end();
    else socket.write(how);
  });
}

const LOADING = '{"error":{"message":"Loading model","type":"unavailable_error","code":503}}';

describe.each([
  ["503", refusal("503 Busy")],
  ["529", refusal("529 Overloaded")],
  ["502", refusal("502 Bad")],
  ["425", refusal("425 Early")],
  ["408", refusal("408 Slow")],
  ["a reset", "reset"],
  ["a close", "close"],
  ["loading, as 503", refusal("503 Busy", "", LOADING)],
  ["loading, as 500", refusal("500 Oops", "", '{"error":"Model m is currently loading","estimated_time":20}')],
  ["loading, with a long wait", refusal("503 Busy", "retry-after: 300\r\n", LOADING)],
])("an upstream that is out for longer than three attempts take (%s)", (_what, how) => {
  test.each([true, false])("is not noticed (stream: %s)", async (stream) => {
    await startDownFor({ requests: 5 }, how);
    perennial = await startPerennial(upstream?.baseUrl, retry("25s"));
    const seen = await chat(perennial.baseUrl, { stream });
    expect(seen.status).toBe(200);
    expect(stream ? readStream(seen.body).text : JSON.parse(seen.body).choices[0].message.content).toBe("Hello");
    expect(upstream?.requests).toHaveLength(6);
    expect(await perennial.exchangeLog()).toMatchObject({ outcome: "recovered" });
  });
});

test("an upstream that does not listen for a while is not noticed", async () => {
  server = createServer((_request, response) => response.end(chatAnswer("Hello")));
  await new Promise<void>((resolve) => server?.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server?.close(resolve));
  perennial = await startPerennial(`http://127.0.0.1:${port}/v1`, retry("10s"));
  const seen = chat(perennial.baseUrl, { stream: false });
  await sleep(600);
  server.listen(port, "127.0.0.1");
  expect(await seen).toMatchObject({ status: 200, body: chatAnswer("Hello") });
});

describe("an upstream that stays out", () => {
  test("is told after retry.outage, with its own last status and a time to come back, and nothing before", async () => {
    upstream = await startRawUpstream((socket) => socket.write(refusal("503 Busy", "x-request-id: abc\r\n")));
    perennial = await startPerennial(upstream.baseUrl, { ...retry("3s"), heartbeat: { after: "2s", every: "50ms" } });
    const began = performance.now();
    const seen = await chat(perennial.baseUrl);
    expect(performance.now() - began).toBeGreaterThan(2_900);
    expect(seen).toMatchObject({ status: 503, body: '{"error":{"message":"no","type":"t","code":null}}' });
    expect(seen.headers).toMatchObject({ "x-request-id": "abc", "retry-after": "3" });
    expect(seen.headers["x-should-retry"]).toBeUndefined();
    expect(await perennial.exchangeLog()).toMatchObject({ outcome: "failed", failure: "upstream_status" });
  });

  test.each([
    ["7", 2],
    ["3600", 1],
  ])("keeps its own retry-after (%s), and is asked once more at the end", async (seconds, requests) => {
    upstream = await startRawUpstream((socket) => socket.write(refusal("503 Busy", `retry-after: ${seconds}\r\n`)));
    perennial = await startPerennial(upstream.baseUrl, retry("500ms"));
    expect(await chat(perennial.baseUrl)).toMatchObject({ status: 503, headers: { "retry-after": seconds } });
    expect(upstream.requests).toHaveLength(requests);
  });

  test("is told as 502 where there was no answer, with a time to come back", async () => {
    perennial = await startPerennial(NOBODY, retry("300ms"));
    const seen = await chat(perennial.baseUrl);
    expect(seen).toMatchObject({ status: 502, headers: { "retry-after": "1" } });
    expect(seen.headers["x-should-retry"]).toBeUndefined();
    expect(JSON.parse(seen.body).error.code).toBe("upstream_unreachable");
  });

  test("is asked once with maxAttempts: 1", async () => {
    upstream = await startRawUpstream((socket) => socket.write(refusal("529 Overloaded")));
    perennial = await startPerennial(upstream.baseUrl, retry("5s", { maxAttempts: 1 }));
    expect((await chat(perennial.baseUrl)).status).toBe(529);
    expect((await chat(perennial.baseUrl)).status).toBe(529);
    expect(upstream.requests).toHaveLength(2);
  });

  test("does not have its client's retries multiplied by ours", async () => {
    upstream = await startRawUpstream((socket) => socket.write(refusal("529 Overloaded")));
    perennial = await startPerennial(upstream.baseUrl, retry("600ms"));
    await chat(perennial.baseUrl);
    const inTheBeginning = upstream.requests.length;
    for (let times = 0; times < 10; times++) {
      expect((await chat(perennial.baseUrl)).status).toBe(529);
      await sleep(60);
    }
    expect(inTheBeginning).toBeLessThanOrEqual(8);
    expect(upstream.requests.length - inTheBeginning).toBeLessThanOrEqual(10);
  });

  test("is found again by the first client that asks once it is back", async () => {
    let isDown = true;
    upstream = await startRawUpstream((socket) => socket.write(isDown ? refusal("503 Busy") : WHOLE));
    perennial = await startPerennial(upstream.baseUrl, retry("300ms"));
    expect((await chat(perennial.baseUrl)).status).toBe(503);
    isDown = false;
    const asked = upstream.requests.length;
    expect((await chat(perennial.baseUrl)).status).toBe(200);
    expect(upstream.requests).toHaveLength(asked + 1);
  });
});

describe("one asks for all", () => {
  /** So many, in a known order. */
  async function askAll(count: number, body: (index: number) => object = () => ({})): Promise<Promise<Seen>[]> {
    const asked: Promise<Seen>[] = [];
    for (let index = 0; index < count; index++) {
      asked.push(chat((perennial as TestPerennial).baseUrl, { user: String(index), ...body(index) }));
      await sleep(3);
    }
    return asked;
  }

  test("while 50 wait, and they follow in their order", async () => {
    await startDownFor({ ms: 1_500 }, refusal("503 Busy"));
    // Over one connection, or their order would be that in which connections are read.
    perennial = await startPerennial(upstream?.baseUrl, { ...retry("20s"), upstream: { maxConnections: 1 } });
    const first = chat(perennial.baseUrl);
    await expect.poll(() => upstream?.requests.length).toBeGreaterThan(0);
    const others = await askAll(50);
    for (const seen of await Promise.all([first, ...others])) expect(readStream(seen.body).text).toBe("Hello");
    const requests = upstream?.requests ?? [];
    // 1.5 s are 40 + 80 + 160 + 200 + 200 + … ms.
    expect(requests.length).toBeLessThanOrEqual(51 + 10);
    const order = requests.slice(-40).map(({ json }) => Number(json.user));
    expect(order).toEqual(order.toSorted((a, b) => a - b));
  });

  test("and leaves that to the next when its client leaves", async () => {
    await startDownFor({ ms: 800 }, refusal("503 Busy"));
    perennial = await startPerennial(upstream?.baseUrl, retry("20s"));
    const gone = new AbortController();
    const first = fetch(`${perennial.baseUrl}/chat/completions`, {
      method: "POST",
      body: JSON.stringify({ model: "m", stream: true, messages: [] }),
      signal: gone.signal,
    }).catch(() => undefined);
    await expect.poll(() => upstream?.requests.length).toBeGreaterThan(0);
    const others = await askAll(3);
    gone.abort();
    await first;
    for (const seen of await Promise.all(others)) expect(readStream(seen.body).text).toBe("Hello");
  });

  test("of its model: one that loads keeps no other model waiting", async () => {
    upstream = await startRawUpstream((socket, { json }) => socket.write(json.model === "slow" ? refusal("503 Busy") : WHOLE));
    perennial = await startPerennial(upstream.baseUrl, retry("30s"));
    const slow = chat(perennial.baseUrl, { model: "slow" });
    await expect.poll(() => upstream?.requests.length).toBeGreaterThan(0);
    const began = performance.now();
    expect((await chat(perennial.baseUrl, { model: "quick" })).status).toBe(200);
    expect(performance.now() - began, "the other's whole outage").toBeLessThan(20_000);
    await perennial.close();
    await slow.catch(() => {});
  });

  test("and a request that the upstream cannot bear does not keep it out for the others", async () => {
    upstream = await startRawUpstream((socket, { json }) =>
      json.user === "poison" ? socket.resetAndDestroy() : socket.write(WHOLE),
    );
    perennial = await startPerennial(upstream.baseUrl, retry("2s"));
    const poison = chat(perennial.baseUrl, { user: "poison" });
    await expect.poll(() => upstream?.requests.length).toBeGreaterThan(0);
    const others = await askAll(5);
    for (const seen of await Promise.all(others)) expect(readStream(seen.body).text).toBe("Hello");
    expect((await poison).status).toBe(502);
  });
});

describe("what is no outage", () => {
  test("a 503 that took its time is counted as an attempt", async () => {
    upstream = await startRawUpstream((socket) => void setTimeout(() => socket.write(refusal("503 Busy")), 2_100));
    perennial = await startPerennial(upstream.baseUrl, retry("20s", { maxAttempts: 2 }));
    const seen = await chat(perennial.baseUrl);
    expect(seen).toMatchObject({ status: 503, headers: { "x-should-retry": "false", "x-perennial-attempts": "2" } });
    expect(upstream.requests).toHaveLength(2);
  });

  test("a 504, a 500 and a 429 are counted as attempts", async () => {
    for (const status of ["504 Late", "500 Oops", "429 Enough"]) {
      upstream = await startRawUpstream((socket) => socket.write(refusal(status)));
      perennial = await startPerennial(upstream.baseUrl, retry("20s"));
      const seen = await chat(perennial.baseUrl);
      expect(seen).toMatchObject({ headers: { "x-should-retry": "false", "x-perennial-attempts": "3" } });
      expect(upstream.requests).toHaveLength(3);
      await perennial.close();
      await upstream.close();
    }
  });

  test("a 429 that names too long a wait leaves the client its own retries", async () => {
    upstream = await startRawUpstream((socket) => socket.write(refusal("429 Enough", "retry-after: 3600\r\n")));
    perennial = await startPerennial(upstream.baseUrl, retry("20s"));
    const seen = await chat(perennial.baseUrl);
    expect([seen.status, seen.headers["x-should-retry"], upstream.requests.length]).toEqual([429, undefined, 1]);
  });

  test("heartbeats go out behind a costly failure", async () => {
    let asked = 0;
    upstream = await startRawUpstream((socket) => socket.write(++asked < 3 ? refusal("500 Oops") : WHOLE));
    perennial = await startPerennial(upstream.baseUrl, {
      retry: { backoff: { initial: "900ms", factor: 1, jitter: false } },
      heartbeat: { after: "50ms", every: "50ms" },
    });
    const { body } = await chat(perennial.baseUrl);
    expect(body).toContain(": keep-alive");
    expect(readStream(body).text).toBe("Hello");
  });
});
