/** Time: first token, silence, the total, heartbeats, slow clients. Real sockets, short times. */
import type { Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { chat, readStream } from "./support/client.ts";
import { startPerennial, type TestPerennial } from "./support/perennial.ts";
import { chatEvents, jsonReply, type RawRequest, type RawUpstream, SSE_HEAD, startRawUpstream } from "./support/raw-upstream.ts";

let upstream: RawUpstream;
let perennial: TestPerennial;

afterEach(async () => {
  await perennial.close();
  await upstream.close();
});

async function serve(answer: (socket: Socket, request: RawRequest) => unknown, settings: Record<string, unknown>): Promise<void> {
  upstream = await startRawUpstream(answer);
  perennial = await startPerennial(upstream.baseUrl, settings);
}

const WORDS = ["Hello", ", ", "world"];
const begin = (socket: Socket): boolean => socket.write(`${SSE_HEAD}connection: close\r\n\r\n`);
const started = chatEvents(WORDS, { finish: null, done: false }).join("");

/** Comments without end, as DeepSeek and sse-starlette send them. */
function ping(socket: Socket): void {
  const timer = setInterval(() => socket.write(": ping\n\n"), 20);
  socket.on("close", () => clearInterval(timer));
}

test("an upstream that never answers is given up after timeouts.firstToken, at every attempt", async () => {
  await serve(() => {}, { timeouts: { firstToken: "60ms" } });
  const seen = await chat(perennial.baseUrl);
  expect(seen.status).toBe(504);
  expect(JSON.parse(seen.body).error.code).toBe("first_token_timeout");
  expect(seen.headers["x-should-retry"]).toBe("false");
  expect(upstream.requests).toHaveLength(3);
  await expect.poll(() => upstream.sockets.size).toBe(0);
});

test("comments and roles do not count as a first token", async () => {
  await serve(
    (socket) => {
      begin(socket);
      socket.write(chatEvents([])[0] as string);
      ping(socket);
    },
    { timeouts: { firstToken: "100ms" }, retry: { maxAttempts: 1 } },
  );
  expect(JSON.parse((await chat(perennial.baseUrl)).body).error.code).toBe("first_token_timeout");
});

test("comments do not keep a stalled stream alive", async () => {
  await serve(
    (socket) => {
      begin(socket);
      socket.write(started);
      ping(socket);
    },
    { timeouts: { idle: "100ms" } },
  );
  expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({
    text: "Hello, world",
    errorCode: "stream_stalled",
    done: false,
  });
});

test("a stream that stalls after its finish is whole", async () => {
  await serve(
    (socket) => {
      begin(socket);
      socket.write(chatEvents(WORDS, { done: false }).join(""));
    },
    { timeouts: { idle: "80ms" } },
  );
  expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ text: "Hello, world", done: true });
  expect(await perennial.exchangeLog()).toMatchObject({ outcome: "repaired" });
});

test("a slow but steady stream is not stalled", async () => {
  await serve(
    async (socket) => {
      begin(socket);
      for (const event of chatEvents(WORDS)) {
        socket.write(event);
        await new Promise((resolve) => setTimeout(resolve, 250));
      }
      socket.end();
    },
    { timeouts: { firstToken: "1s", idle: "1s" } },
  );
  expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({
    text: "Hello, world",
    done: true,
    errorCode: undefined,
  });
});

test("timeouts.total ends a stream that would go on for ever", async () => {
  await serve(
    (socket) => {
      begin(socket);
      const timer = setInterval(() => socket.write(chatEvents(["x"], { finish: null, done: false })[1] as string), 10);
      socket.on("close", () => clearInterval(timer));
    },
    { timeouts: { total: "200ms" } },
  );
  const stream = readStream((await chat(perennial.baseUrl)).body);
  expect(stream).toMatchObject({ errorCode: "deadline_exceeded", done: false });
  expect(stream.text.length).toBeGreaterThan(3);
});

test("timeouts.total covers the waits between attempts: none begins that could not end", async () => {
  await serve((socket) => socket.end("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\nretry-after: 5\r\n\r\n"), {
    timeouts: { total: "3s" },
  });
  const began = Date.now();
  expect((await chat(perennial.baseUrl)).status).toBe(503);
  expect(Date.now() - began).toBeLessThan(2_500);
});

test("heartbeats keep a silent client waiting, and attempts go on behind them", async () => {
  await serve(
    (socket, { number }) => {
      begin(socket);
      setTimeout(() => socket.end(number < 3 ? "" : chatEvents(WORDS).join("")), 60);
    },
    { heartbeat: { after: "20ms", every: "20ms" } },
  );
  const seen = await chat(perennial.baseUrl);
  expect(seen.status).toBe(200);
  expect(seen.body.startsWith(": keep-alive\n\n")).toBe(true);
  expect(readStream(seen.body)).toMatchObject({ text: "Hello, world", done: true });
  expect(await perennial.exchangeLog()).toMatchObject({ outcome: "recovered" });
});

test("after a heartbeat the final failure is an error event", async () => {
  await serve((socket) => setTimeout(() => socket.end("HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n"), 40), {
    heartbeat: { after: "20ms", every: "20ms" },
  });
  const seen = await chat(perennial.baseUrl);
  expect(seen.status).toBe(200);
  expect(readStream(seen.body)).toMatchObject({ text: "", errorCode: "upstream_status", done: false });
  expect(await perennial.exchangeLog()).toMatchObject({ outcome: "interrupted", failure: "upstream_status" });
});

test.each([
  ["OpenAI's", '{"error":{"message":"too many tokens","type":"invalid_request_error"}}'],
  ["FastAPI's", '{"detail":"too many tokens"}'],
])("after a heartbeat the upstream's own words are in the error event (%s)", async (_whose, reply) => {
  await serve((socket) => setTimeout(() => socket.write(jsonReply(reply, "400 Bad")), 60), {
    heartbeat: { after: "20ms", every: "20ms" },
  });
  const { body } = await chat(perennial.baseUrl);
  expect(readStream(body)).toMatchObject({ errorCode: "upstream_status", done: false });
  expect(body).toContain("too many tokens");
});

test("a client may ask for shorter times and fewer attempts, not for longer or more", async () => {
  await serve(() => {}, { timeouts: { firstToken: "1s" }, retry: { maxAttempts: 2 } });
  const began = Date.now();
  await chat(perennial.baseUrl, {}, { headers: { "x-perennial-max-attempts": "1", "x-perennial-first-token-timeout": "30ms" } });
  expect(upstream.requests).toHaveLength(1);
  expect(Date.now() - began).toBeLessThan(950);
  await chat(perennial.baseUrl, {}, { headers: { "x-perennial-max-attempts": "50", "x-perennial-first-token-timeout": "10m" } });
  expect(upstream.requests).toHaveLength(3);
  expect(upstream.requests[0]?.head).not.toContain("x-perennial-");
  const seen = await chat(perennial.baseUrl, {}, { headers: { "x-perennial-idle-timeout": "soon" } });
  expect(seen.status).toBe(400);
  expect(seen.body).toContain("x-perennial-idle-timeout");
});

test("an upstream that waits for a slow client is not stalled", async () => {
  const big = "x".repeat(16_000);
  const words = Array.from({ length: 400 }, () => big);
  await serve(
    (socket) => {
      begin(socket);
      socket.end(chatEvents(words).join(""));
    },
    { timeouts: { idle: "150ms" } },
  );
  const response = await fetch(`${perennial.baseUrl}/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "m", stream: true, messages: [] }),
  });
  // Long enough for every buffer on the way to be full, and for the idle time to pass several times.
  await new Promise((resolve) => setTimeout(resolve, 700));
  expect(readStream(await response.text())).toMatchObject({ done: true, errorCode: undefined, text: words.join("") });
});

test.each(["clean", "cut"])("an answer that is whole when the time is up is whole (interruptEnd: %s)", async (interruptEnd) => {
  await serve(
    (socket) => {
      begin(socket);
      socket.write(chatEvents(WORDS, { done: false }).join(""));
    },
    { timeouts: { total: "120ms" }, interruptEnd },
  );
  const seen = await chat(perennial.baseUrl);
  expect(seen.end).toBe("clean");
  expect(readStream(seen.body)).toMatchObject({ text: "Hello, world", done: true, errorCode: undefined });
  expect(await perennial.exchangeLog()).toMatchObject({ outcome: "repaired" });
});

test.each([true, false])("an error reply that stalls after its head is a stall, and tried again (stream: %s)", async (stream) => {
  await serve((socket) => socket.write("HTTP/1.1 503 Busy\r\ncontent-length: 10\r\n\r\n"), {
    timeouts: { idle: "80ms", total: "3s" },
  });
  const seen = await chat(perennial.baseUrl, { stream });
  expect(JSON.parse(seen.body).error.code).toBe("stream_stalled");
  expect(upstream.requests).toHaveLength(3);
});

test.each(["application/json", "text/event-stream"])(
  "a whole answer that was asked for and stalls after its head is a stall (%s)",
  async (type) => {
    await serve(
      (socket, { json }) => {
        if (json.stream) socket.end(`${SSE_HEAD}connection: close\r\n\r\n`);
        else socket.write(`HTTP/1.1 200 OK\r\ncontent-type: ${type}\r\ncontent-length: 99\r\n\r\n`);
      },
      { timeouts: { idle: "80ms", total: "3s" } },
    );
    expect(JSON.parse((await chat(perennial.baseUrl)).body).error.code).toBe("stream_stalled");
  },
);
