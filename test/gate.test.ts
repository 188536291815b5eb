/** What is held back, and for how long: the gate, an event that is not over, a heartbeat. */
import type { Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { chat, readStream, send } from "./support/client.ts";
import { startPerennial, type TestPerennial } from "./support/perennial.ts";
import { sumOf } from "./support/prometheus.ts";
import { chatEvents, type RawUpstream, SSE_HEAD, sendFramed, startRawUpstream } from "./support/raw-upstream.ts";

let upstream: RawUpstream;
let perennial: TestPerennial;

afterEach(async () => {
  await perennial.close();
  await upstream.close();
});

async function serve(answer: (socket: Socket) => unknown, settings: Record<string, unknown> = {}): Promise<void> {
  upstream = await startRawUpstream(answer);
  perennial = await startPerennial(upstream.baseUrl, settings);
}

/** Sends events and then nothing more, on a connection that stays open. */
const open =
  (...events: string[]) =>
  (socket: Socket): unknown =>
    socket.write(`${SSE_HEAD}connection: close\r\n\r\n${events.join("")}`);

const choice = (delta: object): string => `data: ${JSON.stringify({ id: "c", choices: [{ index: 0, delta }] })}\n\n`;
const posted = {
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify({ model: "m", stream: true, messages: [] }),
};

/** Asks, and leaves as soon as `text` has come. @returns whether it came soon, while the upstream was still sending. */
async function hears(text: string): Promise<boolean> {
  let seen = "";
  try {
    const response = await fetch(`${perennial.baseUrl}/chat/completions`, { ...posted, signal: AbortSignal.timeout(3_000) });
    for await (const read of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      seen += read;
      if (seen.includes(text)) return true;
    }
  } catch {}
  return false;
}

const WORDS = ["Hello", ", ", "world"];
const STARTED = chatEvents(WORDS, { finish: null, done: false });

test.each(["reasoning_content", "refusal", "a_field_of_tomorrow"])("%s is content, and is handed on at once", async (field) => {
  await serve(open(choice({ role: "assistant" }), choice({ [field]: "Hm" })));
  expect(await hears(field)).toBe(true);
});

test("a line that never ends is refused as soon as it is over limits.maxEventBytes, not kept until the stream stalls", async () => {
  await serve(open(...STARTED, `data: ${"x".repeat(5_000)}`), { limits: { maxEventBytes: "1KiB" } });
  expect(await hears("stream_corrupted")).toBe(true);
});

test("a gate that is open holds nothing any more", async () => {
  await serve(open(STARTED[0] as string));
  const held = async (): Promise<number> => sumOf((await send(`${perennial.url}/metrics`)).body, "perennial_held_bytes");
  const leaving = new AbortController();
  const response = fetch(`${perennial.baseUrl}/chat/completions`, { ...posted, signal: leaving.signal });
  await expect.poll(held).toBeGreaterThan(0);
  for (const socket of upstream.sockets) socket.write(choice({ content: "Hi" }));
  await response;
  expect(await held()).toBe(0);
  leaving.abort();
});

test("with heartbeats off a late answer is whole and has no comments in it", async () => {
  await serve((socket) => setTimeout(() => sendFramed(socket, "content-length", chatEvents(WORDS)), 150), { heartbeat: "off" });
  const { body } = await chat(perennial.baseUrl);
  expect(body).not.toContain("keep-alive");
  expect(readStream(body)).toMatchObject({ text: "Hello, world", done: true });
});
