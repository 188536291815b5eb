/** Connections to the upstream: kept, used again, given up; and what it costs when a kept one dies. */

import { setTimeout as pause } from "node:timers/promises";
import { describe, expect } from "vitest";
import { chat, readStream } from "./support/client.ts";
import { line, STARTED, WHOLE } from "./support/events.ts";
import { chatEvents, frame, SSE_HEAD, sendFramed } from "./support/raw-upstream.ts";
import { atOnce, open } from "./support/replies.ts";
import { test } from "./support/test.ts";

const whole = frame("chunked", chatEvents(["Hello"]));

test.for(["end", "resetAndDestroy"] as const)(
  "a kept connection that dies when it is used again costs no attempt (%s)",
  async (how, { serve }) => {
    let stale = false;
    const { perennial, upstream } = await serve(
      (socket) => {
        if (stale) {
          stale = false;
          socket[how]();
        } else sendFramed(socket, "chunked", chatEvents(["Hello"]));
      },
      { retry: { maxAttempts: 1 } },
    );
    await chat(perennial.baseUrl);
    stale = true;
    const seen = await chat(perennial.baseUrl);
    expect(upstream.requests).toHaveLength(3);
    expect(upstream.connections).toBe(2);
    expect(readStream(seen.body)).toMatchObject({ text: "Hello", done: true });
    expect(seen.headers["x-perennial-attempts"]).toBe("1");
  },
);

test("a kept connection that dies within the head of its answer costs an attempt", async ({ serve }) => {
  const { perennial, upstream } = await serve([whole, "HTTP/1.1 200 OK\r\ncontent-ty", whole]);
  await chat(perennial.baseUrl);
  const seen = chat(perennial.baseUrl);
  await expect.poll(() => upstream.requests.length).toBe(2);
  for (const socket of upstream.sockets) socket.end();
  expect((await seen).headers["x-perennial-attempts"]).toBe("2");
});

test.for(["end", "resetAndDestroy"] as const)(
  "a new connection that dies within the head of its answer is one attempt, asked once (%s)",
  async (how, { serve }) => {
    const { perennial, upstream } = await serve((socket) => {
      socket.write("HTTP/1.1 200 OK\r\ncontent-ty", () => setTimeout(() => socket[how](), 20));
    });
    const seen = await chat(perennial.baseUrl);
    expect([seen.status, seen.headers["x-perennial-attempts"], upstream.requests.length]).toEqual([502, "3", 3]);
  },
);

test("a new connection that dies is an attempt", async ({ serve }) => {
  const { perennial, upstream } = await serve([(socket) => socket.end()], { retry: { maxAttempts: 1 } });
  expect((await chat(perennial.baseUrl)).status).toBe(502);
  expect(upstream.requests).toHaveLength(1);
});

test("connections are kept and used again", async ({ serve }) => {
  const { perennial, upstream } = await serve([whole]);
  for (let i = 0; i < 5; i++) await chat(perennial.baseUrl);
  expect(upstream.connections).toBe(1);
});

describe("connections to the upstream", () => {
  test("are closed when a stream fails, and when it stalls after its finish", async ({ serve }) => {
    const { perennial, upstream } = await serve([open(...STARTED, line({ error: "boom" })), open(...WHOLE.slice(0, -1))], {
      timeouts: { idle: "80ms" },
    });
    expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ errorCode: "upstream_error_event" });
    await expect.poll(() => upstream.sockets.size).toBe(0);
    expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ done: true });
    await expect.poll(() => upstream.sockets.size).toBe(0);
  });

  test("that were kept and all die are tried twice, not one after the other for one attempt", async ({ serve }) => {
    let stale = false;
    const { perennial, upstream } = await serve(
      [(socket) => (stale ? socket.end() : pause(80).then(() => sendFramed(socket, "content-length", WHOLE)))],
      {
        retry: { maxAttempts: 1 },
      },
    );
    await Promise.all([1, 2, 3, 4].map(() => chat(perennial.baseUrl)));
    stale = true;
    expect((await chat(perennial.baseUrl)).status).toBe(502);
    expect(upstream.requests).toHaveLength(6);
  });

  test("that were kept and break in mid-stream do not make the text begin again", async ({ serve }) => {
    const broken = `${SSE_HEAD}content-length: 9999\r\n\r\n${STARTED.join("")}`;
    const { perennial, upstream } = await serve([atOnce(WHOLE), (socket) => socket.end(broken), atOnce(WHOLE)]);
    await chat(perennial.baseUrl);
    expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({
      text: "Hello, world",
      errorCode: "stream_truncated",
    });
    expect(upstream.requests).toHaveLength(2);
  });

  test("that were kept and answer with what is not HTTP have answered: that is an attempt, and is told", async ({ serve }) => {
    const { perennial } = await serve([atOnce(WHOLE), (socket) => socket.end("SSH-2.0-OpenSSH_9.6\r\n"), atOnce(WHOLE)], {
      retry: { maxAttempts: 1 },
    });
    await chat(perennial.baseUrl);
    const seen = await chat(perennial.baseUrl);
    expect([seen.status, seen.body]).toEqual([502, expect.stringContaining("not HTTP")]);
  });

  test("are not asked for when the client has left the queue", async ({ serve }) => {
    let release = (): void => {};
    const { perennial, upstream } = await serve(
      [(socket) => (release = () => sendFramed(socket, "content-length", WHOLE)), atOnce(WHOLE)],
      {
        upstream: { maxConnections: 1 },
      },
    );
    const first = chat(perennial.baseUrl);
    await expect.poll(() => upstream.requests.length).toBe(1);
    const second = new AbortController();
    const left = fetch(`${perennial.baseUrl}/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: '{"stream":true}',
      signal: second.signal,
    }).catch(() => {});
    await pause(100);
    second.abort();
    await left;
    await perennial.exchangeLog();
    release();
    expect(readStream((await first).body)).toMatchObject({ done: true });
    await pause(50);
    expect(upstream.requests).toHaveLength(1);
  });
});
