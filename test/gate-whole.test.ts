/** `gate.open: whole`: nothing of an answer is shown before it is whole, so that every break is tried again unseen. */
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect } from "vitest";
import { chat, readStream } from "./support/client.ts";
import { STARTED, WORDS } from "./support/events.ts";
import { chatEvents, SSE_HEAD, sendFramed } from "./support/raw-upstream.ts";
import { STREAM_HEAD } from "./support/replies.ts";
import { test } from "./support/test.ts";

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

  test.for([1, 2, 3, 4])("lets a break after event %i be tried again unseen", async (events, { serve }) => {
    const { perennial, upstream } = await serve(breaksAfter(events), whole);
    const seen = await chat(perennial.baseUrl);
    expect(readStream(seen.body)).toMatchObject({ text: "Hello, world", done: true, errorCode: undefined });
    expect([seen.headers["x-perennial-attempts"], upstream.requests.length]).toEqual(["2", 2]);
    expect(await perennial.exchangeLog()).toMatchObject({ outcome: "recovered" });
  });

  test.for<[string, string]>([
    ["an error event", 'data: {"error":{"message":"out of memory","code":500}}\n\n'],
    ["an event that is none", "data: {\n\n"],
  ])("does so for %s", async ([_what, event], { serve }) => {
    let attempts = 0;
    const { perennial, upstream } = await serve(
      (socket) => sendFramed(socket, "chunked", ++attempts > 1 ? WHOLE : [...STARTED, event]),
      whole,
    );
    expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ text: "Hello, world", done: true });
    expect(upstream.requests).toHaveLength(2);
  });

  test("still has the idle clock watch what comes behind the first content", async ({ serve }) => {
    let attempts = 0;
    const { perennial } = await serve(
      (socket) => (++attempts > 1 ? sendFramed(socket, "chunked", WHOLE) : socket.write(STREAM_HEAD + STARTED.join(""))),
      {
        ...whole,
        timeouts: { firstToken: "1m", idle: "300ms" },
      },
    );
    expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ text: "Hello, world", done: true });
  });

  test("tells an answer that is never whole by an HTTP error, since nothing was shown", async ({ serve }) => {
    const { perennial, upstream } = await serve((socket) => sendFramed(socket, "chunked", STARTED), whole);
    const seen = await chat(perennial.baseUrl);
    expect([seen.status, JSON.parse(seen.body).error.code, upstream.requests.length]).toEqual([502, "stream_truncated", 3]);
  });

  test("sends heartbeats meanwhile, and no text before the end", async ({ serve }) => {
    const { perennial } = await serve(
      async (socket) => {
        socket.write(`${SSE_HEAD}connection: close\r\n\r\n${STARTED.join("")}`);
        await sleep(400);
        socket.end(WHOLE.slice(STARTED.length).join(""));
      },
      { ...whole, heartbeat: { after: "50ms", every: "50ms" } },
    );
    const { body } = await chat(perennial.baseUrl);
    expect(body.startsWith(": keep-alive\n\n")).toBe(true);
    expect(body.lastIndexOf(": keep-alive")).toBeLessThan(body.indexOf("Hello"));
    expect(readStream(body)).toMatchObject({ text: "Hello, world", done: true });
  });

  test("opens for an answer that is larger than limits.maxBodyBytes, and goes on", async ({ serve }) => {
    const long = chatEvents(Array.from({ length: 40 }, (_, i) => `word ${i} `));
    const { perennial, upstream } = await serve((socket) => sendFramed(socket, "chunked", long.slice(0, -2)), {
      ...whole,
      limits: { maxBodyBytes: "2KiB" },
    });
    const { data, errorCode } = readStream((await chat(perennial.baseUrl)).body);
    expect([data.length, errorCode, upstream.requests.length]).toEqual([long.length - 1, "stream_truncated", 1]);
    const second = await serve((socket) => sendFramed(socket, "chunked", long), { ...whole, limits: { maxBodyBytes: "2KiB" } });
    expect(readStream((await chat(second.perennial.baseUrl)).body)).toMatchObject({
      done: true,
      text: expect.stringContaining("word 39"),
    });
  });

  test("may be one upstream's own, or chosen for one request", async ({ serve }) => {
    const { perennial } = await serve(breaksAfter(3));
    const headers = { "x-perennial-gate": "whole" };
    expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ errorCode: "stream_truncated" });
    await chat(perennial.baseUrl);
    expect(readStream((await chat(perennial.baseUrl, {}, { headers })).body)).toMatchObject({ done: true, text: "Hello, world" });
    const second = await serve(breaksAfter(3), { upstream: whole });
    expect(readStream((await chat(second.perennial.baseUrl)).body)).toMatchObject({ done: true, text: "Hello, world" });
    const content = { headers: { "x-perennial-gate": "content" } };
    expect(readStream((await chat(second.perennial.baseUrl, {}, content)).body)).toMatchObject({ errorCode: "stream_truncated" });
    const odd = await chat(second.perennial.baseUrl, {}, { headers: { "x-perennial-gate": "open" } });
    expect([odd.status, odd.body]).toEqual([400, expect.stringContaining("x-perennial-gate")]);
    expect(second.upstream.requests[0]?.head).not.toContain("x-perennial");
  });
});
