/** ChatGLM3's last line where its answer says `get_`: the whole answer, raw. The one finish that Perennial supplies. */
import type { Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { chat, readStream } from "./support/client.ts";
import { startPerennial, type TestPerennial } from "./support/perennial.ts";
import {
  chatAnswer,
  chatEvents,
  frame,
  jsonReply,
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

const chatglm3 = { profile: "chatglm3", warmup: "off" };

async function serve(answer: (socket: Socket, asked: { stream: boolean }) => unknown, own: object = chatglm3): Promise<void> {
  upstream = await startRawUpstream((socket, { json }) => answer(socket, json));
  perennial = await startPerennial(upstream.baseUrl, { upstream: own });
}

const STARTED = chatEvents(["Use ", "it"], { finish: null, done: false });
const RAW = "Use it as get_name:\nget_a()\n\n  and\ttabs";
const line = (raw: string): string => `data: ${raw.replaceAll("\n", "\r\ndata: ")}\r\n\r\n`;
const INTERRUPTED = { text: "Use it", done: false, finish: null };

test.each([
  ["alone", [...STARTED, line(RAW)]],
  ["before a ping", [...STARTED, line(RAW), ": ping\r\n\r\n"]],
])("the rest of a raw line that begins with what was sent is sent (%s), and finished", async (_how, events) => {
  await serve((socket) => sendFramed(socket, "chunked", events));
  const seen = await chat(perennial.baseUrl);
  const { data, ...stream } = readStream(seen.body);
  expect(stream).toMatchObject({ text: RAW, done: true, finish: "stop", errorCode: undefined });
  for (const item of data.slice(0, -1))
    expect(JSON.parse(item)).toMatchObject({ id: "chatcmpl-1", object: "chat.completion.chunk" });
  expect(await perennial.exchangeLog()).toMatchObject({ outcome: "repaired", attempts: [{ n: 1 }] });
});

test("a raw line that says no more than was sent is the end", async () => {
  await serve((socket) => sendFramed(socket, "chunked", [...STARTED, line("Use it")]));
  expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ text: "Use it", done: true, finish: "stop" });
});

test("a raw answer may itself look like JSON", async () => {
  const raw = '{"tool": "get_name"}';
  await serve((socket) =>
    sendFramed(socket, "chunked", [...chatEvents(['{"tool": '], { finish: null, done: false }), line(raw)]),
  );
  expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ text: raw, done: true });
});

test.each([
  ["begins otherwise", [...STARTED, line("Use that as get_name")]],
  ["is shorter than what was sent", [...STARTED, line("Use i")]],
  ["is followed by another", [...STARTED, line(RAW), line(RAW)]],
  ["is followed by an error", [...STARTED, line(RAW), 'data: {"error":"out of memory"}\n\n']],
  ["is followed by text that is no event", [...STARTED, line(RAW), "Traceback\n\n"]],
])("a raw line that %s is corruption", async (_what, events) => {
  await serve((socket) => sendFramed(socket, "chunked", events));
  expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ ...INTERRUPTED, errorCode: expect.any(String) });
  expect(await perennial.exchangeLog()).toMatchObject({ outcome: "interrupted", attempts: [{ n: 1 }] });
});

test("a raw line that is cut is a cut, at every byte of it", async () => {
  const start = STARTED.join("").length;
  const body = STARTED.join("") + line(RAW);
  let cutAt = start;
  // Without length or chunks only the blank line proves that it is whole; with chunks the last of them does.
  await serve((socket) => {
    const isChunked = cutAt % 2 === 0;
    if (!isChunked) return socket.end(`${SSE_HEAD}connection: close\r\n\r\n${body.slice(0, cutAt)}`);
    const bytes = frame("chunked-close", [body.slice(0, cutAt)]);
    return socket.end(bytes.subarray(0, -5));
  });
  for (; cutAt < body.length - 2; cutAt++) {
    const seen = readStream((await chat(perennial.baseUrl)).body);
    expect([cutAt, seen]).toEqual([cutAt, expect.objectContaining({ ...INTERRUPTED, errorCode: expect.any(String) })]);
  }
});

test.each([
  ["another profile", { profile: "vllm" }],
  ["chatglm3 without repairRawAnswer", { ...chatglm3, repairRawAnswer: false }],
  ["requireDone", { ...chatglm3, requireDone: true }],
])("with %s nothing is supplied", async (_what, own) => {
  await serve((socket) => sendFramed(socket, "chunked", [...STARTED, line(RAW)]), own);
  expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ ...INTERRUPTED, errorCode: expect.any(String) });
});

test("a raw line before which nothing was sent is asked for again, whole", async () => {
  await serve((socket, { stream }) =>
    stream ? sendFramed(socket, "chunked", [line(RAW)]) : socket.write(jsonReply(chatAnswer(RAW))),
  );
  expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ text: RAW, done: true });
  expect(upstream.requests).toHaveLength(2);
});

test("an answer that is empty ends alike, streamed and not", async () => {
  await serve((socket, { stream }) => (stream ? sendFramed(socket, "chunked", []) : socket.write(jsonReply(chatAnswer("")))));
  const streamed = await chat(perennial.baseUrl);
  expect(readStream(streamed.body)).toMatchObject({ text: "", done: true, finish: "stop" });
  const whole = await chat(perennial.baseUrl, { stream: false });
  expect([whole.status, JSON.parse(whole.body).choices[0].message.content]).toEqual([200, ""]);
  expect(upstream.requests).toHaveLength(6);
});
