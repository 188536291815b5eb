/** Waiting for one of an upstream's connections, where maxConnections limits them: it is ours, and is told as ours. */
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import { chat, readStream, send } from "./support/client.ts";
import { startPerennial, type TestPerennial } from "./support/perennial.ts";
import { chatEvents, frame, type RawUpstream, startRawUpstream } from "./support/raw-upstream.ts";

let upstream: RawUpstream;
let perennial: TestPerennial;
/** Ends the upstream's answers, in the order of their requests. */
let answers: (() => void)[];

afterEach(async () => {
  await perennial.close();
  await upstream.close();
});

async function serve(settings: Record<string, unknown>): Promise<void> {
  answers = [];
  upstream = await startRawUpstream((socket) => answers.push(() => socket.write(frame("chunked", chatEvents(["Hello"])))));
  perennial = await startPerennial(upstream.baseUrl, settings);
}

const metric = async (name: string): Promise<number> => {
  const { body } = await send(`${perennial.url}/metrics`);
  return Number(new RegExp(`^${name}\\{upstream="main"\\} (.+)$`, "m").exec(body)?.[1]);
};

test("those that wait are answered in their order, and their wait is no attempt and no silence of the upstream's", async () => {
  await serve({ upstream: { maxConnections: 1 }, timeouts: { firstToken: "2s" }, retry: { maxAttempts: 1 } });
  const asked = [];
  for (let index = 0; index < 4; index++) {
    asked.push(chat(perennial.baseUrl, { user: String(index) }));
    await sleep(20);
  }
  await expect.poll(() => metric("perennial_queued_exchanges")).toBe(3);
  for (let index = 0; index < 4; index++) {
    await expect.poll(() => answers.length).toBe(index + 1);
    // Longer for the last of them than the first token may take.
    await sleep(800);
    answers[index]?.();
  }
  for (const seen of await Promise.all(asked)) {
    expect(readStream(seen.body).text).toBe("Hello");
    expect(seen.headers["x-perennial-attempts"]).toBe("1");
  }
  expect(upstream.requests.map(({ json }) => json.user)).toEqual(["0", "1", "2", "3"]);
  expect((await perennial.exchangeLog(4)).waitedMs).toBeGreaterThan(2_000);
  expect(await metric("perennial_queued_exchanges")).toBe(0);
  expect(await metric("perennial_queue_wait_seconds_count")).toBe(3);
  const warnings = perennial.log.filter(({ msg }) => /requests wait/.test(msg));
  expect(warnings).toMatchObject([{ level: 40, upstream: "main" }]);
});

test("after timeouts.queue a request is refused as ours, with a time to come back, and nothing before", async () => {
  await serve({
    upstream: { maxConnections: 1 },
    timeouts: { queue: "300ms" },
    heartbeat: { after: "50ms", every: "50ms" },
  });
  const first = chat(perennial.baseUrl);
  await expect.poll(() => answers.length).toBe(1);
  const refused = await chat(perennial.baseUrl);
  expect(refused).toMatchObject({ status: 503, headers: { "retry-after": "1" } });
  expect(JSON.parse(refused.body).error).toMatchObject({ code: "overloaded", type: "perennial_error" });
  expect(refused.headers["x-perennial-attempts"] ?? "0").toBe("0");
  expect(await perennial.exchangeLog()).toMatchObject({ outcome: "failed", failure: "overloaded", attempts: [] });
  expect(upstream.requests).toHaveLength(1);
  answers[0]?.();
  expect(readStream((await first).body).text).toBe("Hello");
});

test.each(["destroy", "resetAndDestroy"] as const)(
  "a client that leaves while it waits is out of the queue (%s)",
  async (how) => {
    await serve({ upstream: { maxConnections: 1 } });
    const first = chat(perennial.baseUrl);
    await expect.poll(() => answers.length).toBe(1);
    const socket = connect(Number(new URL(perennial.url).port), "127.0.0.1");
    socket.write(`POST /v1/files HTTP/1.1\r\nhost: x\r\ncontent-length: 10000000\r\n\r\n${"y".repeat(100_000)}`);
    await expect.poll(() => metric("perennial_queued_exchanges")).toBe(1);
    socket[how]();
    await expect.poll(() => metric("perennial_queued_exchanges")).toBe(0);
    answers[0]?.();
    expect((await first).status).toBe(200);
    const second = chat(perennial.baseUrl);
    await expect.poll(() => answers.length).toBe(2);
    answers[1]?.();
    expect((await second).status).toBe(200);
    expect(upstream.requests).toHaveLength(2);
  },
);

test("by default nothing waits: all are asked at once", async () => {
  await serve({});
  const asked = Array.from({ length: 400 }, () => chat(perennial.baseUrl));
  await expect.poll(() => answers.length).toBe(400);
  for (const answer of answers) answer();
  for (const seen of await Promise.all(asked)) expect(readStream(seen.body).text).toBe("Hello");
  expect((await perennial.exchangeLog(400)).waitedMs).toBeUndefined();
});
