/** The error event of responses, as those read it who must hear of it: the SDKs, the AI SDK, and Codex, which knows `response.failed` alone. */
import { createOpenAI } from "@ai-sdk/openai";
import { streamText } from "ai";
import { createParser } from "eventsource-parser";
import OpenAI, { APIError } from "openai";
import { afterEach, expect, test } from "vitest";
import { send } from "./support/client.ts";
import { startPerennial, type TestPerennial } from "./support/perennial.ts";
import { type RawUpstream, SSE_HEAD, startRawUpstream } from "./support/raw-upstream.ts";

let upstream: RawUpstream;
let perennial: TestPerennial;

afterEach(async () => {
  await perennial.close();
  await upstream.close();
});

const typed = (type: string, fields: object): string => `event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`;
const RESPONSE = { id: "resp_1", object: "response", created_at: 1, model: "m", status: "in_progress", output: [] };
const PART = [
  typed("response.created", { sequence_number: 0, response: RESPONSE }),
  typed("response.output_item.added", {
    sequence_number: 1,
    output_index: 0,
    item: { id: "msg_1", type: "message", role: "assistant", status: "in_progress", content: [] },
  }),
  typed("response.output_text.delta", {
    sequence_number: 2,
    output_index: 0,
    content_index: 0,
    item_id: "msg_1",
    delta: "Hello",
    logprobs: [],
  }),
];

async function serve(events: readonly string[]): Promise<void> {
  upstream = await startRawUpstream((socket) => socket.end(`${SSE_HEAD}\r\n${events.join("")}`));
  perennial = await startPerennial(upstream.baseUrl, { retry: { maxAttempts: 1 } });
}

async function lastEvent(): Promise<{ event: string | undefined; json: Record<string, unknown> }> {
  const seen = await send(`${perennial.baseUrl}/responses`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: '{"model":"m","input":"hi","stream":true}',
  });
  let last: { event: string | undefined; json: Record<string, unknown> } = { event: undefined, json: {} };
  const parser = createParser({ onEvent: ({ event, data }) => (last = { event, json: JSON.parse(data) }) });
  parser.feed(seen.body);
  return last;
}

test("is a failed response with the reason in it, and the same error at its top", async () => {
  await serve(PART);
  const { event, json } = await lastEvent();
  expect([event, json.type, json.sequence_number]).toEqual(["response.failed", "response.failed", 3]);
  const message = expect.stringMatching(/^Incomplete stream: .*5 characters had arrived/);
  expect(json.response).toEqual({ object: "response", status: "failed", error: { code: "stream_truncated", message } });
  expect(json.error).toMatchObject({ code: "stream_truncated", type: "upstream_error", message });
});

test("has a number even where the upstream's events have none", async () => {
  await serve(PART.map((text) => text.replace(/"sequence_number":\d+,/, "")));
  expect((await lastEvent()).json.sequence_number).toBe(0);
});

test("goes on from what its client was given, not from what was held behind a tool call", async () => {
  const call = { id: "fc_1", type: "function_call", name: "f", call_id: "c", arguments: "" };
  await serve([
    ...PART,
    typed("response.output_item.added", { sequence_number: 3, output_index: 1, item: call }),
    typed("response.function_call_arguments.delta", { sequence_number: 4, output_index: 1, delta: '{"a' }),
  ]);
  expect((await lastEvent()).json.sequence_number).toBe(3);
});

test("is raised by openai-node", async () => {
  await serve(PART);
  const client = new OpenAI({ baseURL: perennial.baseUrl, apiKey: "x", maxRetries: 0 });
  const stream = await client.responses.create({ model: "m", input: "hi", stream: true });
  let text = "";
  const error = await (async () => {
    for await (const event of stream) if (event.type === "response.output_text.delta") text += event.delta;
  })().catch((thrown: unknown) => thrown);
  expect(text).toBe("Hello");
  expect(error).toBeInstanceOf(APIError);
  expect(error).toMatchObject({ code: "stream_truncated" });
});

test("is an error part in the AI SDK, before the cut that its textStream needs", async () => {
  await serve(PART);
  const model = createOpenAI({ baseURL: perennial.baseUrl, apiKey: "x" }).responses("m");
  const parts: { readonly type: string; readonly error?: unknown }[] = [];
  await (async () => {
    for await (const part of streamText({ model, prompt: "hi", maxRetries: 0, onError() {} }).stream) parts.push(part);
  })().catch(() => {});
  expect(parts.map(({ type }) => type)).toContain("text-delta");
  const { error } = parts.find(({ type }) => type === "error") ?? {};
  expect(JSON.stringify(error) + String(error)).toMatch(/stream_truncated|Incomplete stream:/);
});
