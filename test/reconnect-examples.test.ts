/** The examples for clients that come back, as they are, behind a connection that breaks again and again. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, createServer, type Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { EventSource } from "eventsource";
import { afterEach, expect, vi } from "vitest";
import { chatEvents } from "./support/raw-upstream.ts";
import { slowly } from "./support/replies.ts";
import { type Serve, type Tools, test } from "./support/test.ts";

const WORDS = Array.from({ length: 30 }, (_, n) => `word ${n} `);
const TEXT = WORDS.join("");
const REQUEST = { model: "m", messages: [{ role: "user", content: "hi" }] };
const path = (file: string): string => fileURLToPath(new URL(`../examples/reconnect/${file}`, import.meta.url));

/** Lets so many bytes of each of the first connections through, and breaks them. */
async function startCutter(
  to: string,
  bytes: readonly number[],
): Promise<{ url: string; cuts: () => number; close(): Promise<void> }> {
  const open = new Set<Socket>();
  let number = 0;
  let cuts = 0;
  const server = createServer((client) => {
    let left = bytes[number++] ?? Number.POSITIVE_INFINITY;
    const upstream = connect(Number(new URL(to).port), "127.0.0.1");
    for (const socket of [client, upstream]) {
      open.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        client.destroy();
        upstream.destroy();
      });
    }
    client.pipe(upstream);
    upstream.on("data", (chunk) => {
      client.write(chunk.subarray(0, left));
      left -= chunk.length;
      if (left > 0) return;
      cuts++;
      client.destroy();
    });
    upstream.on("end", () => client.end());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    cuts: () => cuts,
    async close() {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Perennial behind a connection that breaks twice in mid-answer. */
async function serveBroken(serve: Serve, closing: Tools["closing"]) {
  const { perennial, upstream } = await serve(slowly(chatEvents(WORDS), 2), { replay: { linger: "60s" } });
  const cutter = closing(await startCutter(perennial.url, [2_500, 2_000]));
  return { ...cutter, upstream };
}

afterEach(() => {
  vi.unstubAllGlobals();
  vi.unstubAllEnvs();
});

async function run(command: string, args: readonly string[]): Promise<string> {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  child.stdout.on("data", (chunk) => {
    said += chunk;
  });
  const [code] = await once(child, "close");
  expect(code).toBe(0);
  return said;
}

test("fetch-event-source comes back by itself", async ({ serve, closing }) => {
  const { url, cuts, upstream } = await serveBroken(serve, closing);
  // It is made for browsers.
  const browser = { window: globalThis, document: { hidden: false, addEventListener() {}, removeEventListener() {} } };
  for (const [name, value] of Object.entries(browser)) vi.stubGlobal(name, value);
  const { readAnswer } = await import(path("fetch-event-source.js"));
  let text = "";
  await readAnswer(url, REQUEST, (piece: string) => {
    text += piece;
  });
  expect([text, cuts(), upstream.requests.length]).toEqual([TEXT, 2, 1]);
});

test("EventSource comes back by itself, to the answer's address", async ({ serve, closing }) => {
  const { url, upstream } = await serveBroken(serve, closing);
  vi.stubGlobal("EventSource", EventSource);
  const { readAnswer } = await import(path("eventsource.js"));
  let text = "";
  await readAnswer(url, REQUEST, (piece: string) => {
    text += piece;
  });
  expect([text, upstream.requests.length]).toEqual([TEXT, 1]);
});

test("Python's own HTTP client comes back with the same request", async ({ serve, closing }) => {
  const { url, cuts, upstream } = await serveBroken(serve, closing);
  expect(await run("python3", [path("reconnect.py"), url, "hi"])).toBe(TEXT);
  expect([cuts(), upstream.requests.length]).toEqual([2, 1]);
});

test("curl comes back with the number of the last event that it has whole", async ({ serve, closing }) => {
  const { url, upstream } = await serveBroken(serve, closing);
  const said = await run("sh", [path("reconnect.sh"), url, JSON.stringify({ ...REQUEST, stream: true })]);
  // It has printed the beginning of the event that its connection broke in.
  for (const word of WORDS) expect(said).toContain(`"content":"${word}"`);
  expect(said).toMatch(/data: \[DONE\]\nid: .*\n\n$/);
  expect(upstream.requests).toHaveLength(1);
});

test("a chat of the AI SDK finds its answer again, from the beginning", async ({ serve }) => {
  const { perennial, upstream } = await serve(slowly(chatEvents(WORDS), 2), { replay: { linger: "60s" } });
  vi.stubEnv("PERENNIAL_URL", perennial.baseUrl);
  const { GET, POST } = await import("../examples/reconnect/ai-sdk.ts");
  const asked = (): Request => new Request("http://app/api/chat/1/stream");
  expect((await GET(asked(), "1")).status).toBe(204);
  const messages = [{ id: "u", role: "user", parts: [{ type: "text", text: "hi" }] }];
  const body = JSON.stringify({ id: "1", messages });
  const response = await POST(new Request("http://app/api/chat", { method: "POST", body }));
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  let begun = "";
  while (!begun.includes("text-delta")) begun += Buffer.from((await reader.read()).value ?? []);
  // The page is reloaded.
  await reader.cancel();
  const resumed = await (await GET(asked(), "1")).text();
  const pieces = [...resumed.matchAll(/"type":"text-delta","id":"[^"]*","delta":"([^"]*)"/g)].map(([, piece]) => piece);
  expect(pieces.join("")).toBe(TEXT);
  expect(upstream.requests).toHaveLength(1);
});
