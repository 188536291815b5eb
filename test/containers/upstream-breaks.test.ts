/** The upstream breaks for real: killed, frozen, restarted, cut off from the network. What the client is told. */
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { chat, readStream } from "../support/client.ts";
import { chatAndBreak, isPart, openStage, WHOLE } from "./stage.ts";

/** Tries for as long as an upstream takes to start. */
/** Does not wait for what is down. */
const IMPATIENT = { retry: { maxAttempts: 2, outage: 0, backoff: { initial: "5ms" } } };
const PATIENT = { retry: { maxAttempts: 20, backoff: { initial: "500ms", factor: 1, jitter: false } } };

const POLL = { timeout: 10_000, interval: 100 };

test("a stream whose upstream is killed with -9 is a part and stream_truncated, and the next one waits for its start", async () => {
  await using stage = await openStage(PATIENT);
  const { upstream, perennial } = stage;
  const { seen, stream, ms } = await chatAndBreak(perennial.baseUrl, 100, () => upstream.kill("SIGKILL"));
  expect(seen).toMatchObject({ status: 200, end: "clean" });
  expect(stream).toMatchObject({ errorCode: "stream_truncated", done: false, finish: null });
  expect(stream.text).toSatisfy(isPart);
  expect(ms).toBeLessThan(5_000);
  await expect.poll(() => perennial.log(), POLL).toMatch(/"outcome":"interrupted"/);
  await upstream.start();
  expect(readStream((await chat(perennial.baseUrl, { model: "chaos/ok" })).body)).toMatchObject(WHOLE);
});

test("a stream whose upstream freezes is a part and stream_stalled, and the next one after a thaw is whole", async () => {
  await using stage = await openStage();
  const { upstream, perennial } = stage;
  const { seen, stream, ms } = await chatAndBreak(perennial.baseUrl, 100, () => upstream.pause());
  expect(seen).toMatchObject({ status: 200, end: "clean" });
  expect(stream).toMatchObject({ errorCode: "stream_stalled", done: false, finish: null });
  expect(stream.text).toSatisfy(isPart);
  expect(ms).toBeGreaterThan(900);
  expect(ms).toBeLessThan(6_000);
  await upstream.unpause();
  expect(readStream((await chat(perennial.baseUrl, { model: "chaos/ok" })).body)).toMatchObject(WHOLE);
});

test("a frozen upstream that sends no first token is a 504 in the time that was set", async () => {
  await using stage = await openStage();
  const { upstream, perennial } = stage;
  await upstream.pause();
  const began = performance.now();
  const seen = await chat(perennial.baseUrl, { model: "chaos/ok" });
  expect(seen.status).toBe(504);
  expect(seen.headers).toMatchObject({ "x-should-retry": "false", "x-perennial-attempts": "2" });
  expect(JSON.parse(seen.body).error.code).toBe("first_token_timeout");
  expect(performance.now() - began).toBeLessThan(10_000);
  await upstream.unpause();
});

test("a stream whose upstream drops off the network is a part and stream_stalled; then its name is gone; then it is back", async () => {
  await using stage = await openStage(IMPATIENT);
  const { upstream, perennial } = stage;
  const { seen, stream } = await chatAndBreak(perennial.baseUrl, 100, () => upstream.disconnect());
  expect(seen).toMatchObject({ status: 200, end: "clean" });
  expect(stream).toMatchObject({ errorCode: "stream_stalled", done: false, finish: null });
  expect(stream.text).toSatisfy(isPart);

  const refused = await chat(perennial.baseUrl, { model: "chaos/ok" });
  expect(refused).toMatchObject({ status: 502, end: "clean" });
  // To ask what is not there costs nothing: a client may come again.
  expect(refused.headers).toMatchObject({ "retry-after": "1", "x-perennial-attempts": "1" });
  expect(refused.headers).not.toHaveProperty("x-should-retry");
  expect(JSON.parse(refused.body).error.code).toBe("upstream_unreachable");

  await upstream.reconnect();
  expect(readStream((await chat(perennial.baseUrl, { model: "chaos/ok" })).body)).toMatchObject(WHOLE);
});

test("a kept connection into a black hole ends in an HTTP error, not in waiting", async () => {
  await using stage = await openStage(IMPATIENT);
  const { upstream, perennial } = stage;
  expect(readStream((await chat(perennial.baseUrl, { model: "chaos/ok" })).body)).toMatchObject(WHOLE);
  await upstream.disconnect();
  const began = performance.now();
  const seen = await chat(perennial.baseUrl, { model: "chaos/ok" });
  expect(seen).toMatchObject({ status: 502, end: "clean" });
  expect(JSON.parse(seen.body).error.code).toBe("upstream_unreachable");
  expect(performance.now() - began).toBeLessThan(10_000);
});

test("a stream whose upstream is restarted is a part and stream_truncated, and the next one is whole", async () => {
  await using stage = await openStage(PATIENT);
  const { upstream, perennial } = stage;
  const { seen, stream } = await chatAndBreak(perennial.baseUrl, 100, () => upstream.restart());
  expect(seen).toMatchObject({ status: 200, end: "clean" });
  expect(stream).toMatchObject({ errorCode: "stream_truncated", done: false, finish: null });
  expect(stream.text).toSatisfy(isPart);
  const next = await chat(perennial.baseUrl, { model: "chaos/ok" });
  expect(readStream(next.body)).toMatchObject(WHOLE);
});

test("an upstream that is restarted before its first token costs the client nothing but time", async () => {
  await using stage = await openStage(PATIENT);
  const { upstream, perennial } = stage;
  // Its role comes after 0.4 s and its first word after 0.8 s: the restart is before both.
  const answer = chat(perennial.baseUrl, { model: "chaos/slow:400" });
  await sleep(200);
  await upstream.restart();
  const seen = await answer;
  expect(seen).toMatchObject({ status: 200, end: "clean" });
  expect(readStream(seen.body)).toMatchObject(WHOLE);
  expect(Number(seen.headers["x-perennial-attempts"])).toBeGreaterThan(1);
  await expect.poll(() => perennial.log(), POLL).toMatch(/"outcome":"recovered"/);
});
