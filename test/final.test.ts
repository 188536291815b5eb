/** What the same request would meet again is not paid for again. */
import { afterEach, expect, test } from "vitest";
import { chat } from "./support/client.ts";
import { startPerennial, type TestPerennial } from "./support/perennial.ts";
import { chatAnswer, chatEvents, frame, jsonReply, type RawUpstream, startRawUpstream } from "./support/raw-upstream.ts";

let upstream: RawUpstream;
let perennial: TestPerennial;

afterEach(async () => {
  await perennial.close();
  await upstream.close();
});

const refusal = (status: string, code: string): string =>
  jsonReply(JSON.stringify({ error: { message: "no", type: code, code } }), status);
const BIG = chatAnswer("x".repeat(3_000));
const SMALL_LIMITS = { limits: { maxEventBytes: "1KiB", maxBodyBytes: "2KiB" } };
const page = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>";

test.each<[string, string | Buffer, Record<string, unknown>, number]>([
  ["an empty account, as 429", refusal("429 Enough", "insufficient_quota"), {}, 1],
  ["an empty account, as 402", refusal("402 Pay", "billing"), {}, 1],
  ["a prompt that is too long, as 500", refusal("500 Oops", "context_length_exceeded"), {}, 1],
  ["a key that is refused", refusal("401 Who", "invalid_api_key"), {}, 1],
  ["an answer over a limit of ours", jsonReply(BIG), SMALL_LIMITS, 1],
  ["an event over a limit of ours", frame("chunked", [`data: ${BIG}\n\n`]), SMALL_LIMITS, 1],
  ["the same page", page, {}, 2],
  ["the same garbage", frame("chunked", ["data: {not json\n\n", "data: [DONE]\n\n"]), {}, 2],
])("%s is asked for as often as it makes sense", async (_what, reply, settings, requests) => {
  upstream = await startRawUpstream((socket) => socket.write(reply));
  perennial = await startPerennial(upstream.baseUrl, { ...settings, upstream: { emptyFallback: "off" } });
  const { status, headers } = await chat(perennial.baseUrl);
  expect(status).toBeGreaterThanOrEqual(400);
  expect(headers["x-should-retry"]).toBeUndefined();
  expect(upstream.requests).toHaveLength(requests);
});

test("garbage that differs each time is asked for again", async () => {
  upstream = await startRawUpstream((socket, { number }) =>
    socket.write(frame("chunked", number < 3 ? [`data: {"id": ${number}, not json\n\n`] : chatEvents(["Hello"]))),
  );
  perennial = await startPerennial(upstream.baseUrl);
  expect((await chat(perennial.baseUrl)).status).toBe(200);
  expect(upstream.requests).toHaveLength(3);
});
