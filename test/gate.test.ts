/** What is held back, and for how long: the gate, an event that is not over, a heartbeat. */

import { expect } from "vitest";
import { askSlowly, chat, hears, readStream, send } from "./support/client.ts";
import { choice, STARTED, WORDS } from "./support/events.ts";
import { sumOf } from "./support/prometheus.ts";
import { chatEvents, sendFramed } from "./support/raw-upstream.ts";
import { open } from "./support/replies.ts";
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
  await expect.poll(held).toBeGreaterThan(0);
  for (const socket of upstream.sockets) socket.write(choice({ content: "Hi" }));
  await response;
  expect(await held()).toBe(0);
  leaving.abort();
});

test("with heartbeats off a late answer is whole and has no comments in it", async ({ serve }) => {
  const { perennial } = await serve((socket) => setTimeout(() => sendFramed(socket, "content-length", chatEvents(WORDS)), 150), {
    heartbeat: "off",
  });
  const { body } = await chat(perennial.baseUrl);
  expect(body).not.toContain("keep-alive");
  expect(readStream(body)).toMatchObject({ text: "Hello, world", done: true });
});
