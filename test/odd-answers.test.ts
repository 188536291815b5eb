/** Answers that break HTTP's own rules, and bytes that are no ASCII: what the client is told, and what passes unchanged. */
import { connect } from "node:net";
import { afterEach, expect, test } from "vitest";
import { chat, send } from "./support/client.ts";
import { startPerennial, type TestPerennial } from "./support/perennial.ts";
import { chatEvents, frame, jsonReply, type RawUpstream, SSE_HEAD, startRawUpstream } from "./support/raw-upstream.ts";

let upstream: RawUpstream;
let perennial: TestPerennial;

afterEach(async () => {
  await perennial.close();
  await upstream.close();
});

async function serve(answer: string | Buffer): Promise<void> {
  upstream = await startRawUpstream((socket) => socket.write(answer));
  perennial = await startPerennial(upstream.baseUrl, { retry: { maxAttempts: 1 } });
}

test.each([
  ["status 000", "HTTP/1.1 000 Odd\r\ncontent-length: 2\r\n\r\n{}", /a status that HTTP does not know/],
  ["status 099", "HTTP/1.1 099 Odd\r\ncontent-length: 2\r\n\r\n{}", /a status that HTTP does not know/],
  ["status 1000", "HTTP/1.1 1000 Odd\r\ncontent-length: 2\r\n\r\n{}", /not HTTP/],
  ["a length and chunks", `${SSE_HEAD}content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`, /length/],
  ["two lengths", `${SSE_HEAD}content-length: 2\r\ncontent-length: 3\r\n\r\n{}`, /length/],
  ["20 KB of headers", `${SSE_HEAD}x-a: ${"a".repeat(20_000)}\r\n\r\n`, /headers .* larger .*16 KiB/],
])("an answer with %s is told in plain words", async (_what, answer, words) => {
  await serve(answer);
  for (const seen of [await chat(perennial.baseUrl), await send(`${perennial.baseUrl}/models`)]) {
    expect(seen.status).toBe(502);
    const { code, message } = JSON.parse(seen.body).error;
    expect(code).toBe("upstream_unreachable");
    expect(message).toMatch(words);
    expect(message).not.toMatch(/ERR_|UND_|assert/i);
  }
});

test("status 999 is passed on as it is, with its body", async () => {
  await serve(jsonReply('{"error":{"message":"denied"}}', "999 Request denied"));
  for (const seen of [await chat(perennial.baseUrl), await send(`${perennial.baseUrl}/models`)]) {
    expect([seen.status, seen.body]).toEqual([999, '{"error":{"message":"denied"}}']);
  }
  expect(JSON.stringify(perennial.log)).not.toContain("internal_error");
});

const BYTES = `${Buffer.from("café 回答").toString("latin1")} \xff\x80\xa0`;

test.each([
  [
    "a stream",
    "POST /v1/chat/completions",
    '{"stream":true}',
    frame("chunked", chatEvents(["Hello"]), `${SSE_HEAD}x-odd: B\r\n`),
  ],
  ["an error", "POST /v1/chat/completions", '{"stream":true}', Buffer.from(jsonReply("{}", "400 No", "x-odd: B\r\n"))],
  ["what is passed through", "POST /v1/files", "{}", Buffer.from(jsonReply("{}", "200 OK", "x-odd: B\r\n"))],
])("bytes above 0x7f in headers pass unchanged both ways: %s", async (_what, line, body, answer) => {
  await serve(Buffer.from(answer.toString("latin1").replace("x-odd: B", `x-odd: ${BYTES}`), "latin1"));
  const socket = connect(Number(new URL(perennial.url).port), "127.0.0.1");
  let seen = "";
  socket.on("data", (chunk) => {
    seen += chunk.toString("latin1");
  });
  socket.write(
    Buffer.from(`${line} HTTP/1.1\r\nhost: x\r\nx-mine: ${BYTES}\r\ncontent-length: ${body.length}\r\n\r\n${body}`, "latin1"),
  );
  await expect.poll(() => seen).toContain("\r\n\r\n");
  socket.destroy();
  expect(seen).toContain(`x-odd: ${BYTES}\r\n`);
  expect(upstream.requests[0]?.head).toContain(`x-mine: ${BYTES}\r\n`);
});
