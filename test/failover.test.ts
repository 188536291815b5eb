/** Several upstreams: who is asked, in place of whom, under which name, and with whose key. */
import { describe, expect } from "vitest";
import { chat, readStream, send } from "./support/client.ts";
import { chatAnswer, chatEvents, frame, jsonReply, NOBODY } from "./support/raw-upstream.ts";
import { type InFrontOf, replying, type Settings, test } from "./support/several-upstreams.ts";
import type { Answer, Reply } from "./support/test.ts";

const whole: Reply = frame("chunked", chatEvents(["Hello"]));
const cut: Answer = (socket) => socket.end(frame("chunked", chatEvents(["Hel"], { finish: null, done: false })).subarray(0, 60));
const refusal = (status: string, headers = "", body = '{"error":{"message":"no","type":"t","code":null}}'): string =>
  jsonReply(body, status, headers);

describe("the next upstream answers, unseen", () => {
  test.for<readonly [string, Reply]>([
    ["is not there", NOBODY],
    ["is busy", refusal("503 Busy")],
    ["cuts its stream", cut],
    ["sends nothing", frame("chunked", chatEvents([]))],
    ["fails", refusal("500 Oops")],
    ["has too many requests, and names a long wait", refusal("429 Many", "retry-after: 3000\r\n")],
    ["does not have the model", refusal("404 None")],
    ["has an empty account", refusal("402 Pay")],
    ["forbids it", refusal("403 No")],
  ])("when the first %s", async ([_how, reply], { inFrontOf }) => {
    const { perennial } = await inFrontOf([reply, whole], { retry: { backoff: { initial: "5s", jitter: false } } });
    const began = performance.now();
    const seen = await chat(perennial.baseUrl);
    expect(readStream(seen.body)).toMatchObject({ text: "Hello", done: true });
    expect(performance.now() - began, "without a wait").toBeLessThan(4_500);
    expect(seen.headers).toMatchObject({ "x-perennial-upstream": "b", "x-perennial-attempts": "2" });
    expect(await perennial.exchangeLog()).toMatchObject({
      outcome: "recovered",
      attempts: [{ upstream: "a" }, { upstream: "b" }],
    });
  });
});

test("a request that is wrong in itself is not asked of another upstream", async ({ inFrontOf }) => {
  const { perennial, upstreams } = await inFrontOf([refusal("400 Bad"), whole]);
  expect(await chat(perennial.baseUrl)).toMatchObject({ status: 400 });
  expect(upstreams[1]?.requests).toEqual([]);
});

test("failover.codes asks another one also then, and failover.on says after what", async ({ inFrontOf }) => {
  const coded = await inFrontOf([refusal("400 Bad"), whole], { failover: { codes: [400] } });
  expect((await chat(coded.perennial.baseUrl)).headers).toMatchObject({ "x-perennial-upstream": "b" });
  const narrow = await inFrontOf([refusal("404 None"), whole], { failover: { on: ["unreachable"] } });
  expect(await chat(narrow.perennial.baseUrl)).toMatchObject({ status: 404 });
  expect(narrow.upstreams[1]?.requests).toEqual([]);
});

test("attempts are counted over all, and one after the other is asked", async ({ inFrontOf }) => {
  const { perennial, upstreams } = await inFrontOf([refusal("500 Oops"), refusal("500 Oops")]);
  const seen = await chat(perennial.baseUrl);
  expect(seen).toMatchObject({ status: 500, headers: { "x-perennial-attempts": "3", "x-should-retry": "false" } });
  expect(upstreams.map(({ requests }) => requests.length)).toEqual([2, 1]);
});

test("when all refuse, the client is told what the preferred one said", async ({ inFrontOf }) => {
  const { perennial } = await inFrontOf([refusal("402 Pay"), refusal("401 Who")]);
  const headers = { "x-perennial-upstream": "a", "x-perennial-attempts": "2" };
  expect(await chat(perennial.baseUrl)).toMatchObject({ status: 402, headers });
});

test("a client that leaves while the second is asked has left, whatever the first said", async ({ inFrontOf }) => {
  const silent: Answer = () => undefined;
  const { perennial, upstreams } = await inFrontOf([refusal("500 Oops"), silent]);
  const leaving = new AbortController();
  const body = JSON.stringify({ model: "m", stream: true, messages: [] });
  const asked = fetch(`${perennial.baseUrl}/chat/completions`, { method: "POST", body, signal: leaving.signal });
  asked.catch(() => {});
  await expect.poll(() => upstreams[1]?.requests.length).toBe(1);
  leaving.abort();
  expect(await perennial.exchangeLog()).toMatchObject({ outcome: "cancelled" });
});

test("when all are out for retry.outage, it is circuit_open, with a time to come back", async ({ inFrontOf }) => {
  const { perennial, upstreams } = await inFrontOf([NOBODY, refusal("503 Busy")], {
    retry: { outage: "300ms", backoff: { initial: "20ms", jitter: false } },
  });
  const seen = await chat(perennial.baseUrl);
  expect(seen.status).toBe(503);
  expect(JSON.parse(seen.body)).toMatchObject({
    error: { code: "circuit_open", message: expect.stringContaining("HTTP status 503") },
  });
  expect(Number(seen.headers["retry-after"])).toBeGreaterThan(0);
  expect(upstreams[0]?.requests.length).toBeGreaterThan(1);
});

test("one that is down is left alone by the others, and gets its share again when it is back", async ({ inFrontOf }) => {
  let isDown = true;
  const flaky: Answer = (socket, request) => (isDown ? socket.write(refusal("503 Busy")) : replying(whole)(socket, request));
  const { perennial, upstreams } = await inFrontOf([flaky, whole], {
    retry: { outage: "20s", backoff: { initial: "2s", max: "2s", jitter: false } },
  });
  for (let count = 0; count < 10; count++) expect((await chat(perennial.baseUrl)).headers["x-perennial-upstream"]).toBe("b");
  expect(upstreams[0]?.requests.length, "requests to one that is down").toBeLessThan(5);
  isDown = false;
  await expect.poll(async () => (await chat(perennial.baseUrl)).headers["x-perennial-upstream"]).toBe("a");
  expect((await chat(perennial.baseUrl)).headers["x-perennial-upstream"]).toBe("a");
});

describe("a client's own key", () => {
  const CLIENT = {
    authorization: "Bearer sk-client",
    "x-api-key": "sk-client",
    cookie: "sk-client",
    "openai-organization": "sk-client",
  };

  test("never reaches the second of two hosts", async ({ inFrontOf }) => {
    const { perennial, upstreams } = await inFrontOf([refusal("500 Oops"), refusal("401 Who")]);
    const seen = await chat(perennial.baseUrl, {}, { headers: CLIENT });
    expect(seen.status, "what the first said; that the second wants a key is not the client's fault").toBe(500);
    const [first, second] = upstreams;
    expect(first?.requests[0]?.head).toContain("sk-client");
    expect(second?.requests.length).toBeGreaterThan(0);
    for (const { head } of second?.requests ?? []) expect(head).not.toContain("sk-client");
  });

  test("goes to the first without a key of ours, wherever that stands in the list", async ({ inFrontOf }) => {
    const keyed = { reply: refusal("500 Oops"), settings: { apiKey: "sk-ours" } };
    const { perennial, upstreams } = await inFrontOf([keyed, whole]);
    await chat(perennial.baseUrl, {}, { headers: CLIENT });
    expect(upstreams[0]?.requests[0]?.head).toContain("Bearer sk-ours");
    expect(upstreams[0]?.requests[0]?.head).not.toContain("sk-client");
    expect(upstreams[1]?.requests[0]?.head).toContain("Bearer sk-client");
  });

  test("goes to another one only with clientKey: true", async ({ inFrontOf }) => {
    const same = { reply: whole, settings: { clientKey: true } };
    const { perennial, upstreams } = await inFrontOf([refusal("500 Oops"), same]);
    await chat(perennial.baseUrl, {}, { headers: CLIENT });
    expect(upstreams[1]?.requests[0]?.head).toContain("Bearer sk-client");
  });

  test("that is refused is the client's to mend: no other is asked", async ({ inFrontOf }) => {
    const { perennial, upstreams } = await inFrontOf([refusal("401 Who"), whole]);
    expect(await chat(perennial.baseUrl, {}, { headers: CLIENT })).toMatchObject({ status: 401 });
    expect(upstreams[1]?.requests).toEqual([]);
  });

  test("a key of ours that is refused is not: another upstream is asked", async ({ inFrontOf }) => {
    const keyed = { reply: refusal("401 Who"), settings: { apiKey: "sk-ours" } };
    const { perennial } = await inFrontOf([keyed, whole]);
    expect((await chat(perennial.baseUrl, {}, { headers: CLIENT })).headers["x-perennial-upstream"]).toBe("b");
  });
});

describe("models", () => {
  const qwen = chatEvents(["Hello"]).map((event) => event.replace('"m"', '"qwen2.5-72b"'));

  test("are asked for by the upstream's name, and answered by the client's", async ({ inFrontOf }) => {
    const mapped = { reply: frame("chunked", qwen), settings: { models: { "gpt-4o": "qwen2.5-72b" } } };
    const { perennial, upstreams } = await inFrontOf([mapped, whole]);
    const seen = await chat(perennial.baseUrl, { model: "gpt-4o", seed: 12345678901234567890n.toString() });
    expect(upstreams[0]?.requests[0]?.json).toMatchObject({ model: "qwen2.5-72b", stream: true });
    expect(seen.body).not.toContain("qwen");
    const models = readStream(seen.body)
      .data.filter((data) => data !== "[DONE]")
      .map((data) => JSON.parse(data).model);
    expect(new Set(models)).toEqual(new Set(["gpt-4o"]));
  });

  test("are named so also in an answer that is not streamed", async ({ inFrontOf }) => {
    const reply = jsonReply(chatAnswer("Hello").replace('"m"', '"qwen2.5-72b"'));
    const { perennial, upstreams } = await inFrontOf([{ reply, settings: { models: { "*": "qwen2.5-72b" } } }]);
    const seen = await chat(perennial.baseUrl, { model: "gpt-4o", stream: false });
    expect(upstreams[0]?.requests[0]?.json.model).toBe("qwen2.5-72b");
    expect(JSON.parse(seen.body)).toMatchObject({ model: "gpt-4o", choices: [{ message: { content: "Hello" } }] });
  });

  test("without a map, go as they came, byte for byte both ways", async ({ inFrontOf }) => {
    const odd = chatEvents(["Hello"]).map((event) => event.replace('"model":"m"', '"model" :  "m-2024"'));
    const { perennial, upstreams } = await inFrontOf([{ reply: frame("chunked", odd), settings: { models: { x: "y" } } }, whole]);
    const body = '{ "model":"m",  "stream":true, "messages":[] }';
    const seen = await send(`${perennial.baseUrl}/chat/completions`, { method: "POST", body });
    expect(upstreams[0]?.requests[0]?.body).toBe(body);
    expect(seen.body).toBe(odd.join(""));
  });

  test("that an upstream does not serve are asked of those that do", async ({ inFrontOf }) => {
    const only = { reply: whole, settings: { only: ["qwen*"] } };
    const { perennial, upstreams } = await inFrontOf([only, { reply: whole, settings: { only: ["gpt-?", "gpt-4*"] } }]);
    expect((await chat(perennial.baseUrl, { model: "gpt-4o" })).headers["x-perennial-upstream"]).toBe("b");
    expect((await chat(perennial.baseUrl, { model: "qwen-2" })).headers["x-perennial-upstream"]).toBe("a");
    const seen = await chat(perennial.baseUrl, { model: "claude" });
    expect(seen.status).toBe(404);
    expect(JSON.parse(seen.body)).toMatchObject({ error: { code: "not_found", message: expect.stringContaining('"claude"') } });
    expect(upstreams.map(({ requests }) => requests.length)).toEqual([1, 1]);
  });
});

test("a path is asked of those that have it: Chatchat's own of Chatchat, others also where they are under /v1", async ({
  startUpstream,
  startPerennial,
}) => {
  const chatchat = await startUpstream(replying(jsonReply("{}")));
  const model = await startUpstream(replying(whole));
  const perennial = await startPerennial(undefined, {
    upstreams: [
      { name: "model", baseUrl: model.baseUrl },
      { name: "chatchat", baseUrl: chatchat.baseUrl.replace("/v1", ""), profile: "chatchat" },
    ],
  });
  const seen = await chat(perennial.baseUrl);
  expect(seen.headers["x-perennial-upstream"]).toBe("model");
  expect(model.requests[0]?.head).toContain("POST /v1/chat/completions HTTP/1.1");
  await send(`${perennial.url}/knowledge_base/list_knowledge_bases`);
  expect(chatchat.requests[0]?.head).toContain("GET /knowledge_base/list_knowledge_bases HTTP/1.1");
  expect(model.requests).toHaveLength(1);
});

describe("the list of models", () => {
  const list = (...ids: string[]): string =>
    jsonReply(JSON.stringify({ object: "list", data: ids.map((id) => ({ id, object: "model", created: 1, owned_by: "o" })) }));
  const idsOf = (body: string): string[] => JSON.parse(body).data.map(({ id }: { id: string }) => id);

  test("is that of all upstreams together, other names included, without what they do not serve", async ({ inFrontOf }) => {
    const { perennial, upstreams } = await inFrontOf([
      list("gpt-4o", "shared"),
      {
        reply: list("qwen2.5-72b", "shared", "hidden"),
        settings: { models: { mini: "qwen2.5-72b", "*": "x" }, only: ["qwen*"] },
      },
      NOBODY,
    ]);
    const seen = await send(`${perennial.baseUrl}/models`, { headers: { authorization: "Bearer sk-client" } });
    expect(seen.status).toBe(200);
    expect(idsOf(seen.body)).toEqual(["gpt-4o", "shared", "qwen2.5-72b", "mini"]);
    expect(JSON.parse(seen.body).data[3]).toMatchObject({ id: "mini", object: "model", owned_by: "o" });
    expect(upstreams[1]?.requests[0]?.head).not.toContain("sk-client");
    expect(await perennial.exchangeLog()).toMatchObject({
      outcome: "complete",
      attempts: [{}, {}, { failure: "upstream_unreachable" }],
    });
  });

  test("is passed on byte for byte where there is one upstream, and fails where none has one", async ({ inFrontOf }) => {
    const odd = jsonReply('{ "data" : [ {"id":"m"} ] }');
    const one = await inFrontOf([odd]);
    expect((await send(`${one.perennial.baseUrl}/models`)).body).toBe('{ "data" : [ {"id":"m"} ] }');
    const none = await inFrontOf([refusal("401 Who"), NOBODY]);
    expect(await send(`${none.perennial.baseUrl}/models`)).toMatchObject({ status: 401 });
  });
});

describe("shares", () => {
  const askedOf = async (inFrontOf: InFrontOf, own: readonly Settings[], count: number): Promise<number[]> => {
    const { perennial, upstreams } = await inFrontOf(own.map((settings) => ({ reply: whole, settings })));
    for (let asked = 0; asked < count; asked++) await chat(perennial.baseUrl);
    return upstreams.map(({ requests }) => requests.length);
  };

  test("the order is the preference, without a word of more", async ({ inFrontOf }) => {
    expect(await askedOf(inFrontOf, [{}, {}], 6)).toEqual([6, 0]);
  });

  test("the lower priority goes first, wherever it stands", async ({ inFrontOf }) => {
    expect(await askedOf(inFrontOf, [{ priority: 1 }, { priority: 0 }], 6)).toEqual([0, 6]);
  });

  test("weights share among those of one priority", async ({ inFrontOf }) => {
    const [three = 0, one = 0] = await askedOf(inFrontOf, [{ weight: 3 }, { weight: 1 }], 40);
    expect(three).toBeGreaterThanOrEqual(28);
    expect(one).toBeGreaterThanOrEqual(8);
  });

  test("of equals the one with fewer open streams is asked", async ({ inFrontOf }) => {
    const open: Answer = (socket) =>
      socket.write(frame("chunked", chatEvents(["Hello"], { finish: null, done: false })).subarray(0, -5));
    const settings = { priority: 0 };
    const { perennial, upstreams } = await inFrontOf([
      { reply: open, settings },
      { reply: open, settings },
    ]);
    const streams = Array.from({ length: 6 }, () =>
      chat(
        perennial.baseUrl,
        {},
        {
          onRead: (body, abort) => body.includes("Hello") && upstreams.every(({ requests }) => requests.length === 3) && abort(),
        },
      ).catch(() => {}),
    );
    await expect.poll(() => upstreams.map(({ requests }) => requests.length)).toEqual([3, 3]);
    for (const { sockets } of upstreams) for (const socket of sockets) socket.destroy();
    await Promise.all(streams);
  });
});

describe("what an upstream has made is asked of that upstream", () => {
  const response = (id: string): string =>
    jsonReply(
      JSON.stringify({
        id,
        object: "response",
        status: "completed",
        model: "m",
        output: [{ type: "message", role: "assistant", content: [{ type: "output_text", text: "Hello" }] }],
      }),
    );
  const post = (url: string, body: object) =>
    send(url, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });

  test("a response, by its id in the body and in the path; a file, by its id", async ({ inFrontOf }) => {
    let isDown = true;
    const first: Answer = (socket, request) => {
      if (isDown) socket.write(refusal("500 Oops"));
      else if (request.head.startsWith("POST /v1/files")) socket.write(jsonReply('{"id":"file-1","object":"file"}'));
      else socket.write(response("resp_a"));
    };
    const { perennial } = await inFrontOf([first, response("resp_b")]);
    const made = await post(`${perennial.baseUrl}/responses`, { model: "m", input: "hi" });
    expect(made.headers["x-perennial-upstream"]).toBe("b");
    isDown = false;
    const later = await post(`${perennial.baseUrl}/responses`, { model: "m", input: "hi", previous_response_id: "resp_b" });
    expect(later.headers["x-perennial-upstream"]).toBe("b");
    expect((await send(`${perennial.baseUrl}/responses/resp_b`)).headers["x-perennial-upstream"]).toBe("b");
    expect((await post(`${perennial.baseUrl}/responses`, { model: "m", input: "hi" })).headers["x-perennial-upstream"]).toBe("a");
    await post(`${perennial.baseUrl}/files`, {});
    expect((await send(`${perennial.baseUrl}/files/file-1`)).headers["x-perennial-upstream"]).toBe("a");
  });
});
