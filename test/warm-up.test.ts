/** The first question, which Perennial asks before a user does: when it is asked, where, in which words, and what /readyz makes of it. */
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect } from "vitest";
import { createChaosServer } from "../src/chaos/chaos-server.ts";
import type { PersonalityName } from "../src/chaos/personality-name.ts";
import { applyProfile } from "../src/config/profiles.ts";
import { configSchema } from "../src/config/schema.ts";
import { chat, type Seen, send } from "./support/client.ts";
import { FIXTURES } from "./support/dialect-fixtures.ts";
import type { TestPerennial } from "./support/perennial.ts";
import { chatAnswer, chatEvents, jsonReply, type RawRequest, type RawUpstream, sendFramed } from "./support/raw-upstream.ts";
import { STREAM_HEAD } from "./support/replies.ts";
import { test as fixtureTest, type Tools, withRows } from "./support/test.ts";

/** As a user has it, but quick to stop. */
const test = withRows(
  fixtureTest.extend(
    "perennialBefore",
    ({ startPerennial }): PerennialBefore =>
      (baseUrl, settings) =>
        startPerennial(baseUrl, { drain: { timeout: "100ms" }, ...settings }),
  ),
);

/** A loaded machine takes its time. */
const eventually = <T>(read: () => T) => expect.poll(read);

const QUESTION = "你好，你是谁？";
const ANSWER = jsonReply(chatAnswer("我是"));
const REFUSAL = jsonReply('{"detail":"no such model"}', "400 Bad Request");

type PerennialBefore = (baseUrl: string, settings: Record<string, unknown>) => Promise<TestPerennial>;

const ready = async ({ url }: TestPerennial): Promise<number> => (await send(`${url}/readyz`)).status;
const questionsTo = ({ requests }: RawUpstream): RawRequest[] => requests.filter(({ body }) => body.includes(QUESTION));

/** Lines of the log that say how the question went. */
// biome-ignore lint/suspicious/noExplicitAny: log lines of every shape
const warnings = ({ log }: TestPerennial): any[] => log.filter(({ level, path }) => level === 40 && path !== undefined);

/** An answer to users that begins when asked and ends when told to; questions are answered at once. */
async function upstreamWithOpenStream(
  startUpstream: Tools["startUpstream"],
): Promise<{ upstream: RawUpstream; end: () => void }> {
  let end = (): void => {};
  const upstream = await startUpstream((socket, { body }) => {
    if (body.includes(QUESTION)) {
      socket.write(ANSWER);
      return;
    }
    const [role, first, ...rest] = chatEvents(["one ", "two"]);
    socket.write(`${STREAM_HEAD}${role}${first}`);
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
  test("asks a question at the start, and /readyz is green once it is answered whole", async ({
    startUpstream,
    perennialBefore,
  }) => {
    let warm = false;
    const upstream = await startUpstream((socket) => socket.end(warm ? ANSWER : jsonReply("null")));
    const perennial = await perennialBefore(upstream.baseUrl, { warmup: { request: { model: "glm" } } });
    expect(await ready(perennial)).toBe(503);
    warm = true;
    await eventually(() => ready(perennial)).toBe(200);
    expect(upstream.requests[0]?.json).toMatchObject({
      model: "glm",
      stream: false,
      messages: [{ role: "user", content: QUESTION }],
    });
  });

  test("asks again after the upstream was down", async ({ startUpstream, perennialBefore }) => {
    let down = false;
    const upstream = await startUpstream((socket) => (down ? socket.destroy() : socket.write(ANSWER)));
    const perennial = await perennialBefore(upstream.baseUrl, { warmup: {}, retry: { maxAttempts: 1 } });
    await eventually(() => ready(perennial)).toBe(200);
    down = true;
    expect((await chat(perennial.baseUrl)).status).toBe(502);
    expect(await ready(perennial)).toBe(503);
    down = false;
    await eventually(() => ready(perennial)).toBe(200);
  });

  test("asks again after a time without requests, and not while an answer is still coming", async ({
    startUpstream,
    perennialBefore,
  }) => {
    const { upstream, end } = await upstreamWithOpenStream(startUpstream);
    const perennial = await perennialBefore(upstream.baseUrl, { warmup: { on: "idle", after: "150ms" } });
    await eventually(() => questionsTo(upstream).length).toBe(2);
    const [seen] = await begin(perennial);
    await sleep(60);
    const asked = questionsTo(upstream).length;
    await sleep(600);
    expect(questionsTo(upstream)).toHaveLength(asked);
    end();
    expect((await seen)?.body).toContain("[DONE]");
    await eventually(() => questionsTo(upstream).length).toBeGreaterThan(asked);
  });

  test("asks nobody when one of two answers has come, and the other is still coming", async ({
    startUpstream,
    perennialBefore,
  }) => {
    const { upstream, end } = await upstreamWithOpenStream(startUpstream);
    const perennial = await perennialBefore(upstream.baseUrl, { warmup: { on: "idle", after: "300ms" } });
    await eventually(() => ready(perennial)).toBe(200);
    await begin(perennial);
    await begin(perennial);
    // On a busy machine the time may have passed before the first of them.
    const asked = questionsTo(upstream).length;
    end();
    await perennial.exchangeLog();
    await sleep(900);
    expect(questionsTo(upstream)).toHaveLength(asked);
  });

  test("an upstream that a reload has replaced is asked no more, although its last answer still runs", async ({
    startUpstream,
    perennialBefore,
  }) => {
    const { upstream: old, end } = await upstreamWithOpenStream(startUpstream);
    const next = await startUpstream((socket) => socket.write(ANSWER));
    const settings = { warmup: { on: "idle", after: "100ms" } };
    const perennial = await perennialBefore(old.baseUrl, settings);
    await eventually(() => ready(perennial)).toBe(200);
    const [seen] = await begin(perennial);
    await perennial.reload(configSchema.parse({ port: 0, upstreams: [{ baseUrl: next.baseUrl }], ...settings }));
    const asked = questionsTo(old).length;
    await eventually(() => questionsTo(next).length).toBeGreaterThan(2);
    expect(questionsTo(old)).toHaveLength(asked);
    end();
    expect((await seen)?.body).toContain("[DONE]");
  });

  test("an upstream that is down, and replaced by a reload, is asked no more while its last answer still runs", async ({
    startUpstream,
    perennialBefore,
  }) => {
    let down = true;
    const old = await startUpstream((socket, { body }) => {
      if (!body.includes(QUESTION)) socket.write(`${STREAM_HEAD}${chatEvents(["one"])[1]}`);
      else if (down) socket.end(jsonReply("null"));
    });
    const next = await startUpstream((socket) => socket.write(ANSWER));
    const perennial = await perennialBefore(old.baseUrl, { warmup: {} });
    await begin(perennial);
    await perennial.reload(configSchema.parse({ port: 0, upstreams: [{ baseUrl: next.baseUrl }], warmup: {} }));
    down = false;
    const asked = questionsTo(old).length;
    await sleep(1_500);
    expect(questionsTo(old)).toHaveLength(asked);
  });

  test("nobody is asked any more once Perennial is told to stop", async ({ startUpstream, perennialBefore }) => {
    const { upstream, end } = await upstreamWithOpenStream(startUpstream);
    const perennial = await perennialBefore(upstream.baseUrl, {
      warmup: { on: "idle", after: "50ms" },
      drain: { timeout: "2s" },
    });
    await eventually(() => ready(perennial)).toBe(200);
    const [seen] = await begin(perennial);
    const closed = perennial.close();
    const asked = questionsTo(upstream).length;
    await sleep(300);
    end();
    await seen;
    await closed;
    expect(questionsTo(upstream)).toHaveLength(asked);
  });
});

describe("an upstream that answers its users", () => {
  test("is warm, although the question itself is refused", async ({ startUpstream, perennialBefore }) => {
    const upstream = await startUpstream((socket, { body }) => {
      if (body.includes(QUESTION)) socket.write(REFUSAL);
      else sendFramed(socket, "chunked", chatEvents(["hi"]));
    });
    const perennial = await perennialBefore(upstream.baseUrl, { warmup: {} });
    await eventually(() => questionsTo(upstream).length).toBe(1);
    expect(await ready(perennial)).toBe(503);
    expect((await chat(perennial.baseUrl)).body).toContain("[DONE]");
    expect(await ready(perennial)).toBe(200);
    expect(perennial.log.some(({ msg }) => msg === "the upstream is warm")).toBe(true);
  });

  test("stays warm when a later question is refused", async ({ startUpstream, perennialBefore }) => {
    const upstream = await startUpstream((socket, { body }) => {
      if (body.includes(QUESTION)) socket.write(REFUSAL);
      else sendFramed(socket, "chunked", chatEvents(["hi"]));
    });
    const perennial = await perennialBefore(upstream.baseUrl, { warmup: { on: "idle", after: "100ms" } });
    await chat(perennial.baseUrl);
    const asked = questionsTo(upstream).length;
    await eventually(() => questionsTo(upstream).length).toBeGreaterThan(asked);
    await sleep(50);
    expect(await ready(perennial)).toBe(200);
  });

  test("is warm when it answers a user while the question is still open, whatever becomes of the question", async ({
    startUpstream,
    perennialBefore,
  }) => {
    let fail = (): void => {};
    const upstream = await startUpstream((socket, { body }) => {
      if (body.includes(QUESTION)) fail = () => socket.end(jsonReply("null"));
      else sendFramed(socket, "chunked", chatEvents(["hi"]));
    });
    const perennial = await perennialBefore(upstream.baseUrl, { warmup: {} });
    await eventually(() => questionsTo(upstream).length).toBe(1);
    await chat(perennial.baseUrl);
    expect(await ready(perennial)).toBe(200);
    fail();
    await sleep(100);
    expect(await ready(perennial)).toBe(200);
  });

  test.for([
    ["a model list", "/models", "GET"],
    ["an answer that is cut", "/chat/completions", "POST"],
  ])("is not warm for %s alone", async ([_what, path, method], { startUpstream, perennialBefore }) => {
    const upstream = await startUpstream((socket, { head, body }) => {
      if (head.startsWith("GET")) socket.write(jsonReply('{"data":[]}'));
      else if (body.includes(QUESTION)) socket.write(jsonReply("null"));
      else socket.end(`${STREAM_HEAD}${chatEvents(["one"])[1]}`);
    });
    const perennial = await perennialBefore(upstream.baseUrl, { warmup: {} });
    await eventually(() => questionsTo(upstream).length).toBe(1);
    await send(perennial.baseUrl + path, { method, ...(method === "POST" ? { body: '{"model":"m","stream":true}' } : {}) });
    expect(await ready(perennial)).toBe(503);
  });
});

describe("where it is asked", () => {
  test.for([
    ["openai-chat", { messages: [{ role: "user", content: QUESTION }], max_tokens: 32 }, undefined],
    ["openai-completions", { prompt: QUESTION, max_tokens: 32 }, undefined],
    ["openai-responses", { input: QUESTION, max_output_tokens: 32 }, undefined],
    ["anthropic-messages", { messages: [{ role: "user", content: QUESTION }], max_tokens: 32 }, "2023-06-01"],
    ["chatchat-completions", { messages: [{ role: "user", content: QUESTION }], max_tokens: 32 }, undefined],
    ["chatchat", { query: QUESTION }, undefined],
  ])("a path of %s is asked in its own words", async ([name, fields, version], { startUpstream, perennialBefore }) => {
    const fixture = FIXTURES.find((each) => each.name === name) as (typeof FIXTURES)[number];
    const upstream = await startUpstream((socket) => {
      if (fixture.answer === undefined) sendFramed(socket, "chunked", fixture.events);
      else socket.write(jsonReply(JSON.stringify(fixture.answer)));
    });
    const isUnderRoot = fixture.upstream.profile === "chatchat";
    const perennial = await perennialBefore(isUnderRoot ? upstream.baseUrl.replace("/v1", "") : upstream.baseUrl, {
      upstream: fixture.upstream,
      warmup: { path: fixture.path, request: { model: "m" } },
    });
    await eventually(() => ready(perennial)).toBe(200);
    expect(upstream.requests[0]?.head).toContain(`POST ${fixture.path} `);
    expect(upstream.requests[0]?.json).toEqual({ model: "m", stream: false, ...fields });
    expect(/anthropic-version: (\S+)/.exec(upstream.requests[0]?.head ?? "")?.[1]).toBe(version);
  });

  test("a question of the user's own is asked as it is", async ({ startUpstream, perennialBefore }) => {
    const upstream = await startUpstream((socket) => socket.end(jsonReply("null")));
    const request = { model: "m", messages: [{ role: "user", content: "1+1=?" }], max_tokens: 5 };
    await perennialBefore(upstream.baseUrl, { warmup: { request } });
    await eventually(() => upstream.requests[0]?.json).toEqual({ ...request, stream: false });
  });

  test.for<[PersonalityName, string | undefined, object]>([
    ["chatchat-0.2", "/chat/chat", {}],
    ["chatchat-0.2", "/chat/agent_chat", {}],
    ["chatchat-0.2", "/other/completion", {}],
    ["chatchat-0.2", "/chat/knowledge_base_chat", { knowledge_base_name: "samples" }],
    ["chatchat-0.3", undefined, { model: "m" }],
    ["chatchat-0.3", "/chat/chat/completions", { model: "m" }],
    ["chatchat-0.3", "/chat/kb_chat", { kb_name: "samples" }],
    ["chatchat-0.3", "/knowledge_base/chat/completions", { kb_name: "samples" }],
  ])("%s is warm after an answer at %s", async ([as, path, request], { closing, perennialBefore }) => {
    const server = closing(createChaosServer({ as, tokenDelayMs: 1, firstRequestMs: 0 }));
    const { url } = await server.listen();
    const perennial = await perennialBefore(url, { upstream: { profile: "chatchat" }, warmup: { path, request } });
    await eventually(() => ready(perennial)).toBe(200);
  });

  test.for([
    ["an empty stream", []],
    ["a stream that is cut", FIXTURES.find(({ name }) => name === "chatchat-completions")?.events.slice(0, 2) ?? []],
  ])("%s is no answer to it", async ([_what, events], { startUpstream, perennialBefore }) => {
    const upstream = await startUpstream((socket) => sendFramed(socket, "chunked", events));
    const perennial = await perennialBefore(upstream.baseUrl.replace("/v1", ""), {
      upstream: { profile: "chatchat" },
      warmup: { path: "/chat/chat/completions" },
    });
    await eventually(() => warnings(perennial).length).toBe(1);
    expect(await ready(perennial)).toBe(503);
  });
});

describe("a path that is wrong", () => {
  const problemsOf = (settings: object): string[] => {
    const parsed = configSchema.safeParse(applyProfile(settings));
    return (parsed.error?.issues ?? []).map(({ path, message }) => `${path.join(".")}: ${message}`);
  };
  const baseUrl = "http://127.0.0.1:9";

  test("is refused with the paths that can be asked", () => {
    expect(problemsOf({ upstreams: [{ baseUrl }], warmup: { path: "/chat/chat" } })).toEqual([
      "warmup.path: expected a path at which this upstream is asked (/v1/chat/completions, /v1/completions, /v1/responses, /v1/messages)",
    ]);
    const [problem] = problemsOf({ upstreams: [{ baseUrl, profile: "chatchat" }], warmup: { path: "/v1/messages" } });
    expect(problem).toMatch(/^warmup\.path: expected .* \(\/chat\/chat, .*\/v1\/chat\/completions\)$/);
  });

  test("is refused beside other mistakes", () => {
    expect(problemsOf({ upstreams: [{ baseUrl }], warmup: { path: "/x" }, port: -1 })).toHaveLength(2);
    expect(problemsOf({ warmup: { path: "/x", on: "never" } }).join()).not.toContain("expected a path at");
  });

  test("is told once, with the keys to change, when only the upstream knows that it is wrong", async ({
    closing,
    perennialBefore,
  }) => {
    const server = closing(createChaosServer({ as: "chatchat-0.2", firstRequestMs: 0 }));
    const { url } = await server.listen();
    const perennial = await perennialBefore(url, { upstream: { profile: "chatchat" }, warmup: { request: { model: "m" } } });
    await eventually(() => warnings(perennial).length).toBe(1);
    expect(warnings(perennial)[0]).toMatchObject({
      path: "/v1/chat/completions",
      failure: "upstream_status",
      status: 404,
      delayMs: 30_000,
      msg: expect.stringMatching(/refuses.*warmup\.path.*warmup\.request/),
    });
    await sleep(1_500);
    expect(warnings(perennial)).toHaveLength(1);
  });

  test.for([401, 403])("a %i asks for a key instead", async (status, { startUpstream, perennialBefore }) => {
    const upstream = await startUpstream((socket) => socket.write(jsonReply("{}", `${status} No`)));
    const perennial = await perennialBefore(upstream.baseUrl, { warmup: {} });
    await eventually(() => warnings(perennial)[0]?.msg).toMatch(/apiKey/);
  });

  test("a 503 is no refusal: the upstream is still loading, and is asked again soon", async ({
    startUpstream,
    perennialBefore,
  }) => {
    const upstream = await startUpstream((socket, { number }) =>
      socket.write(number === 1 ? jsonReply("{}", "503 Loading") : ANSWER),
    );
    const perennial = await perennialBefore(upstream.baseUrl, { warmup: {} });
    await eventually(() => ready(perennial)).toBe(200);
  });
});
