/** How a body ends that was interrupted: so that the client behind it is sure to notice. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";
import { chat, readStream, type Seen, send } from "./support/client.ts";
import { startPerennial, type TestPerennial } from "./support/perennial.ts";
import { chatEvents, type RawUpstream, sendFramed, startRawUpstream } from "./support/raw-upstream.ts";

let upstream: RawUpstream;
let perennial: TestPerennial;

afterEach(async () => {
  await perennial.close();
  await upstream.close();
});

/** Every answer stops in mid-text, with a clean end. */
async function serve(settings: Record<string, unknown> = {}, events = chatEvents(["Hello"], { finish: null, done: false })) {
  upstream = await startRawUpstream((socket) => sendFramed(socket, "chunked", events));
  perennial = await startPerennial(upstream.baseUrl, settings);
}

const SDK = { "user-agent": "OpenAI/Python 3.52.0", "x-stainless-lang": "python", "x-stainless-package-version": "3.52.0" };
const LOOP = { "user-agent": "python-requests/2.34.2" };
const AGENTS = [
  ["an SDK", SDK, "clean"],
  ["a loop around requests", LOOP, "cut"],
  ["a client that does not say what it is", { "user-agent": "" }, "cut"],
  ["the AI SDK", { "user-agent": "ai/6.0.1 ai-sdk/openai/3.0.0" }, "cut"],
  ["Claude Code", { "user-agent": "claude-cli/2.1.197 (external, cli)" }, "clean"],
  ["Codex", { "user-agent": "codex_cli_rs/0.169.0 (Debian 12; x86_64)" }, "clean"],
] as const;

describe("by default", () => {
  test.each(AGENTS)("%s gets the error event (chat)", async (_name, headers, end) => {
    await serve();
    const seen = await chat(perennial.baseUrl, {}, { headers });
    expect(readStream(seen.body)).toMatchObject({ text: "Hello", errorCode: "stream_truncated", done: false });
    expect(seen.end).toBe(end);
    expect(await perennial.exchangeLog()).toMatchObject({ outcome: "interrupted", failure: "stream_truncated" });
  });

  test.each([
    [
      "/messages",
      [
        'event: message_start\ndata: {"type":"message_start","message":{"content":[]}}\n\n',
        'event: content_block_start\ndata: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}\n\n',
        'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}}\n\n',
      ],
    ],
    [
      "/responses",
      [
        'event: response.created\ndata: {"type":"response.created","sequence_number":0,"response":{"id":"resp_1"}}\n\n',
        'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","sequence_number":1,"output_index":0,"delta":"Hello"}\n\n',
      ],
    ],
    ["/completions", ['data: {"choices":[{"index":0,"text":"Hello","finish_reason":null}]}\n\n']],
  ])("an SDK gets a clean end, and a loop a cut (%s)", async (path, events) => {
    await serve({}, events);
    const ask = (headers: object): Promise<Seen> =>
      send(perennial.baseUrl + path, {
        method: "POST",
        headers: { "content-type": "application/json", ...headers },
        body: JSON.stringify({
          model: "m",
          stream: true,
          max_tokens: 5,
          input: "hi",
          prompt: "hi",
          messages: [{ role: "user", content: "hi" }],
        }),
      });
    const [sdk, loop] = [await ask(SDK), await ask(LOOP)];
    expect([sdk.end, loop.end]).toEqual(["clean", "cut"]);
    expect(sdk.body).toContain("stream_truncated");
    expect(loop.body).toBe(sdk.body);
  });

  test("Chatchat's own client, which watches the transport with httpx, reads the event and gets a clean end", async () => {
    await serve({ upstream: { profile: "chatchat" } }, ['data: {"text":"Hel', "lo"]);
    const seen = await send(`${perennial.url}/chat/chat`, {
      method: "POST",
      headers: { "content-type": "application/json", "user-agent": "python-httpx/0.28.1" },
      body: JSON.stringify({ query: "hi", stream: true }),
    });
    // Nothing was sent yet: an HTTP error. With text before the break: the event, and a clean end.
    expect(seen.status).toBe(502);
    await perennial.close();
    await upstream.close();
    await serve({ upstream: { profile: "chatchat" } }, ['data: {"text":"Hello"}\n\n', 'data: {"text":"Wor']);
    const told = await send(`${perennial.url}/chat/chat`, {
      method: "POST",
      headers: { "content-type": "application/json", "user-agent": "python-httpx/0.28.1" },
      body: JSON.stringify({ query: "hi", stream: true }),
    });
    expect(told.body).toContain('"msg":"Incomplete stream:');
    expect(told.end).toBe("clean");
  });
});

test.each(["clean", "cut"] as const)("interruptEnd: %s holds for every client", async (end) => {
  await serve({ interruptEnd: end });
  for (const [, headers] of AGENTS) expect((await chat(perennial.baseUrl, {}, { headers })).end).toBe(end);
});

test("a cut leaves its client time to read the event", async () => {
  await serve();
  const began = performance.now();
  const seen = await chat(perennial.baseUrl, {}, { headers: LOOP });
  expect(seen.end).toBe("cut");
  expect(performance.now() - began).toBeGreaterThanOrEqual(190);
});

test("a Node program that reads a little later has all the text, and the event, before the cut", async () => {
  await serve({}, chatEvents(["one ", "two ", "three"], { finish: null, done: false }));
  const response = await fetch(`${perennial.baseUrl}/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "m", stream: true, messages: [{ role: "user", content: "hi" }] }),
  });
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  await sleep(60);
  const broken = await (async () => {
    for (;;) {
      const read = await reader?.read();
      if (read === undefined || read.done) return undefined;
      text += read.value;
    }
  })().catch((error: unknown) => error);
  expect(broken).toBeInstanceOf(TypeError);
  expect(readStream(text)).toMatchObject({ text: "one two three", errorCode: "stream_truncated" });
});
