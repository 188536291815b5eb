/** A second upstream is asked beside one that is slow to begin: the first to bring content answers, and the other is ended. */
import type { Socket } from "node:net";
import { describe, expect } from "vitest";
import { chat, readStream, send } from "./support/client.ts";
import { chatEvents, frame, jsonReply, NOBODY, SSE_HEAD } from "./support/raw-upstream.ts";
import { type Told, test } from "./support/several-upstreams.ts";
import type { Answer } from "./support/test.ts";

const wholeOf = (text: string): Buffer => frame("chunked", chatEvents([text]));
const whole = wholeOf("from b");
/** Its head and a role, and then nothing: it is at work. */
const thinking: Answer = (socket) => socket.write(frame("chunked", chatEvents(["x"]).slice(0, 1)).subarray(0, -5));
const AT_ONCE = { hedge: { after: "20ms", percent: 100 } };

const isGone = (sockets: ReadonlySet<Socket>): Promise<void> =>
  expect.poll(() => [...sockets].filter((socket) => !socket.destroyed).length).toBe(0);

test("the second answers, the first is left at once, and all that is told of it is true", async ({ inFrontOf }) => {
  const { perennial, upstreams } = await inFrontOf([thinking, whole], AT_ONCE);
  const seen = await chat(perennial.baseUrl);
  expect(readStream(seen.body)).toMatchObject({ text: "from b", done: true });
  expect(seen.headers).toMatchObject({ "x-perennial-upstream": "b", "x-perennial-attempts": "2" });
  await isGone(upstreams[0]?.sockets ?? new Set());
  expect(await perennial.exchangeLog()).toMatchObject({
    outcome: "complete",
    upstream: "b",
    attempts: [
      { upstream: "a", lost: true },
      { upstream: "b", hedge: true },
    ],
  });
  const { body } = await send(`${perennial.url}/metrics`);
  expect(body).toContain('perennial_hedges_total{result="won"} 1');
  expect(body).toContain('perennial_attempts_total{upstream="a",result="lost"} 1');
  expect(body).toMatch(/perennial_hedge_lost_seconds_total (?:0\.\d*)?[1-9]/);
});

test("the first answers where it is the faster one after all", async ({ inFrontOf }) => {
  const second: Socket[] = [];
  const late: Answer = async (socket) => {
    await expect.poll(() => second.length).toBe(1);
    socket.write(wholeOf("from a"));
  };
  const asked: Answer = (socket, request) => {
    second.push(socket);
    thinking(socket, request);
  };
  const { perennial, upstreams } = await inFrontOf([late, asked], AT_ONCE);
  const seen = await chat(perennial.baseUrl);
  expect(readStream(seen.body)).toMatchObject({ text: "from a", done: true });
  expect(seen.headers).toMatchObject({ "x-perennial-upstream": "a", "x-perennial-attempts": "2" });
  await isGone(upstreams[1]?.sockets ?? new Set());
  expect(await perennial.exchangeLog()).toMatchObject({ outcome: "complete", upstream: "a", attempts: [{}, { lost: true }] });
  const { body } = await send(`${perennial.url}/metrics`);
  expect(body).toContain('perennial_hedges_total{result="lost"} 1');
});

describe("when one of the two fails", () => {
  const failing: Answer = (socket) => socket.write(jsonReply('{"error":{"message":"no"}}', "500 Oops"));

  test("the other is waited for", async ({ inFrontOf }) => {
    let fails = false;
    const slow: Answer = async (socket) => {
      await expect.poll(() => fails).toBe(true);
      setTimeout(() => socket.write(wholeOf("from a")), 20);
    };
    const second: Answer = (socket, request) => {
      failing(socket, request);
      fails = true;
    };
    const { perennial } = await inFrontOf([slow, second], AT_ONCE);
    const seen = await chat(perennial.baseUrl);
    expect(readStream(seen.body)).toMatchObject({ text: "from a", done: true });
    expect(await perennial.exchangeLog()).toMatchObject({
      outcome: "recovered",
      attempts: [{ upstream: "a" }, { upstream: "b", hedge: true, failure: "upstream_status" }],
    });
  });

  test("and both of them are counted when both do", async ({ inFrontOf }) => {
    let isAsked = false;
    const slow: Answer = async (socket, request) => {
      await expect.poll(() => isAsked).toBe(true);
      failing(socket, request);
    };
    const second: Answer = (socket, request) => {
      isAsked = true;
      setTimeout(() => failing(socket, request), 30);
    };
    const { perennial, upstreams } = await inFrontOf([slow, second], {
      ...AT_ONCE,
      retry: { maxAttempts: 3, backoff: { initial: 0 } },
    });
    const seen = await chat(perennial.baseUrl);
    expect(seen).toMatchObject({ status: 500, headers: { "x-perennial-attempts": "3", "x-should-retry": "false" } });
    expect(upstreams.map(({ requests }) => requests.length).reduce((sum, count) => sum + count)).toBe(3);
  });
});

describe("no second one is asked", () => {
  const late: Answer = (socket) => void setTimeout(() => socket.write(wholeOf("from a")), 120);
  const CASES: readonly [string, readonly Told[], object][] = [
    ["by default", [late, whole], {}],
    ["where there is no other upstream", [late], AT_ONCE],
    ["for another key of the same one", [{ reply: late, settings: { apiKeys: ["k1", "k2"] } }], AT_ONCE],
    ["where the other does not serve the model", [late, { reply: whole, settings: { only: ["other"] } }], AT_ONCE],
    ["where one request is all that may be made", [late, whole], { ...AT_ONCE, retry: { maxAttempts: 1 } }],
    ["beyond its share", [late, whole], { hedge: { after: "20ms", percent: 5 } }],
    ["while too little is known of how long it takes", [late, whole], { hedge: { after: "p95", percent: 100 } }],
    ["that would be the one that is down", [late, NOBODY], { ...AT_ONCE, health: { every: "1h" } }],
  ];
  test.for(CASES)("%s", async ([why, replies, settings], { inFrontOf }) => {
    const { perennial, upstreams } = await inFrontOf(replies, settings as Record<string, unknown>);
    if (why.includes("down")) await expect.poll(() => JSON.stringify(perennial.log)).toContain("health");
    const seen = await chat(perennial.baseUrl);
    expect(readStream(seen.body)).toMatchObject({ text: "from a", done: true });
    expect(seen.headers).toMatchObject({ "x-perennial-attempts": "1", "x-perennial-upstream": "a" });
    expect(upstreams[1]?.requests ?? []).toHaveLength(0);
  });

  test("once there is content, however slowly the rest comes, also where it is not shown yet", async ({ inFrontOf }) => {
    const slowly: Answer = (socket) => {
      const [head = "", first = "", ...rest] = chatEvents(["from", " a"]);
      socket.write(`${SSE_HEAD}connection: close\r\n\r\n${head}${first}`);
      setTimeout(() => socket.end(rest.join("")), 900);
    };
    const askedOfSecond = ["content", "whole"].map(async (open) => {
      const settings = { hedge: { after: "700ms", percent: 100 }, gate: { open } };
      const { perennial, upstreams } = await inFrontOf([slowly, whole], settings);
      expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ text: "from a", done: true });
      return upstreams[1]?.requests.length;
    });
    expect(await Promise.all(askedOfSecond)).toEqual([0, 0]);
  });

  test("for what is not streamed", async ({ inFrontOf }) => {
    const answer = JSON.stringify({ choices: [{ index: 0, message: { content: "from a" }, finish_reason: "stop" }] });
    const slow: Answer = (socket) => void setTimeout(() => socket.write(jsonReply(answer)), 120);
    const { perennial, upstreams } = await inFrontOf([slow, jsonReply(answer)], AT_ONCE);
    expect((await chat(perennial.baseUrl, { stream: false })).headers["x-perennial-attempts"]).toBe("1");
    expect(upstreams[1]?.requests).toHaveLength(0);
  });
});

test("p95 is learned: one that takes longer than the others did is hedged", async ({ inFrontOf }) => {
  let isSlow = false;
  const first: Answer = (socket, request) => (isSlow ? thinking(socket, request) : socket.write(wholeOf("from a")));
  const { perennial } = await inFrontOf([first, whole], { hedge: { after: "p95", percent: 100 } });
  for (let count = 0; count < 25; count++) {
    const { headers } = await chat(perennial.baseUrl);
    expect(["a", "b"]).toContain(headers["x-perennial-upstream"]);
  }
  isSlow = true;
  const seen = await chat(perennial.baseUrl);
  expect(seen.headers).toMatchObject({ "x-perennial-upstream": "b", "x-perennial-attempts": "2" });
});

test("a client that leaves ends both", async ({ inFrontOf }) => {
  const { perennial, upstreams } = await inFrontOf([thinking, thinking], AT_ONCE);
  const leaving = new AbortController();
  const left = fetch(`${perennial.baseUrl}/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "m", stream: true, messages: [] }),
    signal: leaving.signal,
  }).catch(() => undefined);
  await expect.poll(() => upstreams.map(({ requests }) => requests.length)).toEqual([1, 1]);
  leaving.abort();
  await left;
  for (const { sockets } of upstreams) await isGone(sockets);
  expect(await perennial.exchangeLog()).toMatchObject({ outcome: "cancelled" });
});

describe("what an upstream keeps for an answer (llama.cpp)", () => {
  const kept = { recovery: "resume", ...AT_ONCE };
  const llama = (reply: Answer) => ({ reply, settings: { continuation: "llamacpp" } });
  const asked = ({ head }: { head: string }): string => head.split(" ", 1)[0] ?? "";

  test("is discarded of the slower one alone, whichever that is", async ({ inFrontOf }) => {
    const won = await inFrontOf([llama(thinking), llama((socket) => socket.write(whole))], kept);
    expect(readStream((await chat(won.perennial.baseUrl)).body)).toMatchObject({ text: "from b", done: true });
    await expect.poll(() => won.upstreams[0]?.requests.map(asked)).toEqual(["POST", "DELETE"]);
    expect(won.upstreams[1]?.requests.map(asked)).toEqual(["POST"]);

    let isAsked = false;
    const late: Answer = async (socket) => {
      await expect.poll(() => isAsked).toBe(true);
      socket.write(wholeOf("from a"));
    };
    const second: Answer = (socket, request) => {
      isAsked = true;
      thinking(socket, request);
    };
    const lost = await inFrontOf([llama(late), llama(second)], kept);
    expect(readStream((await chat(lost.perennial.baseUrl)).body)).toMatchObject({ text: "from a", done: true });
    await expect.poll(() => lost.upstreams[1]?.requests.map(asked)).toEqual(["POST", "DELETE"]);
    expect(lost.upstreams[0]?.requests.map(asked)).toEqual(["POST"]);
  });

  test("goes on after a break where the second one has won", async ({ inFrontOf }) => {
    const [role = "", first = "", ...rest] = chatEvents(["Hello", " again"]);
    const breaking: Answer = (socket, { head }) => {
      if (!head.startsWith("GET")) socket.end(frame("chunked", [role, first]).subarray(0, -5));
      else socket.write(frame("chunked", [role, first, ...rest]));
    };
    const { perennial, upstreams } = await inFrontOf([llama(thinking), llama(breaking)], kept);
    expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ text: "Hello again", done: true });
    expect(upstreams[1]?.requests.map(asked)).toEqual(["POST", "GET"]);
    expect(await perennial.exchangeLog()).toMatchObject({ outcome: "resumed", by: "native", upstream: "b" });
  });
});
