/** What is tried again, how soon, and what the client gets when nothing helps. */
import { afterEach, expect, test } from "vitest";
import { chat, readStream, send } from "./support/client.ts";
import { startPerennial, type TestPerennial } from "./support/perennial.ts";
import {
  chatAnswer,
  chatEvents,
  frame,
  jsonReply,
  NOBODY,
  type RawUpstream,
  SSE_HEAD,
  sendFramed,
  startRawUpstream,
} from "./support/raw-upstream.ts";

let upstream: RawUpstream;
let perennial: TestPerennial;

afterEach(async () => {
  await perennial.close();
  await upstream.close();
});

type Step = (string | Buffer) | "close" | "reset";

/** Answers the requests in order, the last step again and again. */
async function serve(steps: Step[], settings: Record<string, unknown> = {}): Promise<void> {
  upstream = await startRawUpstream((socket, { number }) => {
    const step = steps[Math.min(number, steps.length) - 1] as Step;
    if (step === "close") socket.end();
    else if (step === "reset") socket.resetAndDestroy();
    else socket.write(step);
  });
  perennial = await startPerennial(upstream.baseUrl, settings);
}

const whole = frame("chunked", chatEvents(["Hello"]));
const answer = jsonReply(chatAnswer("Hello"));
const refusal = (status: string, headers = ""): string =>
  jsonReply('{"error":{"message":"no","type":"t","code":null}}', status, headers);

const FAILURES: [how: string, step: Step][] = [
  ["closes before it answers", "close"],
  ["resets before it answers", "reset"],
  ["answers with what is not HTTP", "SSH-2.0-OpenSSH_9.6\r\n"],
  ...["408 Slow", "409 Conflict", "429 Enough", "500 Oops", "502 Bad", "503 Busy", "504 Late", "529 Overloaded"].map(
    (status): [string, Step] => [status, refusal(status)],
  ),
  ["200 and a JSON error", jsonReply('{"error":{"message":"no"}}')],
  ["200 and null", jsonReply("null")],
  ["200 and an empty JSON body", jsonReply("")],
  [
    "200 and half a JSON",
    `${jsonReply("").replace("content-length: 0", "connection: close").trimEnd()}\r\n\r\n{"choices":[{"ind`,
  ],
  ["200, JSON, unfinished", jsonReply(chatAnswer("Hel", null))],
  ["200 and no choices", jsonReply('{"choices":[]}')],
];

for (const stream of [true, false]) {
  test.each(FAILURES)(`an upstream that %s is asked again, unseen (stream: ${stream})`, async (_how, step) => {
    upstream = await startRawUpstream((socket, { number }) => {
      if (number > 1) socket.write(stream ? whole : answer);
      else if (step === "close") socket.end();
      else if (step === "reset") socket.resetAndDestroy();
      else socket.end(step);
    });
    perennial = await startPerennial(upstream.baseUrl);
    const seen = await chat(perennial.baseUrl, { stream });
    expect(seen.status).toBe(200);
    expect(seen.headers["x-perennial-attempts"]).toBe("2");
    if (stream) expect(readStream(seen.body)).toMatchObject({ text: "Hello", done: true });
    else expect(seen.body).toBe(chatAnswer("Hello"));
    expect(await perennial.exchangeLog()).toMatchObject({ outcome: "recovered", attempts: [{ n: 1 }, { n: 2 }] });
  });
}

test("a status that may pass is passed on whole when the attempts are used up, and SDKs are told not to start over", async () => {
  await serve([refusal("500 Oops", "x-request-id: abc\r\n")]);
  const seen = await chat(perennial.baseUrl);
  expect(seen).toMatchObject({ status: 500, body: '{"error":{"message":"no","type":"t","code":null}}' });
  expect(seen.headers).toMatchObject({ "x-request-id": "abc", "x-should-retry": "false", "x-perennial-attempts": "3" });
  expect(await perennial.exchangeLog()).toMatchObject({ outcome: "failed", failure: "upstream_status" });
});

test.each(["400 Bad", "401 Who", "403 No", "404 Gone", "422 What"])("%s is passed on byte for byte at once", async (status) => {
  await serve([refusal(status, "x-request-id: abc\r\n")]);
  const seen = await chat(perennial.baseUrl);
  expect(seen).toMatchObject({ status: Number.parseInt(status, 10), body: '{"error":{"message":"no","type":"t","code":null}}' });
  expect(seen.headers["x-should-retry"]).toBeUndefined();
  expect(upstream.requests).toHaveLength(1);
});

test.each([
  ["http://127.0.0.1:1/v2/chat/completions?key=secret", "put http://127.0.0.1:1/v2 in baseUrl"],
  ["/other", "put the address that answers there in baseUrl"],
  ["/v1/chat/completions/", "wants this path in another form"],
])("a redirect to %s is never followed, nor passed on: SDKs would follow it around Perennial", async (location, advice) => {
  await serve([`HTTP/1.1 307 Elsewhere\r\nlocation: ${location}\r\ncontent-length: 0\r\n\r\n`]);
  for (const stream of [true, false]) {
    const seen = await chat(perennial.baseUrl, { stream });
    expect(seen).toMatchObject({ status: 502, body: expect.stringContaining(advice) });
    expect(seen.body).not.toContain("secret");
    expect([seen.headers.location, seen.headers["x-should-retry"]]).toEqual([undefined, undefined]);
  }
  expect(upstream.requests).toHaveLength(2);
});

test.each([
  ["", undefined],
  ["content-length: 55\r\n", "55"],
])("a 304 keeps the length that the upstream gives it (%j)", async (header, length) => {
  await serve([`HTTP/1.1 304 Not Modified\r\netag: "1"\r\n${header}\r\n`]);
  const seen = await chat(perennial.baseUrl);
  expect([seen.status, seen.headers["content-length"]]).toEqual([304, length]);
});

test.each([
  ["retry-after-ms: 120", 120],
  ["retry-after: 0.12", 120],
  ["retry-after-ms: 120\r\nretry-after: 30", 120],
])("a wait that the upstream asks for is kept (%s)", async (header, ms) => {
  await serve([refusal("429 Enough", `${header}\r\n`), whole]);
  const began = Date.now();
  expect((await chat(perennial.baseUrl)).status).toBe(200);
  expect(Date.now() - began).toBeGreaterThanOrEqual(ms - 5);
});

test("a wait longer than retry.maxRetryAfter is left to the client, with the upstream's own words", async () => {
  await serve([refusal("429 Enough", "retry-after: 3600\r\n")]);
  const seen = await chat(perennial.baseUrl);
  expect(seen).toMatchObject({ status: 429, headers: { "retry-after": "3600" } });
  expect(upstream.requests).toHaveLength(1);
});

test.each([
  ["500 Oops", "x-should-retry: false\r\n", 1],
  ["400 Bad", "x-should-retry: true\r\n", 3],
])("%s with %s wins over the status", async (status, header, requests) => {
  await serve([refusal(status, header)]);
  expect((await chat(perennial.baseUrl)).status).toBe(Number.parseInt(status, 10));
  expect(upstream.requests).toHaveLength(requests);
});

test("an upstream that is down is an HTTP error that says so", async () => {
  await serve([whole]);
  await perennial.close();
  perennial = await startPerennial(NOBODY);
  for (const stream of [true, false]) {
    const seen = await chat(perennial.baseUrl, { stream });
    expect(seen.status).toBe(502);
    expect(JSON.parse(seen.body)).toMatchObject({
      error: { code: "upstream_unreachable", type: "upstream_error", param: null },
      code: 502,
    });
    expect(JSON.parse(seen.body).msg).toContain("refused the connection");
  }
});

test.each(["end", "resetAndDestroy"] as const)(
  "a kept connection that dies when it is used again costs no attempt (%s)",
  async (how) => {
    let stale = false;
    upstream = await startRawUpstream((socket) => {
      if (stale) {
        stale = false;
        socket[how]();
      } else sendFramed(socket, "chunked", chatEvents(["Hello"]));
    });
    perennial = await startPerennial(upstream.baseUrl, { retry: { maxAttempts: 1 } });
    await chat(perennial.baseUrl);
    stale = true;
    const seen = await chat(perennial.baseUrl);
    expect(upstream.requests).toHaveLength(3);
    expect(upstream.connections).toBe(2);
    expect(readStream(seen.body)).toMatchObject({ text: "Hello", done: true });
    expect(seen.headers["x-perennial-attempts"]).toBe("1");
  },
);

test("a kept connection that dies within the head of its answer costs an attempt", async () => {
  await serve([whole, "HTTP/1.1 200 OK\r\ncontent-ty", whole]);
  await chat(perennial.baseUrl);
  const seen = chat(perennial.baseUrl);
  await expect.poll(() => upstream.requests.length).toBe(2);
  for (const socket of upstream.sockets) socket.end();
  expect((await seen).headers["x-perennial-attempts"]).toBe("2");
});

test.each(["end", "resetAndDestroy"] as const)(
  "a new connection that dies within the head of its answer is one attempt, asked once (%s)",
  async (how) => {
    upstream = await startRawUpstream((socket) => {
      socket.write("HTTP/1.1 200 OK\r\ncontent-ty", () => setTimeout(() => socket[how](), 20));
    });
    perennial = await startPerennial(upstream.baseUrl);
    const seen = await chat(perennial.baseUrl);
    expect([seen.status, seen.headers["x-perennial-attempts"], upstream.requests.length]).toEqual([502, "3", 3]);
  },
);

test("a new connection that dies is an attempt", async () => {
  await serve(["close"], { retry: { maxAttempts: 1 } });
  expect((await chat(perennial.baseUrl)).status).toBe(502);
  expect(upstream.requests).toHaveLength(1);
});

test("connections are kept and used again", async () => {
  await serve([whole]);
  for (let i = 0; i < 5; i++) await chat(perennial.baseUrl);
  expect(upstream.connections).toBe(1);
});

test("nothing is tried again once text has reached the client", async () => {
  upstream = await startRawUpstream((socket) =>
    sendFramed(socket, "close-delimited", chatEvents(["Hello"], { finish: null, done: false })),
  );
  perennial = await startPerennial(upstream.baseUrl);
  expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ text: "Hello", errorCode: "stream_truncated" });
  expect(upstream.requests).toHaveLength(1);
});

test("with interruptEnd: cut the error event is followed by a broken connection", async () => {
  upstream = await startRawUpstream((socket) =>
    sendFramed(socket, "chunked", chatEvents(["Hello"], { finish: null, done: false })),
  );
  perennial = await startPerennial(upstream.baseUrl, { interruptEnd: "cut" });
  const seen = await chat(perennial.baseUrl);
  expect(seen.end).toBe("cut");
  expect(readStream(seen.body)).toMatchObject({ text: "Hello", errorCode: "stream_truncated" });
});

test("an answer that is not streamed comes through byte for byte, with the upstream's headers", async () => {
  const odd = `${JSON.stringify(JSON.parse(chatAnswer("Grüße 细水长流")), null, 3)}\n`;
  await serve([jsonReply(odd, "200 OK", "x-request-id: abc\r\nconnection: x-hop\r\nx-hop: 1\r\n")]);
  const seen = await chat(perennial.baseUrl, { stream: false });
  expect(seen.body).toBe(odd);
  expect(seen.headers).toMatchObject({ "x-request-id": "abc", "x-perennial-attempts": "1", "x-perennial-upstream": "main" });
  expect(seen.headers["x-hop"]).toBeUndefined();
});

test("the upstream gets the client's own bytes, and is asked for identity", async () => {
  await serve([whole]);
  const body = '{ "model":"m", "stream" : true,\n "messages":[], "extra": 1.0 }';
  await send(`${perennial.baseUrl}/chat/completions?api-version=7`, {
    method: "POST",
    headers: { "content-type": "application/json", "accept-encoding": "gzip", "x-mine": "1" },
    body,
  });
  const [seen] = upstream.requests;
  expect(seen?.body).toBe(body);
  expect(seen?.head).toContain("POST /v1/chat/completions?api-version=7 HTTP/1.1");
  expect(seen?.head).toContain("accept-encoding: identity");
  expect(seen?.head).toContain("x-mine: 1");
});

test("early hints come before the response, not in its place", async () => {
  await serve([Buffer.concat([Buffer.from("HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"), whole])]);
  expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ text: "Hello", done: true });
});

const CONTINUE = "HTTP/1.1 100 Continue\r\n\r\n";
const wordy = "HTTP/1.1 100 \r\ndate: today\r\n\r\n";

test.each([
  ["in one read with the answer", [Buffer.concat([Buffer.from(CONTINUE), whole])]],
  ["in a read of its own", [CONTINUE, whole]],
  ["twice, and with headers", [CONTINUE + wordy, whole]],
  ["in small pieces", [...[...CONTINUE], "HTTP/1.", "1 ", "2", whole.subarray("HTTP/1.1 2".length)]],
  ["before early hints", [`${CONTINUE}HTTP/1.1 103 Early Hints\r\n\r\n`, whole]],
])("a 100 Continue that nobody asked for comes before the response, not in its place (%s)", async (_how, pieces) => {
  upstream = await startRawUpstream(async (socket) => {
    socket.setNoDelay(true);
    for (const piece of pieces) {
      socket.write(piece);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  });
  perennial = await startPerennial(upstream.baseUrl, { retry: { maxAttempts: 1 } });
  // A second time, on the connection that was kept.
  for (let i = 0; i < 2; i++)
    expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ text: "Hello", done: true });
  expect(upstream.connections).toBe(1);
});

test.each([
  ["a 100 and nothing more", CONTINUE],
  ["half a 100", "HTTP/1.1 10"],
  ["a 100 without an end", "HTTP/1.1 100 Continue\r\nx: y"],
  ["a 100 in the wrong line ends before an answer", Buffer.concat([Buffer.from("HTTP/1.1 100 Continue\n\n"), whole])],
])("%s is no answer, on a kept connection or on a new one", async (_how, bytes) => {
  upstream = await startRawUpstream((socket, { number }) => (number === 1 ? socket.write(whole) : socket.end(bytes)));
  perennial = await startPerennial(upstream.baseUrl, { retry: { maxAttempts: 1 } });
  await chat(perennial.baseUrl);
  for (let i = 0; i < 2; i++) expect((await chat(perennial.baseUrl)).status).toBe(502);
  expect(upstream.requests).toHaveLength(3);
});

test("a body shorter than its content-length is a cut", async () => {
  const head = `${SSE_HEAD}content-length: 9999\r\n\r\n`;
  upstream = await startRawUpstream((socket) => socket.end(head + chatEvents(["Hello"], { finish: null, done: false }).join("")));
  perennial = await startPerennial(upstream.baseUrl);
  expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ text: "Hello", errorCode: "stream_truncated" });
});
