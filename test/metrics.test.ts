/** What /metrics says after what has happened, and who may read it. */
import { once } from "node:events";
import { connect } from "node:net";
import { expect } from "vitest";
import { askSlowly, chat, readStream, send } from "./support/client.ts";
import type { TestPerennial } from "./support/perennial.ts";
import { readSamples, sumOf } from "./support/prometheus.ts";
import { chatAnswer, chatEvents, frame, jsonReply } from "./support/raw-upstream.ts";
import { STREAM_HEAD } from "./support/replies.ts";
import { test } from "./support/test.ts";

const WHOLE = frame("chunked", chatEvents(["Hello"]));
const EMPTY = frame("chunked", []);
const BUSY = jsonReply("{}", "500 Oops");

const metrics = async (perennial: TestPerennial, headers = {}): Promise<string> =>
  (await send(`${perennial.url}/metrics`, { headers })).body;

test("counts exchanges by outcome, attempts by result, and what was saved by what would have been lost", async ({ serve }) => {
  const { perennial } = await serve([WHOLE, EMPTY, BUSY, WHOLE, BUSY]);
  await chat(perennial.baseUrl);
  await chat(perennial.baseUrl);
  await chat(perennial.baseUrl);
  await send(`${perennial.baseUrl}/chat/completions`, { method: "POST", body: "{" });
  await perennial.exchangeLog(4);
  const text = await metrics(perennial);
  const outcomes = (outcome: string) => sumOf(text, "perennial_exchanges_total", { outcome });
  expect({ complete: outcomes("complete"), recovered: outcomes("recovered"), failed: outcomes("failed") }).toEqual({
    complete: 1,
    recovered: 1,
    failed: 1,
  });
  expect(outcomes("rejected")).toBe(1);
  expect(sumOf(text, "perennial_exchanges_total", { dialect: "openai-chat" })).toBe(3);
  const attempts = (result: string) => sumOf(text, "perennial_attempts_total", { upstream: "main", result });
  expect([attempts("ok"), attempts("empty_stream"), attempts("upstream_status")]).toEqual([2, 1, 4]);
  expect(sumOf(text, "perennial_retries_total", { upstream: "main", cause: "upstream_status" })).toBe(3);
  expect(sumOf(text, "perennial_retries_total")).toBe(4);
  expect(sumOf(text, "perennial_recovered_total", { cause: "empty_stream" })).toBe(1);
  expect(sumOf(text, "perennial_recovered_total")).toBe(1);
  expect(sumOf(text, "perennial_failures_total", { code: "upstream_status" })).toBe(1);
  expect(sumOf(text, "perennial_failures_total", { code: "invalid_request" })).toBe(1);
  expect(sumOf(text, "perennial_time_to_first_token_seconds_count", { dialect: "openai-chat" })).toBe(2);
  expect(sumOf(text, "perennial_exchange_duration_seconds_count")).toBe(3);
  expect(sumOf(text, "perennial_added_latency_seconds_count")).toBe(3);
  const added = sumOf(text, "perennial_added_latency_seconds_sum");
  expect(added).toBeLessThan(sumOf(text, "perennial_exchange_duration_seconds_sum"));
});

test("measures from a connection's accept to its first request, and no other", async ({ serve }) => {
  const { perennial } = await serve([]);
  const { hostname, port } = new URL(perennial.url);
  const socket = connect(Number(port), hostname);
  await once(socket, "connect");
  await new Promise((resolve) => setTimeout(resolve, 60));
  socket.write("GET /healthz HTTP/1.1\r\nhost: here\r\n\r\n");
  await once(socket, "data");
  socket.end("GET /metrics HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n");
  const text = (await socket.setEncoding("utf8").toArray()).join("");
  expect(sumOf(text, "perennial_first_request_wait_seconds_count")).toBe(1);
  expect(sumOf(text, "perennial_first_request_wait_seconds_sum")).toBeGreaterThan(0.05);
});

test("measures the longest silence between two contents, and the bytes that the client got", async ({ serve }) => {
  const [role = "", ...events] = chatEvents(["a", "b", "c"]);
  const { perennial } = await serve(async (socket) => {
    socket.write(`${STREAM_HEAD}${role}`);
    for (const [index, event] of events.entries()) {
      await new Promise((resolve) => setTimeout(resolve, index === 2 ? 150 : 5));
      socket.write(event);
    }
    socket.end();
  });
  const { body } = await chat(perennial.baseUrl);
  const { longestGapMs, durationMs } = await perennial.exchangeLog();
  expect(longestGapMs).toBeGreaterThan(140);
  expect(longestGapMs).toBeLessThanOrEqual(durationMs);
  const text = await metrics(perennial);
  expect(sumOf(text, "perennial_longest_gap_seconds_count", { dialect: "openai-chat" })).toBe(1);
  expect(sumOf(text, "perennial_longest_gap_seconds_sum")).toBeGreaterThan(0.14);
  expect(sumOf(text, "perennial_client_bytes_total", { dialect: "openai-chat" })).toBe(Buffer.byteLength(body));
});

test("an answer that is not streamed has no first token and no gaps", async ({ serve }) => {
  const { perennial } = await serve([jsonReply(chatAnswer("Hello"))]);
  await chat(perennial.baseUrl, { stream: false });
  await perennial.exchangeLog();
  const text = await metrics(perennial);
  expect(sumOf(text, "perennial_time_to_first_token_seconds_count")).toBe(0);
  expect(sumOf(text, "perennial_longest_gap_seconds_count")).toBe(0);
  expect(sumOf(text, "perennial_exchange_duration_seconds_count")).toBe(1);
});

/** What chat() sends, which is kept as long as it may have to be sent again. */
const ASKED_BYTES = Buffer.byteLength(JSON.stringify({ model: "m", stream: true, messages: [{ role: "user", content: "hi" }] }));
const heldIn = async (perennial: TestPerennial): Promise<number> => sumOf(await metrics(perennial), "perennial_held_bytes");

test("shows open exchanges and held bytes while they last", async ({ serve }) => {
  const [role = "", ...rest] = chatEvents(["你好"]);
  let go = (): void => {};
  const { perennial } = await serve((socket) => {
    socket.write(`${STREAM_HEAD}${role}`);
    go = () => socket.end(rest.join(""));
  });
  const seen = chat(perennial.baseUrl);
  await expect.poll(() => heldIn(perennial)).toBeGreaterThanOrEqual(ASKED_BYTES + Buffer.byteLength(role));
  expect(sumOf(await metrics(perennial), "perennial_open_exchanges")).toBe(1);
  go();
  expect(readStream((await seen).body)).toMatchObject({ text: "你好", done: true });
  await expect.poll(async () => sumOf(await metrics(perennial), "perennial_open_exchanges")).toBe(0);
  expect(await heldIn(perennial)).toBe(0);
});

test("what a failed attempt held back is no longer counted while the next one waits", async ({ serve }) => {
  const [role = ""] = chatEvents([]);
  const { perennial } = await serve((socket) => socket.end(`${STREAM_HEAD}${role}`), {
    retry: { backoff: { initial: "60s", max: "60s", jitter: false } },
  });
  const leaving = new AbortController();
  const seen = askSlowly(perennial, "/v1/chat/completions", leaving.signal);
  await expect.poll(() => perennial.log.some(({ msg }) => /attempt 1 failed/.test(msg))).toBe(true);
  expect(sumOf(await metrics(perennial), "perennial_open_exchanges")).toBe(1);
  expect(await heldIn(perennial)).toBe(Buffer.byteLength(JSON.stringify({ model: "m", stream: true, messages: [] })));
  leaving.abort();
  await expect(seen).rejects.toThrow();
});

test("nothing that a client says becomes a series", async ({ serve }) => {
  const { perennial } = await serve([WHOLE]);
  const ask = async (name: string) => {
    await chat(perennial.baseUrl, { model: name, user: name }, { headers: { "user-agent": name } });
    await send(`${perennial.baseUrl}/models/${name}`);
    await send(`${perennial.url}/${name}`);
  };
  await ask("model-0");
  const before = readSamples(await metrics(perennial)).filter(({ name }) => name.startsWith("perennial_")).length;
  for (let n = 1; n <= 20; n++) await ask(`model-${n}`);
  const text = await metrics(perennial);
  expect(readSamples(text).filter(({ name }) => name.startsWith("perennial_"))).toHaveLength(before);
  expect(text).not.toContain("model-");
});

test("every outcome and failure code is there from the start, so that the first one is seen as an increase", async ({
  serve,
}) => {
  const { perennial } = await serve([WHOLE]);
  const samples = readSamples(await metrics(perennial));
  const values = (name: string, label: string) =>
    new Set(samples.filter((sample) => sample.name === name).map(({ labels }) => labels[label]));
  expect(values("perennial_exchanges_total", "outcome").size).toBe(8);
  expect(values("perennial_exchanges_total", "dialect")).toContain("passthrough");
  expect(values("perennial_failures_total", "code")).toContain("stream_truncated");
  expect(samples.some(({ name }) => name === "process_resident_memory_bytes")).toBe(true);
});

test("with keys configured, /metrics needs one, unless it is public", async ({ serve, startPerennial }) => {
  const { perennial, upstream } = await serve([WHOLE], { auth: { keys: ["key-one-1"] } });
  expect(await send(`${perennial.url}/metrics`)).toMatchObject({ status: 401 });
  expect(await send(`${perennial.url}/metrics`, { headers: { authorization: "Bearer key-one-1" } })).toMatchObject({
    status: 200,
    headers: { "content-type": expect.stringContaining("text/plain; version=0.0.4") },
  });
  const second = await startPerennial(upstream.baseUrl, { auth: { keys: ["key-one-1"] }, metrics: { public: true } });
  expect(await send(`${second.url}/metrics`)).toMatchObject({ status: 200 });
  expect(await chat(second.baseUrl)).toMatchObject({ status: 401 });
});

test("turned off, there is nothing at /metrics", async ({ serve }) => {
  const { perennial } = await serve([WHOLE], { metrics: { enabled: false } });
  expect(await send(`${perennial.url}/metrics`)).toMatchObject({ status: 404 });
  expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ done: true });
});
