/** All that is held for clients has one bound, `limits.maxHeldBytes`, and nothing is held for an exchange that is over. */
import { connect } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { describe, expect } from "vitest";
import { configSchema } from "../src/config/schema.ts";
import { askSlowly, chat, readStream, send } from "./support/client.ts";
import type { TestPerennial } from "./support/perennial.ts";
import { sumOf } from "./support/prometheus.ts";
import { chatAnswer, chatEvents, jsonReply } from "./support/raw-upstream.ts";
import { BUSY, begin, open, STREAM_HEAD } from "./support/replies.ts";
import { type Answer, test } from "./support/test.ts";

const WHOLE = chatEvents(["你好", " there"]);
const event = (choice: object): string => `data: ${JSON.stringify({ id: "c", choices: [{ index: 0, ...choice }] })}\n\n`;
const chars = (count: number): string => "x".repeat(count);
const prompt = (count: number): object => ({ messages: [{ role: "user", content: chars(count) }] });

const heldIn = async ({ url }: TestPerennial): Promise<number> =>
  sumOf((await send(`${url}/metrics`)).body, "perennial_held_bytes");
const openIn = async ({ url }: TestPerennial): Promise<number> =>
  sumOf((await send(`${url}/metrics`)).body, "perennial_open_exchanges");

/** Promises so many bytes and sends all but the last. @returns its answer, as far as it comes. */
function uploadThatStops({ url }: TestPerennial, bytes: number): { readonly answer: () => string; leave(): void } {
  const socket = connect(Number(new URL(url).port), "127.0.0.1");
  let text = "";
  socket.on("data", (chunk) => {
    text += chunk;
  });
  socket.on("error", () => {});
  socket.write(
    `POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${bytes}\r\n\r\n`,
  );
  socket.write(chars(bytes - 1));
  return { answer: () => text, leave: () => socket.destroy() };
}

/** Answers requests of its own kind each in its way. */
const byModel =
  (answers: Readonly<Record<string, Answer>>): Answer =>
  (socket, request) =>
    answers[request.json?.model as string]?.(socket, request);

const GZIPPED_HEAD = Buffer.from(STREAM_HEAD.replace("\r\n\r\n", "\r\ncontent-encoding: gzip\r\n\r\n"));

const whole: Answer = (socket) => socket.end(STREAM_HEAD + WHOLE.join(""));

describe("nothing is held when an exchange has ended:", () => {
  const ends: Readonly<
    Record<string, { readonly upstream: Answer | string; readonly body?: object; readonly settings?: object }>
  > = {
    whole: { upstream: whole },
    "cut after the first content": { upstream: (socket) => socket.end(STREAM_HEAD + WHOLE[0] + WHOLE[1]) },
    "cut within an event": { upstream: (socket) => socket.end(`${STREAM_HEAD + WHOLE[0] + WHOLE[1]}data: {"choi`) },
    "a refusal of the upstream": { upstream: jsonReply(JSON.stringify({ error: { message: chars(5_000) } }), "400 Bad Request") },
    "an outage": { upstream: BUSY, settings: { retry: { outage: "50ms" } } },
    "an answer in JSON": { upstream: jsonReply(chatAnswer("你好")), body: { stream: false } },
    "an answer that was joined": { upstream: whole, body: { stream: false }, settings: { nonStreaming: "viaStream" } },
    "an answer in JSON to a stream request": { upstream: jsonReply(chatAnswer("你好")) },
    "a gate that opens whole": { upstream: whole, settings: { gate: { open: "whole" } } },
    "a tool call that was cut": {
      upstream: (socket) =>
        socket.end(
          STREAM_HEAD +
            WHOLE[0] +
            event({ delta: { tool_calls: [{ index: 0, id: "1", function: { name: "f", arguments: "{" } }] } }),
        ),
    },
    "a stream that came compressed": {
      upstream: (socket) => socket.end(Buffer.concat([GZIPPED_HEAD, gzipSync(WHOLE.join(""))])),
    },
    "a compressed stream that was cut": {
      upstream: (socket) => socket.end(Buffer.concat([GZIPPED_HEAD, gzipSync(WHOLE.join("")).subarray(0, -12)])),
    },
    "a request that is no JSON object": { upstream: whole, body: [] },
    "a deadline": { upstream: begin, settings: { timeouts: { total: "300ms" } } },
  };

  test.for(Object.entries(ends))("%s", async ([, { upstream, body, settings }], { serve }) => {
    const { perennial } = await serve(typeof upstream === "string" ? [upstream] : upstream, settings as Record<string, unknown>);
    await send(`${perennial.baseUrl}/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(Array.isArray(body) ? body : { model: "m", stream: true, ...prompt(10_000), ...body }),
    });
    await expect.poll(() => heldIn(perennial)).toBe(0);
  });

  test("a client that left in mid-stream, and one that left in its upload", async ({ serve }) => {
    const { perennial } = await serve(open(...WHOLE.slice(0, 2)));
    const upload = uploadThatStops(perennial, 100_000);
    const leaving = new AbortController();
    await askSlowly(perennial, "/v1/chat/completions", leaving.signal);
    await expect.poll(() => heldIn(perennial)).toBeGreaterThan(99_999);
    upload.leave();
    leaving.abort();
    await expect.poll(() => heldIn(perennial)).toBe(0);
  });

  test("one that began before a reload", async ({ serve }) => {
    const { perennial } = await serve(open(...WHOLE.slice(0, 2)));
    const leaving = new AbortController();
    await askSlowly(perennial, "/v1/chat/completions", leaving.signal);
    await expect.poll(() => heldIn(perennial)).toBeGreaterThan(0);
    const next = configSchema.parse({ upstreams: [{ baseUrl: "http://127.0.0.1:1/v1" }], limits: { maxHeldBytes: "64MiB" } });
    await perennial.reload(next);
    await expect.poll(() => heldIn(perennial)).toBeGreaterThan(0);
    leaving.abort();
    await expect.poll(() => heldIn(perennial)).toBe(0);
  });

  test("a body over limits.maxBodyBytes, and a compressed one", async ({ serve }) => {
    const { perennial } = await serve(whole, { limits: { maxBodyBytes: "64KiB" } });
    const upload = uploadThatStops(perennial, 60_000);
    await expect.poll(() => heldIn(perennial)).toBe(59_999);
    upload.leave();
    const post = { method: "POST", body: chars(70_000), headers: { "transfer-encoding": "chunked" } };
    expect(await send(`${perennial.baseUrl}/chat/completions`, post)).toMatchObject({ status: 413 });
    const gzip = { method: "POST", body: "no gzip", headers: { "content-encoding": "gzip" } };
    expect(await send(`${perennial.baseUrl}/chat/completions`, gzip)).toMatchObject({ status: 400 });
    await expect.poll(() => heldIn(perennial)).toBe(0);
  });

  test("a passed-through body", async ({ serve }) => {
    const { perennial } = await serve([jsonReply(chars(500_000))]);
    expect((await send(`${perennial.baseUrl}/files/1`)).body).toHaveLength(500_000);
    await expect.poll(() => heldIn(perennial)).toBe(0);
  });
});

describe("beyond limits.maxHeldBytes", () => {
  test("a newcomer is refused, and what runs is not touched", async ({ serve }) => {
    let finish = (): void => {};
    const { perennial, upstream } = await serve(
      (socket) => {
        begin(socket);
        finish = () => socket.end(WHOLE.join(""));
      },
      { limits: { maxHeldBytes: "1MiB" } },
    );
    const first = chat(perennial.baseUrl, prompt(900_000));
    await expect.poll(() => upstream.requests.length).toBe(1);
    const second = await chat(perennial.baseUrl, prompt(300_000));
    expect(second).toMatchObject({ status: 503, headers: { "retry-after": "1" } });
    expect(JSON.parse(second.body)).toMatchObject({ error: { code: "overloaded" } });
    expect(second.body).toContain("limits.maxHeldBytes");
    finish();
    expect(readStream((await first).body)).toMatchObject({ text: "你好 there", done: true });
    expect(upstream.requests).toHaveLength(1);
  });

  test("an upload that stops goes before a smaller one that comes", async ({ serve }) => {
    const { perennial } = await serve(whole, { limits: { maxHeldBytes: "1MiB" } });
    const upload = uploadThatStops(perennial, 900_000);
    await expect.poll(() => heldIn(perennial)).toBe(899_999);
    expect(readStream((await chat(perennial.baseUrl, prompt(300_000))).body)).toMatchObject({ done: true });
    await expect.poll(upload.answer).toMatch(/^HTTP\/1\.1 503[\s\S]*"overloaded"/);
    upload.leave();
    await expect.poll(() => heldIn(perennial)).toBe(0);
  });

  test("a tool call is handed on as it comes, and the stream is whole", async ({ serve }) => {
    const piece = (args: string, rest = {}): string =>
      event({ delta: { tool_calls: [{ index: 0, function: { arguments: args }, ...rest }] } });
    let finish = (): void => {};
    const { perennial } = await serve(
      (socket) => {
        socket.write(STREAM_HEAD + WHOLE[0] + piece('{"a":"', { id: "1", type: "function" }));
        for (let i = 0; i < 30; i++) socket.write(piece(chars(10_000)));
        finish = () => socket.end(`${piece('"}')}${event({ delta: {}, finish_reason: "tool_calls" })}data: [DONE]\n\n`);
      },
      { limits: { maxHeldBytes: "200KiB" } },
    );
    // What it is handed on for is there before it is complete.
    const seen = await chat(perennial.baseUrl, {}, { onRead: (body) => body.includes(chars(10_000)) && finish() });
    expect(seen).toMatchObject({ status: 200, end: "clean" });
    expect(readStream(seen.body)).toMatchObject({ done: true, errorCode: undefined });
    expect(seen.body.match(/x{10000}/g)).toHaveLength(30);
    expect(await perennial.exchangeLog()).toMatchObject({ outcome: "complete" });
  });

  test("a gate that was to open whole opens, and the stream is whole", async ({ serve }) => {
    let finish = (): void => {};
    const { perennial } = await serve(
      (socket) => {
        begin(socket);
        for (let i = 0; i < 30; i++) socket.write(event({ delta: { content: chars(10_000) } }));
        finish = () => socket.end(WHOLE.slice(-2).join(""));
      },
      { limits: { maxHeldBytes: "200KiB" }, gate: { open: "whole" } },
    );
    const seen = await chat(perennial.baseUrl, {}, { onRead: () => finish() });
    expect(readStream(seen.body)).toMatchObject({ text: chars(300_000), done: true, errorCode: undefined });
  });

  test("endless empty events of a joined stream end it, and not its neighbours", async ({ serve }) => {
    const metas = 'data: {"choices":[]}\n\n'.repeat(2_000);
    const { perennial } = await serve(
      byModel({
        async metas(socket) {
          begin(socket);
          while (!socket.destroyed) {
            socket.write(metas);
            await pause(1);
          }
        },
        async slow(socket) {
          begin(socket);
          for (const each of WHOLE) {
            socket.write(each);
            await pause(100);
          }
          socket.end();
        },
      }),
      { limits: { maxHeldBytes: "4MiB" }, nonStreaming: "viaStream" },
    );
    const [joined, slow] = await Promise.all([
      chat(perennial.baseUrl, { model: "metas", stream: false }),
      chat(perennial.baseUrl, { model: "slow" }),
    ]);
    expect(joined).toMatchObject({ status: 503, headers: { "retry-after": "1", "x-perennial-attempts": "1" } });
    expect(JSON.parse(joined.body)).toMatchObject({ error: { code: "overloaded" } });
    expect(readStream(slow.body)).toMatchObject({ text: "你好 there", done: true });
    await expect.poll(() => heldIn(perennial)).toBe(0);
  });

  test("the largest goes first, with an error event when its client has seen a part", async ({ serve }) => {
    const { perennial } = await serve(
      byModel({
        small: (socket) => socket.write(`${STREAM_HEAD + WHOLE[0] + WHOLE[1]}data: ${chars(100_000)}`),
        async large(socket) {
          socket.write(`${STREAM_HEAD + WHOLE[0] + WHOLE[1]}data: `);
          while (!socket.destroyed) {
            socket.write(chars(50_000));
            await pause(10);
          }
        },
      }),
      { limits: { maxHeldBytes: "1MiB" } },
    );
    const leaving = new AbortController();
    const small = chat(
      perennial.baseUrl,
      { model: "small" },
      { onRead: (_body, abort) => leaving.signal.addEventListener("abort", abort) },
    );
    const large = await chat(perennial.baseUrl, { model: "large" });
    expect(readStream(large.body)).toMatchObject({ errorCode: "overloaded", done: false });
    expect(await openIn(perennial)).toBeGreaterThan(0);
    leaving.abort();
    await small.catch(() => {});
    await expect.poll(() => heldIn(perennial)).toBe(0);
  });

  test("a client that does not read its answer is cut off", async ({ serve }) => {
    const { perennial } = await serve([jsonReply(chatAnswer(chars(8_000_000)))], {
      limits: { maxHeldBytes: "10MiB", maxBodyBytes: "9MiB" },
    });
    const asks = Array.from({ length: 2 }, () => {
      const socket = connect(Number(new URL(perennial.url).port), "127.0.0.1");
      socket.on("error", () => {});
      const body = JSON.stringify({ model: "m", messages: [] });
      socket.write(
        `POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
      );
      socket.pause();
      return socket;
    });
    const end = await perennial.exchangeLog();
    expect(["interrupted", "failed"]).toContain(end.outcome);
    expect(end.failure).toBe("overloaded");
    for (const socket of asks) socket.destroy();
    await expect.poll(() => heldIn(perennial)).toBe(0);
  });

  test("requests that wait for a connection count with their bodies", async ({ serve }) => {
    const { perennial, upstream } = await serve(open(...WHOLE.slice(0, 2)), {
      upstream: { maxConnections: 1 },
      limits: { maxHeldBytes: "1MiB" },
    });
    const leaving = new AbortController();
    await askSlowly(perennial, "/v1/chat/completions", leaving.signal);
    const waiting = chat(perennial.baseUrl, prompt(500_000));
    await expect.poll(() => heldIn(perennial)).toBeGreaterThan(500_000);
    expect(await chat(perennial.baseUrl, prompt(600_000))).toMatchObject({ status: 503 });
    expect(upstream.requests).toHaveLength(1);
    leaving.abort();
    for (const socket of upstream.sockets) socket.destroy();
    await expect.poll(() => upstream.requests.length).toBe(2);
    await pause(50);
    for (const socket of upstream.sockets) socket.destroy();
    expect(readStream((await waiting).body)).toMatchObject({ errorCode: "stream_truncated" });
    await expect.poll(() => heldIn(perennial)).toBe(0);
  });
});

test("a request whose upload took all of its time is refused without a warning of the runtime", async ({ serve }) => {
  const warnings: string[] = [];
  const onWarning = (warning: Error): void => void warnings.push(warning.name);
  process.on("warning", onWarning);
  const { perennial } = await serve(whole, { timeouts: { total: "100ms" } });
  const body = JSON.stringify({ model: "m", stream: true, messages: [] });
  const socket = connect(Number(new URL(perennial.url).port), "127.0.0.1");
  let answer = "";
  socket.on("data", (chunk) => {
    answer += chunk;
  });
  socket.write(
    `POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n{`,
  );
  // From its arrival, which takes its time on a machine that is busy.
  await expect.poll(() => heldIn(perennial)).toBe(1);
  await pause(300);
  socket.write(body.slice(1));
  await expect.poll(() => answer).toContain("deadline_exceeded");
  socket.destroy();
  await pause(50);
  process.off("warning", onWarning);
  expect(warnings).toEqual([]);
});
