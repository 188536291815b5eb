/** Event streams that pass through unread (pictures, audio, a response that is fetched again): heartbeats, errors, patience. */
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import OpenAI, { APIError } from "openai";
import { afterEach, describe, expect, test } from "vitest";
import { send } from "./support/client.ts";
import { startPerennial, type TestPerennial } from "./support/perennial.ts";
import { type RawUpstream, SSE_HEAD, startRawUpstream } from "./support/raw-upstream.ts";

let upstream: RawUpstream;
let perennial: TestPerennial;

afterEach(async () => {
  await perennial.close();
  await upstream.close();
});

type Step = string | number | "fin" | "rst";

const CHUNKED = `${SSE_HEAD}transfer-encoding: chunked\r\n\r\n`;
const chunk = (text: string): string => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
const LAST = "0\r\n\r\n";
const PARTIAL = 'event: image_generation.partial_image\ndata: {"type":"image_generation.partial_image","b64_json":"AAAA"}\n\n';
const DONE = 'event: image_generation.completed\ndata: {"type":"image_generation.completed","b64_json":"BBBB"}\n\n';
const SDK = { "user-agent": "OpenAI/Python 3.52.0" };

/** Numbers are pauses in milliseconds. */
async function serve(steps: readonly Step[], settings: Record<string, unknown> = {}): Promise<void> {
  const play = async (socket: Socket): Promise<void> => {
    for (const step of steps) {
      if (socket.destroyed) return;
      if (typeof step === "number") await sleep(step);
      else if (step === "fin") socket.end();
      else if (step === "rst") socket.resetAndDestroy();
      else socket.write(step);
    }
  };
  upstream = await startRawUpstream(play);
  perennial = await startPerennial(upstream.baseUrl, settings);
}

const FAST = { heartbeat: { after: "60ms", every: "60ms" } };
const ask = (headers: Record<string, string> = {}) =>
  send(`${perennial.baseUrl}/images/generations`, { method: "POST", headers, body: '{"stream":true}' });

describe("silence", () => {
  test("before the first byte is no stall, however long, and is filled with heartbeats", async () => {
    await serve([CHUNKED, 700, chunk(PARTIAL), chunk(DONE), LAST], { timeouts: { idle: "200ms" }, ...FAST });
    const seen = await ask();
    expect(seen).toMatchObject({ status: 200, end: "clean" });
    expect(seen.body).toMatch(/^(: keep-alive\n\n)+event: image_generation\.partial_image\n/);
    expect(seen.body.replaceAll(": keep-alive\n\n", "")).toBe(PARTIAL + DONE);
    expect(await perennial.exchangeLog()).toMatchObject({ outcome: "complete", dialect: "passthrough" });
  });

  test("before the first byte of what is no stream at all is no stall either", async () => {
    await serve(["HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\ncontent-length: 3\r\n\r\n", 700, "abc"], {
      timeouts: { idle: "200ms" },
      ...FAST,
    });
    expect(await ask()).toMatchObject({ body: "abc", end: "clean" });
  });

  test("behind the first byte is one", async () => {
    await serve([CHUNKED, chunk(PARTIAL)], { timeouts: { idle: "200ms" } });
    const seen = await ask(SDK);
    expect(seen.body).toContain('"code":"stream_stalled"');
    expect(seen.end).toBe("clean");
  });
});

describe("a heartbeat", () => {
  test.each([
    ["in the middle of an event", [PARTIAL.slice(0, 60), PARTIAL.slice(60)]],
    ["between the event's lines", [PARTIAL.slice(0, PARTIAL.indexOf("data:")), PARTIAL.slice(PARTIAL.indexOf("data:"))]],
    ["between its last line and the blank one", [PARTIAL.slice(0, -1), "\n"]],
  ])("never goes out %s", async (_where, [first = "", second = ""]) => {
    await serve([CHUNKED, chunk(first), 400, chunk(second), LAST], FAST);
    expect(await ask()).toMatchObject({ body: PARTIAL, end: "clean" });
  });

  test.each([
    ["\n", "\n"],
    ["\r\n", "\r\n"],
    ["\r", "\r"],
  ])("goes out behind an event whose blank line came in another read (%j)", async (eol, blank) => {
    const event = `data: {"a":1}${eol}`;
    await serve([CHUNKED, chunk(event), 30, chunk(blank), 400, chunk(event + blank), LAST], FAST);
    const { body } = await ask();
    expect(body).toContain(": keep-alive\n\n");
    expect(body.replaceAll(": keep-alive\n\n", "")).toBe(event + blank + event + blank);
    expect(body.startsWith(event + blank)).toBe(true);
  });

  test("is a lone line behind an `id`, which makes an event of a block", async () => {
    const event = 'data: {"a":1}\n';
    await serve([CHUNKED, chunk(event), chunk("id"), 20, chunk(": 7\n\n"), 300, chunk(PARTIAL), LAST], FAST);
    const { body } = await ask();
    expect(body).toMatch(/id: 7\n\n(: keep-alive\n)+event:/);
  });

  test("is a lone line for Go's SDKs", async () => {
    await serve([CHUNKED, 300, chunk(PARTIAL), LAST], FAST);
    expect((await ask({ "x-stainless-lang": "go" })).body).toMatch(/^(: keep-alive\n)+event:/);
  });

  test.each([
    ["JSON", "application/json", '{"a":1}\n\n'],
    ["a text that is no stream", "text/plain", "Notes:\n\n"],
    ["audio", "audio/mpeg", "data: {}\n\n"],
  ])("never goes into %s", async (_what, type, text) => {
    const head = `HTTP/1.1 200 OK\r\ncontent-type: ${type}\r\ntransfer-encoding: chunked\r\n\r\n`;
    await serve([head, chunk(text), 300, chunk(text), LAST], FAST);
    expect(await ask()).toMatchObject({ body: text + text, end: "clean" });
  });

  test("never goes into a compressed stream, which keeps its length too", async () => {
    const head = `${SSE_HEAD}content-encoding: gzip\r\ncontent-length: 6\r\n\r\n`;
    await serve([head, "abc", 300, "def"], FAST);
    expect(await ask()).toMatchObject({ body: "abcdef", end: "clean", headers: { "content-length": "6" } });
  });

  test.each(["", "content-type: text/plain\r\n"])("goes into an event stream by another name (%j)", async (type) => {
    const head = `HTTP/1.1 200 OK\r\n${type}transfer-encoding: chunked\r\n\r\n`;
    await serve([head, chunk(PARTIAL), 300, chunk(DONE), LAST], FAST);
    expect((await ask()).body).toContain(`${PARTIAL}: keep-alive\n\n`);
  });
});

test("proxies on the way are told not to buffer an event stream", async () => {
  await serve([CHUNKED, chunk(DONE), LAST]);
  const { headers } = await ask();
  expect(headers).toMatchObject({ "content-type": "text/event-stream", "x-accel-buffering": "no" });
  expect(headers["cache-control"]).toBe("no-cache, no-transform");
});

test("HEAD and an answer with a length keep their headers", async () => {
  await serve(["HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\ncontent-length: 3\r\n\r\nabc"]);
  expect((await ask()).headers["x-accel-buffering"]).toBeUndefined();
});

describe("a break", () => {
  test.each([
    ["an SDK", SDK, "clean"],
    ["a loop", { "user-agent": "python-requests/2.34.2" }, "cut"],
  ])("between two events is told in an event (%s)", async (_name, headers, end) => {
    await serve([CHUNKED, chunk(PARTIAL), 50, "rst"]);
    const seen = await ask(headers);
    expect(seen.body.startsWith(`${PARTIAL}event: error\ndata: {"type":"error","code":"stream_truncated"`)).toBe(true);
    expect(seen.body).toMatch(/"message":"Incomplete stream: [^"]+ The answer is incomplete, after 1 attempt\./);
    expect(seen.end).toBe(end);
    expect(await perennial.exchangeLog()).toMatchObject({ outcome: "interrupted", failure: "stream_truncated" });
  });

  test.each([PARTIAL.slice(0, -1), PARTIAL.slice(0, 50)])("in an event is a cut and nothing more (%j)", async (text) => {
    await serve([CHUNKED, chunk(text), 50, "rst"]);
    expect(await ask(SDK)).toMatchObject({ body: text, end: "cut" });
  });

  test("raises in openai-node", async () => {
    await serve([CHUNKED, chunk(PARTIAL), 50, "rst"]);
    const client = new OpenAI({ baseURL: perennial.baseUrl, apiKey: "x", maxRetries: 0 });
    const stream = await client.images.generate({ model: "gpt-image-1", prompt: "x", stream: true });
    const types: string[] = [];
    const error = await (async () => {
      for await (const event of stream) types.push(event.type);
    })().catch((thrown: unknown) => thrown);
    expect(types).toEqual(["image_generation.partial_image"]);
    expect(error).toBeInstanceOf(APIError);
    expect(error).toMatchObject({ code: "stream_truncated" });
  });
});

test("a response that is fetched again has heartbeats and an error event as well", async () => {
  const event = 'event: response.in_progress\ndata: {"type":"response.in_progress","sequence_number":8}\n\n';
  await serve([CHUNKED, 300, chunk(event), 50, "rst"], { timeouts: { idle: "200ms" }, ...FAST });
  const seen = await send(`${perennial.baseUrl}/responses/resp_1?stream=true&starting_after=7`, { headers: SDK });
  expect(seen.body).toMatch(/^(: keep-alive\n\n)+event: response\.in_progress\n.*\n\nevent: error\n/);
  expect(seen.end).toBe("clean");
});

test("an upload that passes through may be larger than limits.maxBodyBytes", async () => {
  let received = 0;
  const { createServer } = await import("node:http");
  const server = createServer((request, response) => {
    request.on("data", (data: Buffer) => {
      received += data.length;
    });
    request.on("end", () => response.end("{}"));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  upstream = await startRawUpstream(() => {});
  const address = server.address() as { port: number };
  perennial = await startPerennial(`http://127.0.0.1:${address.port}/v1`, { limits: { maxBodyBytes: "1KiB" } });
  const body = Buffer.alloc(3_000_000, "x");
  expect(await send(`${perennial.baseUrl}/files`, { method: "POST", body })).toMatchObject({ status: 200 });
  const chunked = { "transfer-encoding": "chunked" };
  expect(await send(`${perennial.baseUrl}/files`, { method: "POST", body, headers: chunked })).toMatchObject({ status: 200 });
  expect(received).toBe(2 * body.length);
  server.closeAllConnections();
  server.close();
});
