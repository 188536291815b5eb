/** What is tried again, how soon, and what the client gets when nothing helps. */
import { expect } from "vitest";
import { chat, readStream, send } from "./support/client.ts";
import { WHOLE } from "./support/events.ts";
import { chatAnswer, chatEvents, frame, jsonReply, NOBODY, SSE_HEAD, sendFramed } from "./support/raw-upstream.ts";
import { atOnce } from "./support/replies.ts";
import { type Answer, test } from "./support/test.ts";

const close: Answer = (socket) => socket.end();
const reset: Answer = (socket) => socket.resetAndDestroy();

const whole = frame("chunked", chatEvents(["Hello"]));
const answer = jsonReply(chatAnswer("Hello"));
const refusal = (status: string, headers = ""): string =>
  jsonReply('{"error":{"message":"no","type":"t","code":null}}', status, headers);

const FAILURES: [how: string, step: string | Answer][] = [
  ["closes before it answers", close],
  ["resets before it answers", reset],
  ["answers with what is not HTTP", "SSH-2.0-OpenSSH_9.6\r\n"],
  ...["408 Slow", "409 Conflict", "429 Enough", "500 Oops", "502 Bad", "503 Busy", "504 Late", "529 Overloaded"].map(
    (status): [string, string] => [status, refusal(status)],
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

const asWhole = expect.objectContaining({ text: "Hello", done: true });
const ASKED: [stream: boolean, good: string | Buffer, read: (body: string) => unknown, said: unknown][] = [
  [true, whole, readStream, asWhole],
  [false, answer, (body) => body, chatAnswer("Hello")],
];

for (const [stream, good, read, said] of ASKED) {
  test.for(FAILURES)(`an upstream that %s is asked again, unseen (stream: ${stream})`, async ([_how, step], { serve }) => {
    const failing: Answer = typeof step === "string" ? (socket) => socket.end(step) : step;
    const { perennial } = await serve([failing, good]);
    const seen = await chat(perennial.baseUrl, { stream });
    expect(seen.status).toBe(200);
    expect(seen.headers["x-perennial-attempts"]).toBe("2");
    expect(read(seen.body)).toEqual(said);
    expect(await perennial.exchangeLog()).toMatchObject({ outcome: "recovered", attempts: [{ n: 1 }, { n: 2 }] });
  });
}

test("a status that may pass is passed on whole when the attempts are used up, and SDKs are told not to start over", async ({
  serve,
}) => {
  const { perennial } = await serve([refusal("500 Oops", "x-request-id: abc\r\n")]);
  const seen = await chat(perennial.baseUrl);
  expect(seen).toMatchObject({ status: 500, body: '{"error":{"message":"no","type":"t","code":null}}' });
  expect(seen.headers).toMatchObject({ "x-request-id": "abc", "x-should-retry": "false", "x-perennial-attempts": "3" });
  expect(await perennial.exchangeLog()).toMatchObject({ outcome: "failed", failure: "upstream_status" });
});

test.for(["400 Bad", "401 Who", "403 No", "404 Gone", "422 What"])(
  "%s is passed on byte for byte at once",
  async (status, { serve }) => {
    const { perennial, upstream } = await serve([refusal(status, "x-request-id: abc\r\n")]);
    const seen = await chat(perennial.baseUrl);
    expect(seen).toMatchObject({
      status: Number.parseInt(status, 10),
      body: '{"error":{"message":"no","type":"t","code":null}}',
    });
    expect(seen.headers["x-should-retry"]).toBeUndefined();
    expect(upstream.requests).toHaveLength(1);
  },
);

test.for([
  ["http://127.0.0.1:1/v2/chat/completions?key=secret", "put http://127.0.0.1:1/v2 in baseUrl"],
  ["/other", "put the address that answers there in baseUrl"],
  ["/v1/chat/completions/", "wants this path in another form"],
])(
  "a redirect to %s is never followed, nor passed on: SDKs would follow it around Perennial",
  async ([location, advice], { serve }) => {
    const { perennial, upstream } = await serve([`HTTP/1.1 307 Elsewhere\r\nlocation: ${location}\r\ncontent-length: 0\r\n\r\n`]);
    for (const stream of [true, false]) {
      const seen = await chat(perennial.baseUrl, { stream });
      expect(seen).toMatchObject({ status: 502, body: expect.stringContaining(advice) });
      expect(seen.body).not.toContain("secret");
      expect([seen.headers.location, seen.headers["x-should-retry"]]).toEqual([undefined, undefined]);
    }
    expect(upstream.requests).toHaveLength(2);
  },
);

test.for([
  ["", undefined],
  ["content-length: 55\r\n", "55"],
])("a 304 keeps the length that the upstream gives it (%j)", async ([header, length], { serve }) => {
  const { perennial } = await serve([`HTTP/1.1 304 Not Modified\r\netag: "1"\r\n${header}\r\n`]);
  const seen = await chat(perennial.baseUrl);
  expect([seen.status, seen.headers["content-length"]]).toEqual([304, length]);
});

test.for([
  ["retry-after-ms: 120", 120],
  ["retry-after: 0.12", 120],
  ["retry-after-ms: 120\r\nretry-after: 30", 120],
])("a wait that the upstream asks for is kept (%s)", async ([header, ms], { serve }) => {
  const { perennial } = await serve([refusal("429 Enough", `${header}\r\n`), whole]);
  const began = Date.now();
  expect((await chat(perennial.baseUrl)).status).toBe(200);
  expect(Date.now() - began).toBeGreaterThanOrEqual(ms - 5);
});

test("a wait longer than retry.maxRetryAfter is left to the client, with the upstream's own words", async ({ serve }) => {
  const { perennial, upstream } = await serve([refusal("429 Enough", "retry-after: 3600\r\n")]);
  const seen = await chat(perennial.baseUrl);
  expect(seen).toMatchObject({ status: 429, headers: { "retry-after": "3600" } });
  expect(upstream.requests).toHaveLength(1);
});

test.for([
  ["500 Oops", "x-should-retry: false\r\n", 1],
  ["400 Bad", "x-should-retry: true\r\n", 3],
])("%s with %s wins over the status", async ([status, header, requests], { serve }) => {
  const { perennial, upstream } = await serve([refusal(status, header)]);
  expect((await chat(perennial.baseUrl)).status).toBe(Number.parseInt(status, 10));
  expect(upstream.requests).toHaveLength(requests);
});

test("an upstream that is down is an HTTP error that says so", async ({ startPerennial }) => {
  const perennial = await startPerennial(NOBODY);
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

test("nothing is tried again once text has reached the client", async ({ serve }) => {
  const { perennial, upstream } = await serve((socket) =>
    sendFramed(socket, "close-delimited", chatEvents(["Hello"], { finish: null, done: false })),
  );
  expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ text: "Hello", errorCode: "stream_truncated" });
  expect(upstream.requests).toHaveLength(1);
});

test("with interruptEnd: cut the error event is followed by a broken connection", async ({ serve }) => {
  const { perennial } = await serve(
    (socket) => sendFramed(socket, "chunked", chatEvents(["Hello"], { finish: null, done: false })),
    { interruptEnd: "cut" },
  );
  const seen = await chat(perennial.baseUrl);
  expect(seen.end).toBe("cut");
  expect(readStream(seen.body)).toMatchObject({ text: "Hello", errorCode: "stream_truncated" });
});

test("the upstream gets the client's own bytes, and is asked for identity", async ({ serve }) => {
  const { perennial, upstream } = await serve([whole]);
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

test("early hints come before the response, not in its place", async ({ serve }) => {
  const { perennial } = await serve([Buffer.concat([Buffer.from("HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"), whole])]);
  expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ text: "Hello", done: true });
});

const CONTINUE = "HTTP/1.1 100 Continue\r\n\r\n";
const wordy = "HTTP/1.1 100 \r\ndate: today\r\n\r\n";

test.for([
  ["in one read with the answer", [Buffer.concat([Buffer.from(CONTINUE), whole])]],
  ["in a read of its own", [CONTINUE, whole]],
  ["twice, and with headers", [CONTINUE + wordy, whole]],
  ["in small pieces", [...[...CONTINUE], "HTTP/1.", "1 ", "2", whole.subarray("HTTP/1.1 2".length)]],
  ["before early hints", [`${CONTINUE}HTTP/1.1 103 Early Hints\r\n\r\n`, whole]],
])("a 100 Continue that nobody asked for comes before the response, not in its place (%s)", async ([_how, pieces], { serve }) => {
  const { perennial, upstream } = await serve(
    async (socket) => {
      socket.setNoDelay(true);
      for (const piece of pieces) {
        socket.write(piece);
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    },
    { retry: { maxAttempts: 1 } },
  );
  // A second time, on the connection that was kept.
  for (let i = 0; i < 2; i++)
    expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ text: "Hello", done: true });
  expect(upstream.connections).toBe(1);
});

test.for([
  ["a 100 and nothing more", CONTINUE],
  ["half a 100", "HTTP/1.1 10"],
  ["a 100 without an end", "HTTP/1.1 100 Continue\r\nx: y"],
  ["a 100 in the wrong line ends before an answer", Buffer.concat([Buffer.from("HTTP/1.1 100 Continue\n\n"), whole])],
])("%s is no answer, on a kept connection or on a new one", async ([_how, bytes], { serve }) => {
  const { perennial, upstream } = await serve((socket, { number }) => (number === 1 ? socket.write(whole) : socket.end(bytes)), {
    retry: { maxAttempts: 1 },
  });
  await chat(perennial.baseUrl);
  for (let i = 0; i < 2; i++) expect((await chat(perennial.baseUrl)).status).toBe(502);
  expect(upstream.requests).toHaveLength(3);
});

test("a body shorter than its content-length is a cut", async ({ serve }) => {
  const head = `${SSE_HEAD}content-length: 9999\r\n\r\n`;
  const { perennial } = await serve((socket) => socket.end(head + chatEvents(["Hello"], { finish: null, done: false }).join("")));
  expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ text: "Hello", errorCode: "stream_truncated" });
});

test("a wait that makes no sense is not taken for none", async ({ serve }) => {
  const { perennial } = await serve([jsonReply("{}", "503 Busy", "retry-after: soon GMT\r\n"), atOnce(WHOLE)], {
    retry: { backoff: { initial: "150ms", jitter: false } },
  });
  const began = Date.now();
  expect((await chat(perennial.baseUrl)).status).toBe(200);
  expect(Date.now() - began).toBeGreaterThanOrEqual(145);
});

test.for(["501 Never", "505 Never"])("%s will not change, and is passed on at once", async (status, { serve }) => {
  const { perennial, upstream } = await serve([jsonReply("{}", status)]);
  expect((await chat(perennial.baseUrl)).status).toBe(Number.parseInt(status, 10));
  expect(upstream.requests).toHaveLength(1);
});

test("retries of all requests together are bounded, and what is beyond that gets its failure at once", async ({ serve }) => {
  const { perennial, upstream } = await serve([refusal("500 Oops")], {
    retry: { backoff: { initial: 0 }, budget: { percent: 10, min: 3 } },
  });
  for (let count = 0; count < 5; count++) expect((await chat(perennial.baseUrl)).status).toBe(500);
  expect(upstream.requests).toHaveLength(5 + 3);
  const { body } = await send(`${perennial.url}/metrics`);
  // Two attempts of the second request, and those of the three behind it.
  expect(body).toContain("perennial_retries_refused_total 4");
});
