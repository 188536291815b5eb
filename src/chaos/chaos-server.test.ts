/** The sandbox upstream as its clients and its tests meet it: endpoints, choice of faults, framing, leaving, closing. */
import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, describe, expect, it, vi } from "vitest";
import { ANSWER, TOKENS } from "./answer.ts";
import { type ChaosServer, type ChaosServerOptions, createChaosServer } from "./chaos-server.ts";
import { dataOf, type RawRequest, rawRequest, textOf } from "./fixtures/raw-client.ts";
import type { Framing } from "./framing.ts";
import { FAULTS } from "./registry.ts";

const servers: ChaosServer[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

async function start(options: ChaosServerOptions = {}) {
  const server = createChaosServer({ tokenDelayMs: 0, ...options });
  servers.push(server);
  const { port, url } = await server.listen();
  const ask = (body: unknown, more: RawRequest = {}) => rawRequest(port, { body, ...more });
  return { server, port, url, ask };
}

const chat = { model: "any-model", stream: true, messages: [{ role: "user", content: "Hello" }] };

describe("endpoints", () => {
  it("stream the answer in small events, role first, [DONE] last", async () => {
    const { ask, url, port } = await start();
    expect(url).toBe(`http://127.0.0.1:${port}/v1`);
    const reply = await ask(chat);
    const data = dataOf(reply.body);
    expect(reply.headers["content-type"]).toBe("text/event-stream; charset=utf-8");
    expect(data).toHaveLength(TOKENS.length + 3);
    expect(JSON.parse(data[0] ?? "")).toMatchObject({
      id: expect.stringMatching(/^chatcmpl-/),
      object: "chat.completion.chunk",
      model: "any-model",
      choices: [{ index: 0, delta: { role: "assistant", content: "" }, finish_reason: null }],
    });
    expect(JSON.parse(data.at(-2) ?? "").choices).toEqual([{ index: 0, delta: {}, finish_reason: "stop", logprobs: null }]);
    expect(textOf(reply.body)).toBe(ANSWER);
    expect(ANSWER).toMatch(/细水长流.*é.*🌊/u);
  });

  it("send a usage chunk when it was asked for, and null usage before it", async () => {
    const { ask } = await start();
    const data = dataOf((await ask({ ...chat, stream_options: { include_usage: true } })).body);
    expect(JSON.parse(data[3] ?? "").usage).toBeNull();
    const last = JSON.parse(data.at(-2) ?? "");
    expect(last.choices).toEqual([]);
    expect(last.usage.total_tokens).toBe(last.usage.prompt_tokens + TOKENS.length);
  });

  it("interleave n choices, each with its own finish", async () => {
    const { ask } = await start();
    const reply = await ask({ ...chat, n: 3 });
    const choices = dataOf(reply.body)
      .slice(0, -1)
      .map((data) => JSON.parse(data).choices[0]);
    expect(choices.slice(3, 9).map((choice) => choice.index)).toEqual([0, 1, 2, 0, 1, 2]);
    expect(choices.filter((choice) => choice.finish_reason === "stop").map((choice) => choice.index)).toEqual([0, 1, 2]);
    expect(JSON.parse((await ask({ ...chat, n: 3, stream: false })).body).choices).toHaveLength(3);
  });

  it("call the first tool that the client offers", async () => {
    const { ask } = await start();
    const tools = [{ type: "function", function: { name: "search_library" } }];
    expect((await ask({ ...chat, model: "chaos/tools", tools })).body).toContain('"name":"search_library"');
  });

  it("list every fault as a model", async () => {
    const { ask } = await start();
    const ids = JSON.parse((await ask(undefined, { method: "GET", path: "/v1/models" })).body).data.map(
      (model: { id: string }) => model.id,
    );
    expect(ids).toEqual(["perennial-sandbox", ...FAULTS.map((fault) => `chaos/${fault.name}`)]);
  });

  it("embed the same text in the same way, as numbers or as base64, and can be broken too", async () => {
    const { ask } = await start();
    const path = "/v1/embeddings";
    const numbers = JSON.parse((await ask({ model: "e", input: ["细水", "长流", "细水"] }, { path })).body);
    const [first, second, third] = numbers.data.map((item: { embedding: number[] }) => item.embedding);
    expect(first).toHaveLength(8);
    expect(first).toEqual(third);
    expect(first).not.toEqual(second);
    const base64 = JSON.parse((await ask({ model: "e", input: "细水", encoding_format: "base64" }, { path })).body).data[0]
      .embedding;
    expect(Buffer.from(base64, "base64").readFloatLE(4)).toBe(first[1]);
    expect((await ask({ model: "chaos/503", input: "x" }, { path })).status).toBe(503);
  });

  it("refuse what they do not know in OpenAI's error shape", async () => {
    const { ask } = await start();
    const unknown = await ask({}, { path: "/v1/nothing?x=1" });
    expect(unknown.status).toBe(404);
    expect(JSON.parse(unknown.body).error).toMatchObject({
      message: "Invalid URL (POST /v1/nothing)",
      type: "invalid_request_error",
    });
    for (const body of ["{", "[]", "null", ""]) expect((await ask(body)).status).toBe(400);
  });
});

describe("the choice of a fault", () => {
  it("takes the header before the model", async () => {
    const { ask } = await start();
    expect((await ask({ ...chat, model: "chaos/500" }, { headers: { "x-chaos": "503" } })).status).toBe(503);
    expect((await ask({ ...chat, model: "chaos/500" })).status).toBe(500);
  });

  it("goes through a sequence attempt by attempt and begins again after its end", async () => {
    const { ask } = await start();
    const statuses: (number | undefined)[] = [];
    for (let i = 0; i < 7; i++) statuses.push((await ask({ ...chat, model: "chaos/500, 429:0,ok" })).status);
    expect(statuses).toEqual([500, 429, 200, 500, 429, 200, 500]);
  });

  it("counts an attempt without streaming to the same conversation, another body to another", async () => {
    const { ask } = await start();
    const body = { ...chat, model: "chaos/500,ok" };
    expect((await ask({ ...body, stream_options: { include_usage: true } })).status).toBe(500);
    expect((await ask({ ...body, messages: [] })).status).toBe(500);
    expect((await ask({ ...body, stream: false })).status).toBe(200);
  });

  it("answers 400 to an unknown fault and suggests the nearest name", async () => {
    const { ask } = await start();
    const reply = await ask({ ...chat, model: "chaos/ok,trunkate:3" });
    expect(reply.status).toBe(400);
    const { error } = JSON.parse(reply.body);
    expect(error.code).toBe("unknown_fault");
    expect(error.message).toContain('Unknown fault "trunkate". Did you mean "truncate"?');
    for (const fault of FAULTS) expect(error.message).toContain(fault.name);
  });

  it.each(["ok:1", "truncate:", "truncate:1.5", "truncate:-1", "flood:1XB", "slow:1h"])("answers 400 to %s", async (spec) => {
    const { ask } = await start();
    expect((await ask({ ...chat, model: `chaos/${spec}` })).status).toBe(400);
  });

  it("breaks the same requests in the same way with the same seed", async () => {
    const draw = async (seed: number) => {
      const { ask, server } = await start({ rate: 0.5, seed, stallMs: 1 });
      for (let i = 0; i < 30; i++) await ask(chat);
      return server.requests.map((request) => request.fault);
    };
    const [first, again, other] = [await draw(7), await draw(7), await draw(8)];
    expect(again).toEqual(first);
    expect(other).not.toEqual(first);
    expect(first).toContain("ok");
    expect(new Set(first).size).toBeGreaterThan(3);
  });

  it("leaves a request alone that names its own fault, whatever the rate", async () => {
    const { ask, server } = await start({ rate: 1, stallMs: 1 });
    await ask({ ...chat, model: "chaos/ok" });
    expect(server.requests[0]?.fault).toBe("ok");
  });
});

describe("framing", () => {
  const heads: Record<Framing, RegExp> = {
    chunked: /transfer-encoding: chunked/i,
    "chunked-close": /connection: close[\s\S]*transfer-encoding: chunked/i,
    "content-length": /content-length: \d{4,}/i,
    "close-delimited": /^(?![\s\S]*(?:transfer-encoding|content-length))[\s\S]*connection: close/i,
  };
  it.each(Object.entries(heads) as [Framing, RegExp][])("%s carries the whole answer", async (framing, pattern) => {
    const { ask } = await start({ framing });
    const reply = await ask({ ...chat, stream_options: { include_usage: true } });
    expect(reply.whole).toBe(true);
    expect(textOf(reply.body)).toBe(ANSWER);
    const head = reply.bytes.subarray(0, reply.bytes.indexOf("\r\n\r\n")).toString();
    expect(head).toMatch(pattern);
  });

  it("shows a cut to the client, except where only the close delimits the body", async () => {
    for (const [framing, whole] of [
      ["chunked", false],
      ["chunked-close", false],
      ["content-length", false],
      ["close-delimited", true],
    ] as const) {
      const { ask } = await start({ framing });
      for (const fault of ["truncate", "truncate-event"]) {
        expect((await ask({ ...chat, model: `chaos/${fault}` })).whole, `${framing} ${fault}`).toBe(whole);
      }
      expect((await ask({ ...chat, model: "chaos/eof" })).whole).toBe(true);
    }
  });

  it("keeps the connection for the next request after a whole answer", async () => {
    const { port } = await start();
    const socket = connect(port, "127.0.0.1");
    const body = JSON.stringify(chat);
    const bytes = `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
    // Both at once: the second is pipelined and must wait for the first.
    socket.write(bytes + bytes);
    let text = "";
    for await (const part of socket) {
      text += part;
      if (text.match(/\r\n0\r\n\r\n/g)?.length === 2) break;
    }
    expect(text.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(2);
    expect(text.indexOf("HTTP/1.1 200 OK", 1)).toBeGreaterThan(text.indexOf("[DONE]"));
  });
});

describe("pace", () => {
  it("waits between events, not before the first", async () => {
    // With a wait longer than the client's patience, the first comes all the same.
    const { ask: askPatient } = await start({ tokenDelayMs: 60_000 });
    const onData: RawRequest["onData"] = (socket, received) => {
      if (received > 500) socket.destroy();
    };
    expect((await askPatient(chat, { onData })).bytes.length).toBeGreaterThan(500);
    const { ask } = await start({ tokenDelayMs: 250 });
    const startedAt = performance.now();
    await ask({ ...chat, model: "chaos/eof:4" });
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(700);
  });

  it("sends no faster than the client reads", async () => {
    const { port, server } = await start();
    const before = process.memoryUsage().rss;
    const body = JSON.stringify({ ...chat, model: "chaos/flood:2GiB" });
    const socket = connect(port, "127.0.0.1");
    socket.pause();
    socket.write(`POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
    await delay(200);
    expect(process.memoryUsage().rss - before).toBeLessThan(100 * 1024 ** 2);
    socket.destroy();
    await vi.waitFor(() => expect(server.requests[0]?.abortedByClient).toBe(true));
  });
});

describe("requests", () => {
  it("are remembered with their headers and body, the latest only", async () => {
    const { ask, server } = await start({ keepRequests: 2 });
    for (const seed of [1, 2, 3]) await ask({ ...chat, seed }, { headers: { authorization: "Bearer sk-any" } });
    expect(server.requests).toHaveLength(2);
    expect(server.requests[1]).toMatchObject({
      method: "POST",
      path: "/v1/chat/completions",
      headers: { authorization: "Bearer sk-any" },
      body: { seed: 3, stream: true },
      at: expect.any(Number),
      fault: "ok",
      abortedByClient: false,
    });
  });

  it.each(["ok", "stall:2", "stall-headers", "stall-comments", "slow:5s", "hold-open"])(
    "tell when the client left during %s",
    async (spec) => {
      const { ask, server } = await start({ tokenDelayMs: 50, commentMs: 5 });
      await ask({ ...chat, model: `chaos/${spec}` }, { leaveAfterMs: 60 });
      await vi.waitFor(() => expect(server.requests[0]?.abortedByClient).toBe(true));
    },
  );

  it.each(["ok", "truncate", "reset", "close", "eof", "500"])("do not blame the client for %s", async (spec) => {
    const { ask, server } = await start();
    await ask({ ...chat, model: `chaos/${spec}` });
    await delay(5);
    expect(server.requests[0]?.abortedByClient).toBe(false);
  });
});

describe("close", () => {
  it("ends every open reply at once and leaves no socket or timer", async () => {
    const count = () => process.getActiveResourcesInfo().filter((name) => /^(TCP|Timeout)/.test(name)).length;
    const before = count();
    // Left to itself none of them would end while a test may last.
    const { server, port } = await start({ tokenDelayMs: 60_000 });
    const clients = ["ok", "stall", "stall-headers", "stall-comments", "slow:60s", "hold-open"].map((spec) => {
      const client = httpRequest({ port, path: "/v1/chat/completions", method: "POST", agent: false });
      client.on("error", () => {});
      client.on("response", (response) => response.on("error", () => {}).resume());
      client.end(JSON.stringify({ ...chat, model: `chaos/${spec}` }));
      return new Promise((resolve) => client.on("close", resolve));
    });
    await vi.waitFor(() => expect(server.requests).toHaveLength(clients.length));
    await server.close();
    await Promise.all(clients);
    expect(server.requests.some((request) => request.abortedByClient)).toBe(false);
    await vi.waitFor(() => expect(count()).toBeLessThanOrEqual(before));
  });

  it("is harmless before listen and when repeated", async () => {
    const server = createChaosServer();
    await server.close();
    await server.close();
  });

  it("rejects listen on a port that is taken", async () => {
    const { port } = await start();
    const second = createChaosServer();
    await expect(second.listen(port)).rejects.toThrow("EADDRINUSE");
    await second.close();
  });
});

describe("several upstreams on one port", () => {
  const path = (name: string): string => `/${name}/v1/chat/completions`;

  it("are asked under a letter each, and play what is meant for them", async () => {
    const { server, ask, port } = await start();
    const listened = await createListening();
    expect(listened.urlOf("b")).toBe(listened.url.replace("/v1", "/b/v1"));
    const model = "chaos/503@a+429:7@b";
    const statuses = [];
    for (const where of [path("a"), path("b"), path("c"), undefined]) {
      statuses.push((await ask({ ...chat, model }, where === undefined ? {} : { path: where })).status);
    }
    expect(statuses).toEqual([503, 429, 200, 200]);
    expect(server.requests.map(({ upstream, path: asked, fault }) => [upstream, asked, fault])).toEqual([
      ["a", "/v1/chat/completions", "503"],
      ["b", "/v1/chat/completions", "429:7"],
      ["c", "/v1/chat/completions", "ok"],
      [undefined, "/v1/chat/completions", "ok"],
    ]);
    expect((await rawRequest(port, { method: "GET", path: "/a" })).status).toBe(200);
    expect((await rawRequest(port, { method: "GET", path: "/a/v1/models?x=1" })).status).toBe(200);
    expect((await rawRequest(port, { method: "GET", path: "/ab/v1/models" })).status).toBe(404);
  });

  it("count the attempts of a sequence each by itself, and draw their own faults", async () => {
    const { server, ask } = await start({ rate: { a: 1 } });
    const of = async (name: string): Promise<number | undefined> =>
      (await ask({ ...chat, model: "chaos/500+ok" }, { path: path(name) })).status;
    expect([await of("a"), await of("b"), await of("a"), await of("b")]).toEqual([500, 500, 200, 200]);
    await ask(chat, { path: path("a") }).catch(() => {});
    await ask(chat, { path: path("b") });
    expect(server.requests.map(({ fault }) => fault).slice(-2)).toEqual([expect.not.stringMatching("^ok$"), "ok"]);
  });

  it("are made to fail and to be well again, whatever they are asked", async () => {
    const { server, ask, port } = await start({ fault: "503@a" });
    const of = async (name: string): Promise<number | undefined> => (await ask(chat, { path: path(name) })).status;
    expect([await of("a"), await of("b")]).toEqual([503, 200]);
    expect((await rawRequest(port, { method: "GET", path: "/a/v1/models" })).status, "also of its health").toBe(503);
    server.play("500");
    expect([await of("a"), await of("b")]).toEqual([500, 500]);
    expect((await ask({ ...chat, model: "chaos/ok" }, { path: path("a") })).status, "what is named goes first").toBe(200);
    server.play(undefined);
    expect(await of("a")).toBe(200);
    expect(() => server.play("nothing@a")).toThrow("Unknown fault");
    expect(() => server.play("503@first")).toThrow('"first" is no upstream');
  });

  async function createListening() {
    const server = createChaosServer();
    servers.push(server);
    return server.listen();
  }
});
