/** What a client is told of a failure: what happened, how much of the answer it has got, and advice that is true. */
import type { Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { chat, send } from "./support/client.ts";
import { startPerennial, type TestPerennial } from "./support/perennial.ts";
import {
  chatEvents,
  frame,
  jsonReply,
  NOBODY,
  type RawUpstream,
  SSE_HEAD,
  sendFramed,
  startRawUpstream,
} from "./support/raw-upstream.ts";

let upstream: RawUpstream | undefined;
let perennial: TestPerennial;

afterEach(async () => {
  await perennial.close();
  await upstream?.close();
  upstream = undefined;
});

async function serve(answer: (socket: Socket) => unknown, settings: Record<string, unknown> = {}): Promise<void> {
  upstream = await startRawUpstream(answer);
  perennial = await startPerennial(upstream.baseUrl, { retry: { maxAttempts: 1 }, ...settings });
}

async function messageOf(body: object = {}, headers: Record<string, string> = {}): Promise<string> {
  const seen = await chat(perennial.baseUrl, body, { headers });
  const json = seen.body.startsWith("{") ? seen.body : (seen.body.split("data: ").at(-1) ?? "");
  return JSON.parse(json).error.message;
}

const part =
  (...events: string[]) =>
  (socket: Socket) =>
    sendFramed(socket, "chunked", events);
const open =
  (...events: string[]) =>
  (socket: Socket) =>
    socket.write(
      frame("chunked", events)
        .toString("latin1")
        .replace(/0\r\n\r\n$/, ""),
      "latin1",
    );
const CUT = chatEvents(["Hello", " you"], { finish: null, done: false });
const SILENT = (): void => {};

test("a break in mid-text begins with the words that programs look for, and counts the text", async () => {
  await serve(part(...CUT));
  expect(await messageOf()).toMatch(
    /^Incomplete stream: the upstream .*: 9 characters had arrived, after 1 attempt\. Send the request again\.$/,
  );
});

test("text that was held behind a tool call is not counted: its client never got it", async () => {
  const call = (piece: object): string =>
    `data: ${JSON.stringify({ choices: [{ index: 0, delta: { tool_calls: [{ index: 0, ...piece }] }, finish_reason: null }] })}\n\n`;
  const held = chatEvents(["never shown"], { finish: null, done: false }).at(-1) ?? "";
  await serve(part(...CUT, call({ id: "c", function: { name: "f", arguments: '{"a' } }), held));
  const seen = await chat(perennial.baseUrl);
  expect(seen.body).not.toContain("never shown");
  expect(seen.body).toContain(": 9 characters had arrived");
});

test.each([
  ["streamed", {}, /^Incomplete stream: .* No text had arrived, after 1 attempt\./],
  [
    "not streamed",
    { stream: false },
    /^Incomplete stream: .* No answer had arrived, after 1 attempt\. Send the request again\.$/,
  ],
])("what was cut before any text says so as well (%s)", async (_how, body, expected) => {
  const head = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{"choices":[';
  await serve((socket) => socket.end(head));
  expect(await messageOf(body)).toMatch(expected);
});

test.each([
  ["not streamed", { stream: false }, {}, /raise timeouts\.total, or stream\.$/],
  ["streamed", {}, {}, /raise timeouts\.total\.$/],
  [
    "narrowed by the client",
    { stream: false },
    { "x-perennial-total-timeout": "100ms" },
    /raise x-perennial-total-timeout, or stream\.$/,
  ],
])("the deadline names what to raise, and nothing that would end the same way (%s)", async (_how, body, headers, expected) => {
  await serve(SILENT, { timeouts: { total: "150ms" } });
  const message = await messageOf(body, headers);
  expect(message).toMatch(expected);
  expect(message).not.toMatch(/send the request again/i);
});

test.each([
  [
    "a late first token",
    SILENT,
    { timeouts: { firstToken: "100ms" } },
    {},
    /Send the request again; if that happens each time, raise timeouts\.firstToken\.$/,
  ],
  [
    "a stall",
    open(...CUT),
    { timeouts: { idle: "100ms" } },
    {},
    /Send the request again; if that happens each time, raise timeouts\.idle\.$/,
  ],
  ["a stall, narrowed", open(...CUT), {}, { "x-perennial-idle-timeout": "100ms" }, /raise x-perennial-idle-timeout\.$/],
  ["an empty stream", part(), {}, {}, /No text had arrived, after 1 attempt\. Send the request again\.$/],
  [
    "an error in the stream",
    part(...CUT, 'data: {"error":{"message":"out of memory","code":500}}\n\n'),
    {},
    {},
    /: out of memory\. .*Send the request again\.$/,
  ],
  [
    "an error that is final",
    part(...CUT, 'data: {"error":{"message":"too long","code":400}}\n\n'),
    {},
    {},
    /The same request would fail again\.$/,
  ],
  [
    "an error of the upstream's account",
    part(...CUT, 'data: {"error":{"message":"no money","code":402}}\n\n'),
    {},
    {},
    /This upstream would refuse the same request again\.$/,
  ],
  [
    "an event over the limit",
    part(...CUT, `data: ${"x".repeat(5_000)}\n\n`),
    { limits: { maxEventBytes: "1KiB" } },
    {},
    /limits\.maxEventBytes \(1024 bytes\)\. .*The same request would fail again\.$/,
  ],
])("%s", async (_what, answer, settings, headers, expected) => {
  await serve(answer, settings);
  expect(await messageOf({}, headers)).toMatch(expected);
});

test("an answer over limits.maxBodyBytes names the limit, and is not asked for again", async () => {
  await serve((socket) => socket.write(jsonReply(`{"choices":"${"x".repeat(5_000)}"}`)), {
    limits: { maxBodyBytes: "1KiB" },
    retry: { maxAttempts: 3 },
  });
  expect(await messageOf({ stream: false })).toMatch(
    /limits\.maxBodyBytes \(1024 bytes\)\. .*The same request would fail again\.$/,
  );
  expect(upstream?.requests).toHaveLength(1);
});

test("an upstream that is not there", async () => {
  perennial = await startPerennial(NOBODY, { retry: { maxAttempts: 1 } });
  expect(await messageOf()).toMatch(/^The upstream refused the connection\. .*Send the request again\.$/);
});

test("a shutdown is no fault of the request's", async () => {
  await serve(open(...CUT), { drain: { timeout: "50ms" } });
  const told = messageOf();
  await expect.poll(() => upstream?.requests.length).toBe(1);
  await perennial.close();
  expect(await told).toMatch(/Send the request again in a moment\.$/);
});

test("what may not be safe to send twice is not said to be", async () => {
  await serve((socket) => socket.end());
  const seen = await send(`${perennial.baseUrl}/threads`, { method: "POST", body: "{}" });
  expect(JSON.parse(seen.body).error.message).toMatch(/Send the request again, if it may be done twice\.$/);
});

test("an event stream that never begins says the same", async () => {
  await serve((socket) => socket.write(`${SSE_HEAD}content-length: 0\r\n\r\n`));
  expect(await messageOf()).toMatch(/No text had arrived/);
});
