/** Comments that keep a silent stream alive: a block for most clients, a lone line for those that take a block for an event. */
import { setTimeout as sleep } from "node:timers/promises";
import OpenAI from "openai";
import { afterEach, describe, expect, test } from "vitest";
import { chat } from "./support/client.ts";
import { startPerennial, type TestPerennial } from "./support/perennial.ts";
import { chatEvents, type RawUpstream, SSE_HEAD, startRawUpstream } from "./support/raw-upstream.ts";

let upstream: RawUpstream;
let perennial: TestPerennial;

afterEach(async () => {
  await perennial.close();
  await upstream.close();
});

/** Three pieces of text with a silence in front of each. */
async function serve(): Promise<void> {
  upstream = await startRawUpstream(async (socket) => {
    socket.write(`${SSE_HEAD}transfer-encoding: chunked\r\n\r\n`);
    for (const event of chatEvents(["one ", "two ", "three"])) {
      await sleep(150);
      socket.write(`${Buffer.byteLength(event).toString(16)}\r\n${event}\r\n`);
    }
    socket.write("0\r\n\r\n");
  });
  perennial = await startPerennial(upstream.baseUrl, { heartbeat: { after: "50ms", every: "50ms" } });
}

/** Readers that never parse lines, as people write them: each splits what has come at blank lines. */
const READERS: Record<string, (body: string) => string[]> = {
  'split("\\n\\n"), data at the start': (body) =>
    body
      .split("\n\n")
      .filter((block) => block.startsWith("data: "))
      .map((block) => block.slice("data: ".length)),
  "a regular expression for blocks": (body) => [...body.matchAll(/(?:^|\n\n)data: (.*?)(?=\n\n)/gs)].map(([, data = ""]) => data),
  "a buffer that is cut at each blank line": (body) => {
    const found: string[] = [];
    for (let rest = body, end = rest.indexOf("\n\n"); end !== -1; rest = rest.slice(end + 2), end = rest.indexOf("\n\n")) {
      const [field, ...data] = rest.slice(0, end).split(": ");
      if (field === "data") found.push(data.join(": "));
    }
    return found;
  },
};

describe("a block", () => {
  test.each(Object.entries(READERS))("loses no event to a reader that splits at blank lines (%s)", async (_name, read) => {
    await serve();
    const { body } = await chat(perennial.baseUrl);
    expect(body.split(": keep-alive\n\n").length).toBeGreaterThan(3);
    const data = read(body);
    expect(data.at(-1)).toBe("[DONE]");
    const text = data.slice(0, -1).map((json) => JSON.parse(json).choices[0].delta.content ?? "");
    expect(text.join("")).toBe("one two three");
  });

  test("disturbs openai-node in no place", async () => {
    await serve();
    const client = new OpenAI({ baseURL: perennial.baseUrl, apiKey: "x", maxRetries: 0 });
    let text = "";
    const stream = await client.chat.completions.create({
      model: "m",
      stream: true,
      messages: [{ role: "user", content: "hi" }],
    });
    for await (const piece of stream) text += piece.choices[0]?.delta.content ?? "";
    expect(text).toBe("one two three");
  });
});

test("a lone line is what Go's SDKs get, between the same events", async () => {
  await serve();
  const block = await chat(perennial.baseUrl);
  const line = await chat(perennial.baseUrl, {}, { headers: { "x-stainless-lang": "go" } });
  expect(line.body).not.toContain(": keep-alive\n\n");
  expect(line.body).toMatch(/(^|\n\n)(: keep-alive\n)+data: /);
  expect(line.body.replaceAll(": keep-alive\n", "")).toBe(block.body.replaceAll(": keep-alive\n\n", ""));
});
