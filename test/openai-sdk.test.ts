/** The official client on both sides: what it is told directly, in silence, and what it is told through Perennial. */
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ANSWER, TOKENS } from "../src/chaos/answer.ts";
import { type ChaosServer, createChaosServer } from "../src/chaos/chaos-server.ts";
import { startPerennial, type TestPerennial } from "./support/perennial.ts";

let chaos: ChaosServer;
let perennial: TestPerennial;
let direct: OpenAI;
let through: OpenAI;

beforeAll(async () => {
  chaos = createChaosServer({ tokenDelayMs: 1 });
  const { url } = await chaos.listen(0, "127.0.0.1");
  perennial = await startPerennial(url, { timeouts: { firstToken: "1s", idle: "1s", alive: "1500ms" } });
  direct = new OpenAI({ baseURL: url, apiKey: "sk-test", maxRetries: 0 });
  through = new OpenAI({ baseURL: perennial.baseUrl, apiKey: "sk-test", maxRetries: 0 });
});

afterAll(async () => {
  await perennial.close();
  await chaos.close();
});

interface Told {
  text: string;
  /** Undefined: the client was told that the answer is complete. */
  error: unknown;
}

async function ask(client: OpenAI, model: string): Promise<Told> {
  let text = "";
  try {
    const stream = await client.chat.completions.create({
      model: `chaos/${model}`,
      stream: true,
      messages: [{ role: "user", content: model }],
    });
    for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? "";
    return { text, error: undefined };
  } catch (error) {
    return { text, error };
  }
}

const SO_FAR = TOKENS.slice(0, 4).join("");

describe("a fault before the first content", () => {
  test.each([
    "close",
    "reset-before-headers",
    "garbage",
    "500",
    "503",
    "429-ms:20",
    "empty",
    "role-only",
    "done-only",
    "comments-only",
    "json-error",
    "html",
    "null",
    "stall-first",
    "stall-headers",
    "error-event:0",
    "gzip",
    "raw-text",
  ])("%s is never noticed", async (fault) => {
    expect(await ask(through, `${fault},ok`)).toEqual({ text: ANSWER, error: undefined });
  });
});

describe("a fault after the first content", () => {
  test.each([
    ["eof:5", "stream_truncated"],
    ["done-without-finish:5", "stream_truncated"],
    ["truncate:5", "stream_truncated"],
    ["reset:5", "stream_truncated"],
    ["error-ollama:5", "stream_truncated"],
    ["stall:5", "stream_stalled"],
    ["stall-comments:5", "stream_stalled"],
    ["error-event:5", "upstream_error_event"],
    ["error-fastchat:5", "upstream_error_event"],
    ["error-vllm-flat:5", "upstream_error_event"],
    ["error-finish:5", "upstream_error_event"],
    ["error-abort:5", "upstream_error_event"],
  ])("%s raises APIError with code %s, and the text so far is the upstream's", async (fault, code) => {
    const { text, error } = await ask(through, fault);
    expect(error).toBeInstanceOf(OpenAI.APIError);
    expect((error as { code: string }).code).toBe(code);
    expect(text).toBe(SO_FAR);
  });
});

describe("directly, in silence", () => {
  test.each([
    "empty",
    "role-only",
    "done-only",
    "json-error",
    "null",
    "html",
    "eof:5",
    "done-without-finish:5",
    "error-ollama:5",
    "error-abort:5",
  ])("%s is told as a complete answer", async (fault) => {
    const { text, error } = await ask(direct, fault);
    expect(error).toBeUndefined();
    expect(text.length).toBeLessThan(ANSWER.length);
  });
});

test("an answer that is not streamed is whole, after a fault as well", async () => {
  for (const model of ["ok", "null,ok", "json-error,ok", "truncate,ok", "500,ok"]) {
    const answer = await through.chat.completions.create({
      model: `chaos/${model}`,
      messages: [{ role: "user", content: `plain ${model}` }],
    });
    expect(answer.choices[0]?.message.content).toBe(ANSWER);
  }
});

test("the rest of the API is there", async () => {
  expect((await through.models.list()).data.map(({ id }) => id)).toContain("chaos/ok");
  expect((await through.embeddings.create({ model: "e", input: "hello" })).data[0]?.embedding.length).toBeGreaterThan(0);
});

test("the SDK's own retries are not added to Perennial's", async () => {
  const eager = new OpenAI({ baseURL: perennial.baseUrl, apiKey: "sk-test", maxRetries: 2 });
  const before = chaos.requests.length;
  const { error } = await ask(eager, "500");
  expect(error).toMatchObject({ status: 500 });
  expect(chaos.requests.length - before).toBe(3);
});

test("several choices, tool calls and reasoning come through", async () => {
  const two = await through.chat.completions.create({ model: "chaos/ok", n: 2, messages: [{ role: "user", content: "two" }] });
  expect(two.choices.map(({ message }) => message.content)).toEqual([ANSWER, ANSWER]);
  for (const model of ["chaos/tools", "chaos/reasoning"]) {
    const stream = await through.chat.completions.create({ model, stream: true, messages: [{ role: "user", content: model }] });
    let finish: string | null = null;
    for await (const chunk of stream) finish = chunk.choices[0]?.finish_reason ?? finish;
    expect(finish).toBe(model === "chaos/tools" ? "tool_calls" : "stop");
  }
});
