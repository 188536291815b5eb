/** The edge: who is let in, what is refused and how, what happens when the client or Perennial itself leaves. */

import { connect, type Socket } from "node:net";
import { expect } from "vitest";
import { chat, readStream, send } from "./support/client.ts";
import type { TestPerennial } from "./support/perennial.ts";
import { sendRaw } from "./support/raw-client.ts";
import { chatAnswer, chatEvents, frame, jsonReply, sendFramed } from "./support/raw-upstream.ts";
import { open, slowly } from "./support/replies.ts";
import { test } from "./support/test.ts";

const WHOLE = frame("chunked", chatEvents(["Hello"]));
/** Begins a stream and never ends it. */
const ENDLESS = open(...chatEvents(["Hello"], { finish: null, done: false }));

/** All that comes back of these bytes, before Perennial closes or falls silent. */
const raw = async (url: string, bytes: string): Promise<string> => (await sendRaw(url, bytes)).text;

test("only clients with a key are served, and the key stays here", async ({ serve }) => {
  const { perennial, upstream } = await serve([WHOLE], { auth: { keys: ["key-one-1", "key-two-2"] } });
  for (const headers of [{}, { authorization: "Bearer nope" }, { authorization: "Bearer key-one-" }, { "x-api-key": "" }]) {
    const seen = await chat(perennial.baseUrl, {}, { headers: headers as Record<string, string> });
    expect(seen.status).toBe(401);
    expect(JSON.parse(seen.body).error).toMatchObject({ code: "unauthorized", type: "invalid_request_error" });
    expect(seen.headers).toMatchObject({ "x-perennial-attempts": "0" });
  }
  expect(upstream.requests).toHaveLength(0);
  for (const headers of [{ authorization: "Bearer key-two-2" }, { "x-api-key": "key-one-1" }, { "api-key": "key-one-1" }]) {
    expect((await chat(perennial.baseUrl, {}, { headers: headers as Record<string, string> })).status).toBe(200);
  }
  expect(upstream.requests.map(({ head }) => head).join("\n")).not.toMatch(/key-one|key-two|authorization|api-key/i);
  expect((await send(`${perennial.url}/healthz`)).status).toBe(200);
});

test("the upstream's key takes the place of the client's", async ({ serve }) => {
  const { perennial, upstream } = await serve([WHOLE], { upstream: { apiKey: "sk-upstream" } });
  await chat(
    perennial.baseUrl,
    {},
    { headers: { authorization: "Bearer sk-client", "x-api-key": "sk-client", "api-key": "sk-client" } },
  );
  expect(upstream.requests[0]?.head).toContain("authorization: Bearer sk-upstream");
  expect(upstream.requests[0]?.head).not.toContain("sk-client");
});

test("no key and no prompt reaches the log", async ({ serve }) => {
  const { perennial } = await serve([WHOLE], { upstream: { apiKey: "sk-upstream" } });
  const headers = { authorization: "Bearer sk-client", cookie: "sk-cookie", "x-api-key": "sk-other" };
  await chat(perennial.baseUrl, { messages: [{ role: "user", content: "my secret prompt" }] }, { headers });
  await send(`${perennial.baseUrl}/models?key=sk-query`, { headers });
  await send(`${perennial.baseUrl}/chat/completions`, { method: "POST", headers, body: "{my secret prompt" });
  await send(`${perennial.url}/elsewhere?key=sk-query`, { headers });
  await perennial.exchangeLog(4);
  expect(JSON.stringify(perennial.log)).not.toMatch(/sk-|secret|Hello/);
});

test.for([
  ["not JSON", "{"],
  ["nothing", ""],
  ["an array", "[]"],
])("a body that is %s is refused with a 400, and the upstream is not asked", async ([_what, body], { serve }) => {
  const { perennial, upstream } = await serve([WHOLE]);
  const seen = await send(`${perennial.baseUrl}/chat/completions`, {
    method: "POST",
    body,
    headers: { "content-type": "application/json" },
  });
  expect(seen.status).toBe(400);
  expect(JSON.parse(seen.body).error.code).toBe("invalid_request");
  expect(upstream.requests).toHaveLength(0);
  expect(await perennial.exchangeLog()).toMatchObject({ outcome: "rejected", failure: "invalid_request" });
});

test("paths that could leave the base URL, and paths beside it, are refused", async ({ serve }) => {
  const { perennial, upstream } = await serve([jsonReply("{}")]);
  const paths = [
    "/v1/../admin",
    "/v1/%2e%2e/admin",
    "/v1/a/%2E./b",
    "/v1/a/..%2fb",
    "/v1/a%5c..%5cb",
    "/v1/.",
    "/other",
    "/v1",
    "//v1/../x",
  ];
  for (const path of paths) {
    const reply = await raw(perennial.url, `GET ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`);
    expect([path, reply.slice(9, 12)]).toEqual([path, expect.stringMatching(/40[04]/)]);
  }
  const elsewhere = await raw(
    perennial.url,
    "GET http://127.0.0.1:1/v1/models HTTP/1.1\r\nhost: 127.0.0.1:1\r\nconnection: close\r\n\r\n",
  );
  expect(elsewhere.slice(9, 12)).toMatch(/40[04]/);
  expect(upstream.requests).toHaveLength(0);
  expect((await send(`${perennial.baseUrl}/models/org%2Fname`)).status).toBe(200);
  expect(upstream.requests[0]?.head).toContain("GET /v1/models/org%2Fname HTTP/1.1");
});

test.for([
  ["two lengths", "content-length: 5\r\ncontent-length: 6\r\n\r\nhello"],
  ["a length and chunks", "content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"],
  ["an obscured encoding", "transfer-encoding: xchunked\r\n\r\n0\r\n\r\n"],
  ["a header without a name", ": x\r\n\r\n"],
])("a request with %s is refused as broken", async ([_what, rest], { serve }) => {
  const { perennial, upstream } = await serve([WHOLE]);
  const seen = await raw(perennial.url, `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n${rest}`);
  expect(seen).toContain("HTTP/1.1 400");
  expect(seen).toContain('"code":"invalid_request"');
  expect(upstream.requests).toHaveLength(0);
});

test.for(["/v1/chat/completions/", "/v1//chat/completions", "/v1/chat/complet%69ons"])(
  "%s is protected as well",
  async (path, { serve }) => {
    const { perennial, upstream } = await serve((socket, { number }) =>
      sendFramed(socket, "chunked", number === 1 ? [] : chatEvents(["Hello"])),
    );
    const seen = await send(perennial.url + path, {
      method: "POST",
      body: '{"stream":true}',
      headers: { "content-type": "application/json" },
    });
    expect(readStream(seen.body)).toMatchObject({ text: "Hello", done: true });
    expect(upstream.requests[0]?.head).toContain("POST /v1/chat/completions HTTP/1.1");
  },
);

test("more exchanges than limits.maxStreams are told to come back", async ({ serve }) => {
  const { perennial } = await serve(ENDLESS, { limits: { maxStreams: 1 } });
  await new Promise<void>((resolve) => {
    void chat(
      perennial.baseUrl,
      {},
      {
        onRead: (_body, abort) => {
          resolve();
          setTimeout(abort, 200);
        },
      },
    ).catch(() => {});
  });
  const seen = await chat(perennial.baseUrl);
  expect(seen).toMatchObject({ status: 503, headers: { "retry-after": "1" } });
  expect(JSON.parse(seen.body).error.code).toBe("overloaded");
});

test("when the client leaves in mid-stream, the upstream is left at once", async ({ serve }) => {
  const { perennial, upstream } = await serve(ENDLESS);
  await chat(perennial.baseUrl, {}, { onRead: (_body, abort) => abort() }).catch(() => {});
  await expect.poll(() => upstream.sockets.size, { interval: 5 }).toBe(0);
  expect(await perennial.exchangeLog()).toMatchObject({ outcome: "cancelled" });
});

test("when the client leaves before the answer, the attempt ends, and no other begins", async ({ serve }) => {
  const { perennial, upstream } = await serve(() => {});
  const socket = connect(Number(new URL(perennial.url).port), "127.0.0.1");
  socket.write('POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 15\r\n\r\n{"stream":true}');
  await expect.poll(() => upstream.requests.length).toBe(1);
  socket.destroy();
  expect(await perennial.exchangeLog()).toMatchObject({ outcome: "cancelled", attempts: [{ n: 1 }] });
  await expect.poll(() => upstream.sockets.size).toBe(0);
  expect(upstream.requests).toHaveLength(1);
});

/** More than all buffers on the way can hold. */
const BIG_ANSWER = chatAnswer("x".repeat(30_000_000));

/** A client whose answer has begun to come, and who takes no more of it. */
function takeOnlyTheHead(perennial: TestPerennial): Promise<Socket> {
  const socket = connect(Number(new URL(perennial.url).port), "127.0.0.1");
  socket.write("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}");
  return new Promise((resolve) => {
    socket.once("data", () => resolve(socket.pause()));
  });
}

test("a client that leaves before it has taken the whole answer is told apart from one that has it", async ({ serve }) => {
  const { perennial } = await serve((socket) => socket.write(jsonReply(BIG_ANSWER)), { limits: { maxStreams: 1 } });
  const socket = await takeOnlyTheHead(perennial);
  // What it has not taken still fills memory, and counts.
  expect(JSON.parse((await chat(perennial.baseUrl)).body).error.code).toBe("overloaded");
  socket.destroy();
  expect(await perennial.exchangeLog(2)).toMatchObject({ outcome: "cancelled", status: 200 });
});

test("closing does not wait for a client that takes nothing", async ({ serve }) => {
  const { perennial } = await serve((socket) => socket.write(jsonReply(BIG_ANSWER)), { drain: { timeout: "100ms" } });
  const socket = await takeOnlyTheHead(perennial);
  // The client holds on until this has returned: waiting for it would be waiting for ever.
  await perennial.close();
  expect(socket.destroyed).toBe(false);
  socket.destroy();
});

test("when the client leaves between two attempts, the wait ends", async ({ serve }) => {
  const { perennial, upstream } = await serve((socket) => socket.write(jsonReply("{}", "503 Busy", "retry-after: 30\r\n")));
  const socket = connect(Number(new URL(perennial.url).port), "127.0.0.1");
  socket.write('POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 15\r\n\r\n{"stream":true}');
  await expect.poll(() => perennial.log.some(({ msg }) => /attempt 1 failed|retry|again/i.test(msg))).toBe(true);
  socket.destroy();
  expect(await perennial.exchangeLog()).toMatchObject({ outcome: "cancelled" });
  expect(upstream.requests).toHaveLength(1);
});

test("closing lets a running stream finish, and refuses new ones", async ({ serve }) => {
  const { perennial } = await serve(slowly(chatEvents(["a", "b", "c", "d"]), 50));
  let closed: Promise<void> | undefined;
  const seen = await chat(
    perennial.baseUrl,
    {},
    {
      onRead: () => {
        closed ??= perennial.close();
      },
    },
  );
  expect(readStream(seen.body)).toMatchObject({ text: "abcd", done: true });
  await closed;
  await expect(send(`${perennial.url}/healthz`)).rejects.toThrow("ECONNREFUSED");
});

test("a stream that outlives drain.timeout is told why it ends", async ({ serve }) => {
  const { perennial } = await serve(ENDLESS, { drain: { timeout: "100ms" } });
  let closed: Promise<void> | undefined;
  const seen = await chat(
    perennial.baseUrl,
    {},
    {
      onRead: () => {
        closed ??= perennial.close();
      },
    },
  );
  expect(readStream(seen.body)).toMatchObject({ text: "Hello", errorCode: "draining", done: false });
  expect(seen.end).toBe("clean");
  await closed;
});

test("a kept connection learns that Perennial is draining", async ({ serve }) => {
  const { perennial } = await serve(ENDLESS, { drain: { timeout: "300ms" } });
  const port = Number(new URL(perennial.url).port);
  const kept = connect(port, "127.0.0.1");
  let seen = "";
  kept.on("data", (chunk) => {
    seen += chunk;
  });
  const ask = 'POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 15\r\n\r\n{"stream":true}';
  kept.write(ask);
  await expect.poll(() => seen).toContain("Hello");
  const other = connect(port, "127.0.0.1");
  let answer = "";
  other.on("data", (chunk) => {
    answer += chunk;
  });
  // Half a request when the drain begins: it is not idle, and is answered.
  other.write("GET /readyz HTTP/1.1\r\nhost: x\r\n");
  await new Promise((resolve) => setTimeout(resolve, 30));
  const closed = perennial.close();
  other.write("\r\n");
  await expect.poll(() => answer).toContain("HTTP/1.1 503");
  await closed;
  expect(seen).toContain('"code":"draining"');
});

test("a defect in one exchange is told to its client, and the next one is served", async ({ serve }) => {
  const { perennial } = await serve([WHOLE]);
  // A header value that the upstream's client library refuses to send.
  const seen = await chat(perennial.baseUrl, {}, { headers: { "x-odd": "caf\u00e9" } });
  expect([200, 502]).toContain(seen.status);
  expect((await chat(perennial.baseUrl)).status).toBe(200);
});

test("every response has an id, and the probes answer", async ({ serve }) => {
  const { perennial } = await serve([WHOLE]);
  for (const path of ["/healthz", "/readyz", "/nothing", "/v1/models"]) {
    expect((await send(perennial.url + path)).headers["x-perennial-id"]).toMatch(/^[0-9a-f-]{36}$/);
  }
});

test("with no upstream configured the sandbox answers", async ({ startPerennial }) => {
  const perennial = await startPerennial(undefined);
  const seen = await chat(perennial.baseUrl, { model: "chaos/empty,ok" });
  expect(readStream(seen.body)).toMatchObject({ done: true, errorCode: undefined });
  expect(seen.headers).toMatchObject({ "x-perennial-attempts": "2", "x-perennial-upstream": "sandbox" });
});
