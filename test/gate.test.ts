/** What is held back, and for how long: the gate, an event that is not over, a heartbeat. */
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";
import { chat, readStream, send } from "./support/client.ts";
import { startPerennial, type TestPerennial } from "./support/perennial.ts";
import { sumOf } from "./support/prometheus.ts";
import { chatEvents, type RawUpstream, SSE_HEAD, sendFramed, startRawUpstream } from "./support/raw-upstream.ts";

let upstream: RawUpstream;
let perennial: TestPerennial;

afterEach(async () => {
  await perennial.close();
  await upstream.close();
});

async function serve(answer: (socket: Socket) => unknown, settings: Record<string, unknown> = {}): Promise<void> {
  upstream = await startRawUpstream(answer);
  perennial = await startPerennial(upstream.baseUrl, settings);
}

/** Sends events and then nothing more, on a connection that stays open. */
const open =
  (...events: string[]) =>
  (socket: Socket): unknown =>
    socket.write(`${SSE_HEAD}connection: close\r\n\r\n${events.join("")}`);

const choice = (delta: object): string => `data: ${JSON.stringify({ id: "c", choices: [{ index: 0, delta }] })}\n\n`;
const posted = {
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify({ model: "m", stream: true, messages: [] }),
};

/** Asks, and leaves as soon as `text` has come. @returns whether it came soon, while the upstream was still sending. */
async function hears(text: string): Promise<boolean> {
  let seen = "";
  try {
    const response = await fetch(`${perennial.baseUrl}/chat/completions`, { ...posted, signal: AbortSignal.timeout(3_000) });
    for await (const read of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      seen += read;
      if (seen.includes(text)) return true;
    }
  } catch {}
  return false;
}

const WORDS = ["Hello", ", ", "world"];
const STARTED = chatEvents(WORDS, { finish: null, done: false });

test.each(["reasoning_content", "refusal", "a_field_of_tomorrow"])("%s is content, and is handed on at once", async (field) => {
  await serve(open(choice({ role: "assistant" }), choice({ [field]: "Hm" })));
  expect(await hears(field)).toBe(true);
});

test("a line that never ends is refused as soon as it is over limits.maxEventBytes, not kept until the stream stalls", async () => {
  await serve(open(...STARTED, `data: ${"x".repeat(5_000)}`), { limits: { maxEventBytes: "1KiB" } });
  expect(await hears("stream_corrupted")).toBe(true);
});

test("a gate that is open holds nothing any more", async () => {
  await serve(open(STARTED[0] as string));
  const held = async (): Promise<number> => sumOf((await send(`${perennial.url}/metrics`)).body, "perennial_held_bytes");
  const leaving = new AbortController();
  const response = fetch(`${perennial.baseUrl}/chat/completions`, { ...posted, signal: leaving.signal });
  await expect.poll(held).toBeGreaterThan(0);
  for (const socket of upstream.sockets) socket.write(choice({ content: "Hi" }));
  await response;
  expect(await held()).toBe(0);
  leaving.abort();
});

test("with heartbeats off a late answer is whole and has no comments in it", async () => {
  await serve((socket) => setTimeout(() => sendFramed(socket, "content-length", chatEvents(WORDS)), 150), { heartbeat: "off" });
  const { body } = await chat(perennial.baseUrl);
  expect(body).not.toContain("keep-alive");
  expect(readStream(body)).toMatchObject({ text: "Hello, world", done: true });
});

describe("a gate that opens when the answer is whole", () => {
  const WHOLE = chatEvents(WORDS);
  const whole = { gate: { open: "whole" } };
  /** The first attempt breaks off behind so many events, the second is whole. */
  const breaksAfter = (events: number) => {
    let attempts = 0;
    return (socket: Socket): void => {
      if (++attempts % 2 === 0) sendFramed(socket, "chunked", WHOLE);
      else {
        socket.write(`${SSE_HEAD}transfer-encoding: chunked\r\n\r\n`);
        for (const event of WHOLE.slice(0, events)) socket.write(`${event.length.toString(16)}\r\n${event}\r\n`);
        socket.end();
      }
    };
  };

  test.each([1, 2, 3, 4])("lets a break after event %i be tried again unseen", async (events) => {
    await serve(breaksAfter(events), whole);
    const seen = await chat(perennial.baseUrl);
    expect(readStream(seen.body)).toMatchObject({ text: "Hello, world", done: true, errorCode: undefined });
    expect([seen.headers["x-perennial-attempts"], upstream.requests.length]).toEqual(["2", 2]);
    expect(await perennial.exchangeLog()).toMatchObject({ outcome: "recovered" });
  });

  test.each([
    ["an error event", 'data: {"error":{"message":"out of memory","code":500}}\n\n'],
    ["an event that is none", "data: {\n\n"],
  ])("does so for %s", async (_what, event) => {
    let attempts = 0;
    await serve((socket) => sendFramed(socket, "chunked", ++attempts > 1 ? WHOLE : [...STARTED, event]), whole);
    expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ text: "Hello, world", done: true });
    expect(upstream.requests).toHaveLength(2);
  });

  test("still has the idle clock watch what comes behind the first content", async () => {
    let attempts = 0;
    await serve((socket) => (++attempts > 1 ? sendFramed(socket, "chunked", WHOLE) : open(...STARTED)(socket)), {
      ...whole,
      timeouts: { firstToken: "1m", idle: "300ms" },
    });
    expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ text: "Hello, world", done: true });
  });

  test("tells an answer that is never whole by an HTTP error, since nothing was shown", async () => {
    await serve((socket) => sendFramed(socket, "chunked", STARTED), whole);
    const seen = await chat(perennial.baseUrl);
    expect([seen.status, JSON.parse(seen.body).error.code, upstream.requests.length]).toEqual([502, "stream_truncated", 3]);
  });

  test("sends heartbeats meanwhile, and no text before the end", async () => {
    await serve(
      async (socket) => {
        socket.write(`${SSE_HEAD}connection: close\r\n\r\n${STARTED.join("")}`);
        await sleep(400);
        socket.end(WHOLE.slice(STARTED.length).join(""));
      },
      { ...whole, heartbeat: { after: "50ms", every: "50ms" } },
    );
    const { body } = await chat(perennial.baseUrl);
    expect(body.startsWith(": keep-alive\n\n: keep-alive\n\n")).toBe(true);
    expect(body.lastIndexOf(": keep-alive")).toBeLessThan(body.indexOf("Hello"));
    expect(readStream(body)).toMatchObject({ text: "Hello, world", done: true });
  });

  test("opens for an answer that is larger than limits.maxBodyBytes, and goes on", async () => {
    const long = chatEvents(Array.from({ length: 40 }, (_, i) => `word ${i} `));
    await serve((socket) => sendFramed(socket, "chunked", long.slice(0, -2)), { ...whole, limits: { maxBodyBytes: "2KiB" } });
    const { data, errorCode } = readStream((await chat(perennial.baseUrl)).body);
    expect([data.length, errorCode, upstream.requests.length]).toEqual([long.length - 1, "stream_truncated", 1]);
    await perennial.close();
    await upstream.close();
    await serve((socket) => sendFramed(socket, "chunked", long), { ...whole, limits: { maxBodyBytes: "2KiB" } });
    expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({
      done: true,
      text: expect.stringContaining("word 39"),
    });
  });

  test("may be one upstream's own, or chosen for one request", async () => {
    await serve(breaksAfter(3));
    const headers = { "x-perennial-gate": "whole" };
    expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ errorCode: "stream_truncated" });
    await chat(perennial.baseUrl);
    expect(readStream((await chat(perennial.baseUrl, {}, { headers })).body)).toMatchObject({ done: true, text: "Hello, world" });
    await perennial.close();
    await upstream.close();
    await serve(breaksAfter(3), { upstream: whole });
    expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ done: true, text: "Hello, world" });
    const content = { headers: { "x-perennial-gate": "content" } };
    expect(readStream((await chat(perennial.baseUrl, {}, content)).body)).toMatchObject({ errorCode: "stream_truncated" });
    const odd = await chat(perennial.baseUrl, {}, { headers: { "x-perennial-gate": "open" } });
    expect([odd.status, odd.body]).toEqual([400, expect.stringContaining("x-perennial-gate")]);
    expect(upstream.requests[0]?.head).not.toContain("x-perennial");
  });
});
