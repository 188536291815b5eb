/** What is held back, and for how long: the gate, an event that is not over, a heartbeat. */
import { describe, expect } from "vitest";
import { askSlowly, chat, hears, readStream, send } from "./support/client.ts";
import { choice, line, STARTED, WHOLE } from "./support/events.ts";
import { sumOf } from "./support/prometheus.ts";
import { open, STREAM_HEAD } from "./support/replies.ts";
import { test } from "./support/test.ts";

test.for(["reasoning_content", "refusal", "a_field_of_tomorrow"])(
  "%s is content, and is handed on at once",
  async (field, { serve }) => {
    const { perennial } = await serve(open(choice({ role: "assistant" }), choice({ [field]: "Hm" })));
    expect(await hears(perennial, "/v1/chat/completions", field)).toBe(true);
  },
);

test("a line that never ends is refused as soon as it is over limits.maxEventBytes, not kept until the stream stalls", async ({
  serve,
}) => {
  const { perennial } = await serve(open(...STARTED, `data: ${"x".repeat(5_000)}`), { limits: { maxEventBytes: "1KiB" } });
  expect(await hears(perennial, "/v1/chat/completions", "stream_corrupted")).toBe(true);
});

test("a gate that is open holds nothing any more", async ({ serve }) => {
  const { perennial, upstream } = await serve(open(STARTED[0] as string));
  const held = async (): Promise<number> => sumOf((await send(`${perennial.url}/metrics`)).body, "perennial_held_bytes");
  const leaving = new AbortController();
  const response = askSlowly(perennial, "/v1/chat/completions", leaving.signal);
  await expect.poll(() => upstream.requests.length).toBe(1);
  const asked = Buffer.byteLength(upstream.requests[0]?.body ?? "");
  await expect.poll(held).toBeGreaterThan(asked);
  for (const socket of upstream.sockets) socket.write(choice({ content: "Hi" }));
  await response;
  // All but the request, until the answer is over.
  expect(await held()).toBe(asked);
  leaving.abort();
});

describe("the gate", () => {
  test("opens by itself over limits.maxGateBytes, so that nothing is lost", async ({ serve }) => {
    const usage = line({ choices: [], usage: { note: "x".repeat(600) } });
    const { perennial } = await serve([open(usage, usage, usage)], { limits: { maxGateBytes: "1KiB" } });
    expect(await hears(perennial, "/v1/chat/completions", "note")).toBe(true);
  });

  test("that opened without a first token still waits for one, until timeouts.alive", async ({ serve }) => {
    const { perennial } = await serve([open(line({ choices: [], usage: { note: "x".repeat(300_000) } }))], {
      limits: { maxGateBytes: "1KiB" },
      timeouts: { firstToken: "200ms", alive: "300ms" },
    });
    expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ errorCode: "first_token_timeout" });
  });

  test("opens once: the first token is the first, not the last", async ({ serve }) => {
    let end = (): void => {};
    const { perennial } = await serve([
      (socket) => {
        socket.write(STREAM_HEAD + STARTED.join(""));
        end = () => socket.end(WHOLE.slice(-2).join(""));
      },
    ]);
    // The rest comes only some time after the client has read the first.
    await chat(perennial.baseUrl, {}, { onRead: () => setTimeout(end, 300) });
    const { firstTokenMs, durationMs } = await perennial.exchangeLog();
    expect(durationMs - firstTokenMs).toBeGreaterThan(290);
  });
});
