/** What an upstream has of its own, over the settings for all: seen from its client. */
import { afterEach, expect, test } from "vitest";
import { configSchema } from "../src/config/schema.ts";
import { chat, readStream, send } from "./support/client.ts";
import { startPerennial, type TestPerennial } from "./support/perennial.ts";
import { chatEvents, frame, type RawUpstream, SSE_HEAD, startRawUpstream } from "./support/raw-upstream.ts";

let upstream: RawUpstream | undefined;
let perennial: TestPerennial | undefined;

afterEach(async () => {
  await perennial?.close();
  await upstream?.close();
  perennial = upstream = undefined;
});

const ONCE = { maxAttempts: 1 };

test("its own first-token and idle times hold, whatever is set for all", async () => {
  upstream = await startRawUpstream((socket, { number }) => {
    socket.write(`${SSE_HEAD}connection: close\r\n\r\n`);
    if (number > 1) socket.write(chatEvents(["Hello"], { finish: null, done: false }).join(""));
  });
  perennial = await startPerennial(upstream.baseUrl, {
    upstream: { timeouts: { firstToken: "80ms", idle: "90ms" } },
    timeouts: { firstToken: "1h", idle: "1h" },
    retry: ONCE,
  });
  expect(JSON.parse((await chat(perennial.baseUrl)).body).error.code).toBe("first_token_timeout");
  expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ text: "Hello", errorCode: "stream_stalled" });
});

test("its own total time bounds the exchange", async () => {
  upstream = await startRawUpstream(() => {});
  perennial = await startPerennial(upstream.baseUrl, { upstream: { timeouts: { total: "80ms" } } });
  expect(JSON.parse((await chat(perennial.baseUrl)).body).error.code).toBe("deadline_exceeded");
});

test("an answer that is not streamed is asked for as a stream where the upstream is set so", async () => {
  upstream = await startRawUpstream((socket) => socket.write(frame("chunked", chatEvents(["Hello"]))));
  perennial = await startPerennial(upstream.baseUrl, { upstream: { nonStreaming: "viaStream" } });
  const { body } = await chat(perennial.baseUrl, { stream: false });
  expect(JSON.parse(body).choices[0].message.content).toBe("Hello");
  expect(upstream.requests[0]?.body).toContain('"stream":true');
});

test("api decides on the paths: Chatchat's need no profile", async () => {
  upstream = await startRawUpstream((socket) => socket.write(frame("chunked", ['data: {"text": "hi"}\n\n'])));
  perennial = await startPerennial(upstream.baseUrl.replace("/v1", ""), { upstream: { api: "chatchat", mount: "/" } });
  await send(`${perennial.url}/chat/chat`, { method: "POST", body: JSON.stringify({ query: "q" }) });
  expect(await perennial.exchangeLog()).toMatchObject({ dialect: "chatchat", outcome: "complete" });
});

test("a new time of its own keeps the upstream's connections", async () => {
  upstream = await startRawUpstream((socket) => socket.write(frame("chunked", chatEvents(["Hello"]))));
  perennial = await startPerennial(upstream.baseUrl);
  await chat(perennial.baseUrl);
  const own = { baseUrl: upstream.baseUrl, timeouts: { idle: "7s" } };
  expect(await perennial.reload(configSchema.parse({ upstreams: [own] }))).toMatchObject({
    changed: expect.arrayContaining(["upstreams"]),
  });
  await chat(perennial.baseUrl);
  expect(upstream.connections).toBe(1);
});
