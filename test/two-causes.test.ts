/** Two causes at once: one end, told once, and whatever was held is free. */
import { describe, expect } from "vitest";
import { chat, codeIn, readStream } from "./support/client.ts";
import { WHOLE } from "./support/events.ts";
import { chatEvents } from "./support/raw-upstream.ts";
import { BUSY, begin, open } from "./support/replies.ts";
import { test } from "./support/test.ts";

const ONCE = { retry: { maxAttempts: 1 } };

describe("two causes at once", () => {
  const [role = "", first = ""] = chatEvents(["Hello"]);
  const asks = (baseUrl: string, body: object = {}): { readonly leave: () => void; readonly over: Promise<unknown> } => {
    const leaving = new AbortController();
    const asked = fetch(`${baseUrl}/chat/completions`, {
      method: "POST",
      body: JSON.stringify({ model: "m", messages: [], stream: true, ...body }),
      signal: leaving.signal,
    });
    return { leave: () => leaving.abort(), over: asked.then((response) => response.text()).catch(() => {}) };
  };

  test.for([
    ["while nothing has come", open(), { stream: true }],
    ["in mid-stream", open(role, first), { stream: true }],
    ["while an answer is made", open(), { stream: false }],
  ] as const)(
    "the client leaves as its deadline passes, %s: one end each, and the place is free",
    async ([_when, answer, body], { serve }) => {
      const settings = { limits: { maxStreams: 1 }, timeouts: { total: "120ms", unstreamed: "120ms", stream: "120ms" }, ...ONCE };
      const { perennial, upstream } = await serve(answer, settings);
      // The deadline is counted from the arrival, a little before the upstream is asked.
      for (const [index, afterMs] of [105, 118].entries()) {
        const { leave, over } = asks(perennial.baseUrl, body);
        const isAsked = expect.poll(() => upstream.requests.length, { interval: 1 }).toBeGreaterThan(index);
        await Promise.race([isAsked.catch(() => {}), over]);
        setTimeout(leave, afterMs);
        await over;
        await perennial.exchangeLog(index + 1);
      }
      await expect.poll(() => upstream.sockets.size, { interval: 5 }).toBe(0);
      const outcomes = perennial.log.filter((line) => "outcome" in line).map(({ outcome }) => outcome);
      expect(outcomes).toHaveLength(2);
      for (const outcome of outcomes) expect(["cancelled", "failed", "interrupted"]).toContain(outcome);
      expect(codeIn(await chat(perennial.baseUrl, body))).toBe("deadline_exceeded");
    },
  );

  test("a drain while an outage is waited out: the client is told to come back, and nothing is asked any more", async ({
    serve,
  }) => {
    const settings = {
      retry: { outage: "10s", backoff: { initial: "50ms", factor: 1, jitter: false } },
      drain: { timeout: "80ms" },
    };
    const { perennial, upstream } = await serve([BUSY], settings);
    const waiting = [chat(perennial.baseUrl), chat(perennial.baseUrl)];
    await expect.poll(() => upstream.requests.length, { interval: 5 }).toBeGreaterThan(1);
    await perennial.close();
    const asked = upstream.requests.length;
    for (const seen of await Promise.all(waiting)) {
      expect([seen.status, codeIn(seen), seen.headers["retry-after"]]).toEqual([503, "draining", "1"]);
    }
    await new Promise((resolve) => setTimeout(resolve, 120));
    expect(upstream.requests).toHaveLength(asked);
  });

  test("an outage that ends while Perennial drains: who waits is served", async ({ serve }) => {
    const settings = {
      retry: { outage: "10s", backoff: { initial: "60ms", factor: 1, jitter: false } },
      drain: { timeout: "5s" },
    };
    const { perennial, upstream } = await serve([BUSY, BUSY, WHOLE], settings);
    const waiting = chat(perennial.baseUrl);
    await expect.poll(() => upstream.requests.length, { interval: 5 }).toBe(1);
    await perennial.close();
    expect(readStream((await waiting).body)).toMatchObject({ text: "Hello, world", done: true });
  });

  test("the deadline passes while an outage is waited out: the client hears of the outage, or the deadline, once", async ({
    serve,
  }) => {
    const { perennial, upstream } = await serve([BUSY], {
      retry: { outage: "1s", backoff: { initial: "20ms", factor: 1, jitter: false } },
      timeouts: { total: "1s" },
    });
    const seen = await chat(perennial.baseUrl);
    expect([503, 504]).toContain(seen.status);
    expect(upstream.requests.length).toBeGreaterThan(0);
    expect(perennial.log.filter((line) => "outcome" in line)).toHaveLength(1);
  });

  test("the client leaves while an outage is waited out: nothing is asked for it any more, and its turn is another's", async ({
    serve,
  }) => {
    const { perennial, upstream } = await serve([BUSY, WHOLE], {
      retry: { outage: "10s", backoff: { initial: "100ms", jitter: false } },
    });
    const { leave, over } = asks(perennial.baseUrl);
    await expect.poll(() => upstream.requests.length, { interval: 5 }).toBe(1);
    leave();
    await over;
    const stays = chat(perennial.baseUrl);
    expect(readStream((await stays).body).done).toBe(true);
    expect(upstream.requests).toHaveLength(2);
    await expect
      .poll(() =>
        perennial.log
          .filter((line) => "outcome" in line)
          .map(({ outcome }) => outcome)
          .sort(),
      )
      .toContain("cancelled");
  });

  test("the stream is cut as the client's idle limit passes: told once, in one form", async ({ serve }) => {
    const { perennial } = await serve(async (socket) => {
      begin(socket);
      socket.write(role + first);
      await new Promise((resolve) => setTimeout(resolve, 60));
      socket.resetAndDestroy();
    }, ONCE);
    for (let round = 0; round < 3; round++) {
      const { body } = await chat(perennial.baseUrl, {}, { headers: { "x-perennial-idle-timeout": "60ms" } });
      expect(["stream_stalled", "stream_truncated", "upstream_unreachable"]).toContain(readStream(body).errorCode);
    }
  });
});
