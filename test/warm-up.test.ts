/** The first question, which Perennial asks before a user does: when it is asked, and what /readyz makes of it. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";
import { configSchema } from "../src/config/schema.ts";
import { chat, type Seen, send } from "./support/client.ts";
import { startPerennial, type TestPerennial } from "./support/perennial.ts";
import {
  chatAnswer,
  chatEvents,
  jsonReply,
  type RawRequest,
  type RawUpstream,
  SSE_HEAD,
  sendFramed,
  startRawUpstream,
} from "./support/raw-upstream.ts";

const closing: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const each of closing.splice(0).reverse()) await each.close();
});

const QUESTION = "你好，你是谁？";
const ANSWER = jsonReply(chatAnswer("我是"));
const REFUSAL = jsonReply('{"detail":"no such model"}', "400 Bad Request");

async function upstreamThat(answer: Parameters<typeof startRawUpstream>[0]): Promise<RawUpstream> {
  const upstream = await startRawUpstream(answer);
  closing.push(upstream);
  return upstream;
}

async function perennialBefore(baseUrl: string, settings: Record<string, unknown>): Promise<TestPerennial> {
  const perennial = await startPerennial(baseUrl, { drain: { timeout: "100ms" }, ...settings });
  closing.push(perennial);
  return perennial;
}

const ready = async ({ url }: TestPerennial): Promise<number> => (await send(`${url}/readyz`)).status;
const questionsTo = ({ requests }: RawUpstream): RawRequest[] => requests.filter(({ body }) => body.includes(QUESTION));

/** An answer to users that begins when asked and ends when told to; questions are answered at once. */
async function upstreamWithOpenStream(): Promise<{ upstream: RawUpstream; end: () => void }> {
  let end = (): void => {};
  const upstream = await upstreamThat((socket, { body }) => {
    if (body.includes(QUESTION)) {
      socket.write(ANSWER);
      return;
    }
    const [role, first, ...rest] = chatEvents(["one ", "two"]);
    socket.write(`${SSE_HEAD}connection: close\r\n\r\n${role}${first}`);
    end = () => socket.end(rest.join(""));
  });
  return { upstream, end: () => end() };
}

/** A chat that has begun to arrive. */
async function begin(perennial: TestPerennial): Promise<Promise<Seen>[]> {
  let began = (): void => {};
  const begun = new Promise<void>((resolve) => {
    began = resolve;
  });
  const seen = chat(perennial.baseUrl, {}, { onRead: () => began() });
  await begun;
  // In a list, since to await a promise of a promise awaits both.
  return [seen];
}

describe("when it is asked", () => {
  test("asks a question at the start, and /readyz is green once it is answered whole", async () => {
    let warm = false;
    const upstream = await upstreamThat((socket) => socket.end(warm ? ANSWER : jsonReply("null")));
    const perennial = await perennialBefore(upstream.baseUrl, { warmup: { request: { model: "glm" } } });
    expect(await ready(perennial)).toBe(503);
    warm = true;
    await expect.poll(() => ready(perennial), { timeout: 5_000 }).toBe(200);
    expect(upstream.requests[0]?.json).toMatchObject({
      model: "glm",
      stream: false,
      messages: [{ role: "user", content: QUESTION }],
    });
  });

  test("asks again after the upstream was down", async () => {
    let down = false;
    const upstream = await upstreamThat((socket) => (down ? socket.destroy() : socket.write(ANSWER)));
    const perennial = await perennialBefore(upstream.baseUrl, { warmup: {}, retry: { maxAttempts: 1 } });
    await expect.poll(() => ready(perennial)).toBe(200);
    down = true;
    expect((await chat(perennial.baseUrl)).status).toBe(502);
    expect(await ready(perennial)).toBe(503);
    down = false;
    await expect.poll(() => ready(perennial), { timeout: 6_000 }).toBe(200);
  });

  test("asks again after a time without requests, and not while an answer is still coming", async () => {
    const { upstream, end } = await upstreamWithOpenStream();
    const perennial = await perennialBefore(upstream.baseUrl, { warmup: { on: "idle", after: "150ms" } });
    await expect.poll(() => questionsTo(upstream).length, { timeout: 5_000 }).toBe(2);
    const [seen] = await begin(perennial);
    await sleep(60);
    const asked = questionsTo(upstream).length;
    await sleep(600);
    expect(questionsTo(upstream)).toHaveLength(asked);
    end();
    expect((await seen)?.body).toContain("[DONE]");
    await expect.poll(() => questionsTo(upstream).length, { timeout: 5_000 }).toBeGreaterThan(asked);
  });

  test("asks nobody when one of two answers has come, and the other is still coming", async () => {
    const { upstream, end } = await upstreamWithOpenStream();
    const perennial = await perennialBefore(upstream.baseUrl, { warmup: { on: "idle", after: "300ms" } });
    await expect.poll(() => ready(perennial)).toBe(200);
    await begin(perennial);
    await begin(perennial);
    end();
    await perennial.exchangeLog();
    await sleep(900);
    expect(questionsTo(upstream)).toHaveLength(1);
  });

  test("an upstream that a reload has replaced is asked no more, although its last answer still runs", async () => {
    const { upstream: old, end } = await upstreamWithOpenStream();
    const next = await upstreamThat((socket) => socket.write(ANSWER));
    const settings = { warmup: { on: "idle", after: "100ms" } };
    const perennial = await perennialBefore(old.baseUrl, settings);
    await expect.poll(() => ready(perennial)).toBe(200);
    const [seen] = await begin(perennial);
    await perennial.reload(configSchema.parse({ port: 0, upstreams: [{ baseUrl: next.baseUrl }], ...settings }));
    const asked = questionsTo(old).length;
    await expect.poll(() => questionsTo(next).length, { timeout: 5_000 }).toBeGreaterThan(2);
    expect(questionsTo(old)).toHaveLength(asked);
    end();
    expect((await seen)?.body).toContain("[DONE]");
  });

  test("an upstream that is down, and replaced by a reload, is asked no more while its last answer still runs", async () => {
    let down = true;
    const old = await upstreamThat((socket, { body }) => {
      if (!body.includes(QUESTION)) socket.write(`${SSE_HEAD}connection: close\r\n\r\n${chatEvents(["one"])[1]}`);
      else if (down) socket.end(jsonReply("null"));
    });
    const next = await upstreamThat((socket) => socket.write(ANSWER));
    const perennial = await perennialBefore(old.baseUrl, { warmup: {} });
    await begin(perennial);
    await perennial.reload(configSchema.parse({ port: 0, upstreams: [{ baseUrl: next.baseUrl }], warmup: {} }));
    down = false;
    const asked = questionsTo(old).length;
    await sleep(1_500);
    expect(questionsTo(old)).toHaveLength(asked);
  });

  test("nobody is asked any more once Perennial is told to stop", async () => {
    const { upstream, end } = await upstreamWithOpenStream();
    const perennial = await perennialBefore(upstream.baseUrl, {
      warmup: { on: "idle", after: "50ms" },
      drain: { timeout: "2s" },
    });
    await expect.poll(() => ready(perennial)).toBe(200);
    const [seen] = await begin(perennial);
    const closed = perennial.close();
    const asked = questionsTo(upstream).length;
    await sleep(300);
    end();
    await seen;
    await closed;
    expect(questionsTo(upstream)).toHaveLength(asked);
    closing.splice(closing.indexOf(perennial), 1);
  });
});

describe("an upstream that answers its users", () => {
  test("is warm, although the question itself is refused", async () => {
    const upstream = await upstreamThat((socket, { body }) => {
      if (body.includes(QUESTION)) socket.write(REFUSAL);
      else sendFramed(socket, "chunked", chatEvents(["hi"]));
    });
    const perennial = await perennialBefore(upstream.baseUrl, { warmup: {} });
    await expect.poll(() => questionsTo(upstream).length).toBe(1);
    expect(await ready(perennial)).toBe(503);
    expect((await chat(perennial.baseUrl)).body).toContain("[DONE]");
    expect(await ready(perennial)).toBe(200);
    expect(perennial.log.some(({ msg }) => msg === "the upstream is warm")).toBe(true);
  });

  test("stays warm when a later question is refused", async () => {
    const upstream = await upstreamThat((socket, { body }) => {
      if (body.includes(QUESTION)) socket.write(REFUSAL);
      else sendFramed(socket, "chunked", chatEvents(["hi"]));
    });
    const perennial = await perennialBefore(upstream.baseUrl, { warmup: { on: "idle", after: "100ms" } });
    await chat(perennial.baseUrl);
    const asked = questionsTo(upstream).length;
    await expect.poll(() => questionsTo(upstream).length, { timeout: 5_000 }).toBeGreaterThan(asked);
    await sleep(50);
    expect(await ready(perennial)).toBe(200);
  });

  test("is warm when it answers a user while the question is still open, whatever becomes of the question", async () => {
    let fail = (): void => {};
    const upstream = await upstreamThat((socket, { body }) => {
      if (body.includes(QUESTION)) fail = () => socket.end(jsonReply("null"));
      else sendFramed(socket, "chunked", chatEvents(["hi"]));
    });
    const perennial = await perennialBefore(upstream.baseUrl, { warmup: {} });
    await expect.poll(() => questionsTo(upstream).length).toBe(1);
    await chat(perennial.baseUrl);
    expect(await ready(perennial)).toBe(200);
    fail();
    await sleep(100);
    expect(await ready(perennial)).toBe(200);
  });

  test.each([
    ["a model list", "/models", "GET"],
    ["an answer that is cut", "/chat/completions", "POST"],
  ])("is not warm for %s alone", async (_what, path, method) => {
    const upstream = await upstreamThat((socket, { head, body }) => {
      if (head.startsWith("GET")) socket.write(jsonReply('{"data":[]}'));
      else if (body.includes(QUESTION)) socket.write(jsonReply("null"));
      else socket.end(`${SSE_HEAD}connection: close\r\n\r\n${chatEvents(["one"])[1]}`);
    });
    const perennial = await perennialBefore(upstream.baseUrl, { warmup: {} });
    await expect.poll(() => questionsTo(upstream).length).toBe(1);
    await send(perennial.baseUrl + path, { method, ...(method === "POST" ? { body: '{"model":"m","stream":true}' } : {}) });
    expect(await ready(perennial)).toBe(503);
  });
});
