/** Spans are measured from a request's arrival, on a clock that no change of the time of day moves. */
import { connect } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { afterEach, expect, test, vi } from "vitest";
import { chat, readStream, send } from "./support/client.ts";
import { startPerennial, type TestPerennial } from "./support/perennial.ts";
import { sumOf } from "./support/prometheus.ts";
import { chatEvents, jsonReply, type RawUpstream, SSE_HEAD, startRawUpstream } from "./support/raw-upstream.ts";
import { afterTurns } from "./support/turns.ts";

let upstream: RawUpstream;
let perennial: TestPerennial;

afterEach(async () => {
  vi.restoreAllMocks();
  await perennial.close();
  await upstream.close();
});

/** A request whose body takes its time. @returns all that came back. */
function upload(spanMs: number, onUploaded: () => void = () => {}): Promise<string> {
  const body = JSON.stringify({ model: "m", stream: true, messages: [] });
  const socket = connect(Number(new URL(perennial.url).port), "127.0.0.1");
  const head = `POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-type: application/json`;
  socket.write(`${head}\r\ncontent-length: ${body.length}\r\n\r\n${body.slice(0, 9)}`);
  afterTurns(spanMs, () => {
    socket.write(body.slice(9));
    onUploaded();
  });
  let received = "";
  socket.on("data", (chunk) => {
    received += chunk;
  });
  return new Promise((resolve) => socket.on("close", () => resolve(received)));
}

test("durationMs and firstTokenMs begin before the upload, added latency behind it", async () => {
  upstream = await startRawUpstream((socket) => socket.end(`${SSE_HEAD}connection: close\r\n\r\n${chatEvents(["Hi"]).join("")}`));
  perennial = await startPerennial(upstream.baseUrl);
  expect(await upload(1_000)).toContain("[DONE]");
  const { durationMs, firstTokenMs } = await perennial.exchangeLog();
  expect(Math.min(durationMs, firstTokenMs)).toBeGreaterThanOrEqual(990);
  const metrics = (await send(`${perennial.url}/metrics`)).body;
  expect(sumOf(metrics, "perennial_added_latency_seconds_sum")).toBeLessThan(0.9);
  expect(sumOf(metrics, "perennial_exchange_duration_seconds_sum", { dialect: "openai-chat" })).toBeGreaterThan(0.98);
});

test("timeouts.total begins before the upload", async () => {
  upstream = await startRawUpstream(() => {});
  perennial = await startPerennial(upstream.baseUrl, { timeouts: { total: "3s" } });
  let uploadedAt = Number.POSITIVE_INFINITY;
  const seen = await upload(2_500, () => {
    uploadedAt = performance.now();
  });
  expect(seen).toContain("deadline_exceeded");
  expect(performance.now() - uploadedAt).toBeLessThan(2_900);
});

test("an upload that took all of timeouts.total is asked for nothing", async () => {
  upstream = await startRawUpstream(() => {});
  perennial = await startPerennial(upstream.baseUrl, { timeouts: { total: "100ms" } });
  expect(await upload(300)).toContain("deadline_exceeded");
  expect(upstream.requests).toHaveLength(0);
  expect(await perennial.exchangeLog()).toMatchObject({ outcome: "failed", failure: "deadline_exceeded" });
});

test.each([2, -2])("a time of day that jumps by %i hours changes nothing", async (hours) => {
  const now = Date.now.bind(Date);
  let jump = 0;
  vi.spyOn(Date, "now").mockImplementation(() => now() + jump);
  upstream = await startRawUpstream(async (socket, { number }) => {
    if (number === 1) jump = hours * 3_600_000;
    if (number === 1) socket.end(jsonReply("{}", "503 Busy", "retry-after: 0\r\nconnection: close\r\n"));
    else {
      socket.write(`${SSE_HEAD}connection: close\r\n\r\n`);
      for (const event of chatEvents(["Hello", ", ", "world"])) {
        socket.write(event);
        await pause(60);
      }
      jump = -jump;
      socket.end();
    }
  });
  perennial = await startPerennial(upstream.baseUrl, { timeouts: { firstToken: "2s", idle: "2s", total: "4s", stream: "4s" } });
  expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ text: "Hello, world", done: true });
  const line = await perennial.exchangeLog();
  expect(line).toMatchObject({ outcome: "recovered" });
  for (const ms of [
    line.durationMs,
    line.firstTokenMs,
    line.longestGapMs,
    ...line.attempts.map(({ ms }: { ms: number }) => ms),
  ]) {
    expect(ms).toBeGreaterThanOrEqual(0);
    expect(ms).toBeLessThan(10_000);
  }
  const metrics = (await send(`${perennial.url}/metrics`)).body;
  const sum = sumOf(metrics, "perennial_exchange_duration_seconds_sum", { dialect: "openai-chat" });
  expect(sum).toBeGreaterThan(0.1);
  expect(sum).toBeLessThan(10);
  await send(`${perennial.url}/nothing`);
  expect((await perennial.exchangeLog(2)).durationMs).toBeLessThan(10_000);
});

test("a date to wait for is read by the upstream's own clock", async () => {
  const at = (ms: number): string => new Date(Date.now() + 7_200_000 + ms).toUTCString();
  upstream = await startRawUpstream((socket, { number }) => {
    const busy = jsonReply("{}", "503 Busy", `date: ${at(0)}\r\nretry-after: ${at(1_000)}\r\nconnection: close\r\n`);
    socket.end(number === 1 ? busy : `${SSE_HEAD}connection: close\r\n\r\n${chatEvents(["Hi"]).join("")}`);
  });
  perennial = await startPerennial(upstream.baseUrl);
  expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ text: "Hi", done: true });
});
