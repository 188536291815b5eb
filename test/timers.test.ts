/** Time: first token, silence, the total, heartbeats, slow clients. Real sockets, short times. */

import type { Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { describe, expect } from "vitest";
import { chat, codeOf, readStream } from "./support/client.ts";
import { STARTED, WORDS } from "./support/events.ts";
import type { TestPerennial } from "./support/perennial.ts";
import { chatEvents, jsonReply } from "./support/raw-upstream.ts";
import { begin, STREAM_HEAD, slowly } from "./support/replies.ts";
import { test } from "./support/test.ts";

const started = chatEvents(WORDS, { finish: null, done: false }).join("");

/** Comments without end, as DeepSeek and sse-starlette send them. */
function ping(socket: Socket): void {
  const timer = setInterval(() => socket.write(": ping\n\n"), 20);
  socket.on("close", () => clearInterval(timer));
}

test("an upstream that never answers is given up after timeouts.firstToken, and asked again once", async ({ serve }) => {
  const { perennial, upstream } = await serve(() => {}, { timeouts: { firstToken: "300ms" } });
  const seen = await chat(perennial.baseUrl);
  expect(seen.status).toBe(504);
  expect(JSON.parse(seen.body).error.code).toBe("first_token_timeout");
  expect(seen.headers["x-should-retry"]).toBe("false");
  expect(upstream.requests).toHaveLength(2);
  await expect.poll(() => upstream.sockets.size).toBe(0);
});

test("comments and roles are signs of life: it is waited for until timeouts.alive, and not asked again", async ({ serve }) => {
  const { perennial, upstream } = await serve(
    (socket) => {
      begin(socket);
      socket.write(chatEvents([])[0] as string);
      ping(socket);
    },
    { timeouts: { firstToken: "100ms", alive: "400ms" } },
  );
  const began = performance.now();
  const seen = await chat(perennial.baseUrl);
  expect(performance.now() - began).toBeGreaterThanOrEqual(399);
  expect(seen.status).toBe(504);
  expect(JSON.parse(seen.body).error).toMatchObject({
    code: "first_token_timeout",
    message: expect.stringContaining("signs of life"),
  });
  expect(seen.headers["x-should-retry"]).toBe("false");
  expect(upstream.requests).toHaveLength(1);
});

test("comments do not keep a stalled stream alive for longer than timeouts.alive", async ({ serve }) => {
  const { perennial } = await serve(
    (socket) => {
      begin(socket);
      socket.write(started);
      ping(socket);
    },
    { timeouts: { idle: "100ms", alive: "400ms" } },
  );
  expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({
    text: "Hello, world",
    errorCode: "stream_stalled",
    done: false,
  });
});

test("a stream that stalls after its finish is whole", async ({ serve }) => {
  const { perennial } = await serve(
    (socket) => {
      begin(socket);
      socket.write(chatEvents(WORDS, { done: false }).join(""));
    },
    { timeouts: { idle: "80ms" } },
  );
  expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ text: "Hello, world", done: true });
  expect(await perennial.exchangeLog()).toMatchObject({ outcome: "repaired" });
});

test("a slow but steady stream is not stalled", async ({ serve }) => {
  const { perennial } = await serve(slowly(chatEvents(WORDS), 250), { timeouts: { firstToken: "1s", idle: "1s" } });
  expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({
    text: "Hello, world",
    done: true,
    errorCode: undefined,
  });
});

test("timeouts.stream ends a stream that would go on for ever, and timeouts.total does not", async ({ serve }) => {
  const { perennial } = await serve(
    (socket) => {
      begin(socket);
      const timer = setInterval(() => socket.write(chatEvents(["x"], { finish: null, done: false })[1] as string), 10);
      socket.on("close", () => clearInterval(timer));
    },
    { timeouts: { total: "1s", stream: "2500ms" } },
  );
  const began = performance.now();
  const stream = readStream((await chat(perennial.baseUrl)).body);
  expect(stream).toMatchObject({ errorCode: "deadline_exceeded", done: false });
  expect(performance.now() - began).toBeGreaterThanOrEqual(2_499);
  expect(stream.text.length).toBeGreaterThan(3);
});

test("timeouts.total covers the waits between attempts: none begins that could not end", async ({ serve }) => {
  // Either wait would be longer than a test may take.
  const { perennial, upstream } = await serve(
    (socket) => socket.end("HTTP/1.1 500 Oops\r\ncontent-length: 0\r\nretry-after: 50\r\n\r\n"),
    { timeouts: { total: "40s" } },
  );
  expect((await chat(perennial.baseUrl)).status).toBe(500);
  expect(upstream.requests).toHaveLength(1);
});

test("a client may ask for shorter times and fewer attempts, not for longer or more", async ({ serve, startPerennial }) => {
  // What is Perennial's own is longer than a test may take; what the client asks for, long enough to ask the upstream.
  const { perennial: patient, upstream } = await serve(() => {}, { timeouts: { firstToken: "1m" }, retry: { maxAttempts: 2 } });
  await chat(patient.baseUrl, {}, { headers: { "x-perennial-max-attempts": "1", "x-perennial-first-token-timeout": "300ms" } });
  expect(upstream.requests).toHaveLength(1);
  const perennial = await startPerennial(upstream.baseUrl, { timeouts: { firstToken: "300ms" }, retry: { maxAttempts: 2 } });
  await chat(perennial.baseUrl, {}, { headers: { "x-perennial-max-attempts": "50", "x-perennial-first-token-timeout": "10m" } });
  expect(upstream.requests).toHaveLength(3);
  expect(upstream.requests[0]?.head).not.toContain("x-perennial-");
  const seen = await chat(perennial.baseUrl, {}, { headers: { "x-perennial-idle-timeout": "soon" } });
  expect(seen.status).toBe(400);
  expect(seen.body).toContain("x-perennial-idle-timeout");
});

test.for(["clean", "cut"])(
  "an answer that is whole when the time is up is whole (interruptEnd: %s)",
  async (interruptEnd, { serve }) => {
    const { perennial } = await serve(
      (socket) => {
        begin(socket);
        socket.write(chatEvents(WORDS, { done: false }).join(""));
      },
      { timeouts: { stream: "800ms" }, interruptEnd },
    );
    const seen = await chat(perennial.baseUrl);
    expect(seen.end).toBe("clean");
    expect(readStream(seen.body)).toMatchObject({ text: "Hello, world", done: true, errorCode: undefined });
    expect(await perennial.exchangeLog()).toMatchObject({ outcome: "repaired" });
  },
);

test.for([true, false])(
  "an error reply that stalls after its head is a stall, and tried again (stream: %s)",
  async (stream, { serve }) => {
    const { perennial, upstream } = await serve((socket) => socket.write("HTTP/1.1 503 Busy\r\ncontent-length: 10\r\n\r\n"), {
      timeouts: { idle: "80ms", total: "3s" },
    });
    const seen = await chat(perennial.baseUrl, { stream });
    expect(JSON.parse(seen.body).error.code).toBe("stream_stalled");
    expect(upstream.requests).toHaveLength(3);
  },
);

test.for(["application/json", "text/event-stream"])(
  "a whole answer that was asked for and stalls after its head is a stall (%s)",
  async (type, { serve }) => {
    const { perennial } = await serve(
      (socket, { json }) => {
        if (json.stream) socket.end(STREAM_HEAD);
        else socket.write(`HTTP/1.1 200 OK\r\ncontent-type: ${type}\r\ncontent-length: 99\r\n\r\n`);
      },
      { timeouts: { idle: "80ms", total: "3s" } },
    );
    expect(JSON.parse((await chat(perennial.baseUrl)).body).error.code).toBe("stream_stalled");
  },
);

describe("time", () => {
  test("comments after the text put off the stall until timeouts.alive, and no longer", async ({ serve }) => {
    const { perennial } = await serve(
      [
        (socket) => {
          socket.write(`${STREAM_HEAD}${STARTED.join("")}`);
          const timer = setInterval(() => socket.write(": ping\n\n"), 10);
          socket.on("close", () => clearInterval(timer));
        },
      ],
      { timeouts: { idle: "400ms", alive: "800ms" } },
    );
    expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ errorCode: "stream_stalled" });
  });

  test("a client may shorten the idle and the total time, not lengthen them", async ({ serve, startPerennial }) => {
    const begins = { model: "begins" };
    const begin = (socket: Socket, { json }: { json: { model: string } }): unknown =>
      json.model === begins.model && socket.write(`${STREAM_HEAD}${STARTED.join("")}`);
    const { perennial, upstream } = await serve(begin, { timeouts: { idle: "2s", total: "4s" } });
    const told = async ({ baseUrl }: TestPerennial, headers: Record<string, string>, body: object = {}) => {
      const seen = await chat(baseUrl, body, { headers });
      return seen.status === 200 ? readStream(seen.body).errorCode : codeOf(seen);
    };
    expect(await told(perennial, { "x-perennial-idle-timeout": "50ms", "x-perennial-total-timeout": "900ms" }, begins)).toBe(
      "stream_stalled",
    );
    for (const stream of [true, false]) {
      expect(await told(perennial, { "x-perennial-total-timeout": "300ms" }, { stream })).toBe("deadline_exceeded");
    }
    const impatient = await startPerennial(upstream.baseUrl, { timeouts: { idle: "100ms", total: "2s" } });
    expect(await told(impatient, { "x-perennial-idle-timeout": "10m" }, begins)).toBe("stream_stalled");
    const short = await startPerennial(upstream.baseUrl, { timeouts: { idle: "2s", total: "800ms" } });
    expect(await told(short, { "x-perennial-total-timeout": "10m" })).toBe("deadline_exceeded");
  });

  test("that is up before any answer is an HTTP 504, and SDKs are told not to start over", async ({ serve }) => {
    const { perennial } = await serve([() => {}], { timeouts: { total: "80ms" } });
    const seen = await chat(perennial.baseUrl);
    expect([seen.status, codeOf(seen), seen.headers["x-should-retry"]]).toEqual([504, "deadline_exceeded", "false"]);
  });

  test("a refusal may take longer than timeouts.firstToken to arrive, as long as it goes on", async ({ serve }) => {
    const { perennial } = await serve(
      [
        async (socket) => {
          const reply = jsonReply('{"error":"a long story"}', "400 Bad");
          const at = reply.indexOf("{");
          socket.write(reply.slice(0, at));
          for (const character of reply.slice(at)) {
            socket.write(character);
            await pause(30);
          }
        },
      ],
      { timeouts: { firstToken: "400ms" }, retry: { maxAttempts: 1 } },
    );
    expect(await chat(perennial.baseUrl)).toMatchObject({ status: 400, body: '{"error":"a long story"}' });
  });
});
