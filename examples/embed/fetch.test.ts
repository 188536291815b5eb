/** The SDKs with a `fetch` of their own: no port, no process, the same contract. */
import { createOpenAI } from "@ai-sdk/openai";
import Anthropic from "@anthropic-ai/sdk";
import { generateText } from "ai";
import OpenAI from "openai";
import { createFetch } from "perennial";
import { createChaosServer } from "perennial/chaos";
import { afterAll, beforeAll, expect, test } from "vitest";

const chaos = createChaosServer({ tokenDelayMs: 0 });
// Here the upstream is one that fails; yours is `upstream: "https://api.openai.com/v1"`, and the SDKs need no baseURL.
let upstream: string;
let fetch: ReturnType<typeof createFetch>;

beforeAll(async () => {
  upstream = (await chaos.listen()).url;
  fetch = createFetch({ upstream, retry: { backoff: { initial: "10ms" } } });
});
afterAll(async () => {
  await fetch.close();
  await chaos.close();
});

test("openai: a stream that was empty at first arrives whole", async () => {
  const client = new OpenAI({ baseURL: upstream, apiKey: "none", fetch });
  let text = "";
  const messages = [{ role: "user" as const, content: "Hello" }];
  for await (const { choices } of await client.chat.completions.create({ model: "chaos/empty+ok", messages, stream: true })) {
    text += choices[0]?.delta.content ?? "";
  }
  expect(text).toContain("begun again.");
});

test("openai: a stream that breaks off is an error", async () => {
  const client = new OpenAI({ baseURL: upstream, apiKey: "none", fetch });
  const messages = [{ role: "user" as const, content: "Hello" }];
  const stream = await client.chat.completions.create({ model: "chaos/eof:5", messages, stream: true });
  const read = async (): Promise<void> => {
    for await (const _ of stream);
  };
  await expect(read()).rejects.toMatchObject({ code: "stream_truncated" });
});

test("anthropic", async () => {
  const client = new Anthropic({ baseURL: upstream.replace("/v1", ""), apiKey: "none", fetch });
  const messages = [{ role: "user" as const, content: "Hello" }];
  const message = await client.messages.stream({ model: "chaos/500+ok", max_tokens: 256, messages }).finalMessage();
  expect(message.stop_reason).toBe("end_turn");
});

test("the AI SDK", async () => {
  const openai = createOpenAI({ baseURL: upstream, apiKey: "none", fetch });
  const { text } = await generateText({ model: openai.chat("chaos/500+ok"), prompt: "Hello", maxRetries: 0 });
  expect(text).toContain("begun again.");
});
