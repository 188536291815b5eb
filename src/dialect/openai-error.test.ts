import { expect, test } from "vitest";
import { findOpenAiError, readReplyBody } from "./openai-error.ts";

test.each<[what: string, json: Record<string, unknown>]>([
  ["a chunk", { id: "c", choices: [{ index: 0, delta: { content: "Hi" } }] }],
  ["a usage chunk", { id: "c", object: "chat.completion.chunk", choices: [], usage: {} }],
  ["a chunk with an error of nulls", { choices: [{}], error: { code: null, message: null } }],
  ["a chunk with an empty error", { choices: [{}], error: {} }],
  ["a chunk with a code that means success", { code: 0, message: "Success", sid: "s", choices: [{}] }],
  ["Chatchat's success", { code: 200, msg: "ok", data: [] }],
  ["a success in words", { code: 10_000, message: "success" }],
  ["Chatchat's success in other words", { code: 200, msg: "成功添加" }],
  ["a gateway's progress", { status: "queued", message: "2 before you" }],
  ["an event of code", { type: "response.code_interpreter_call_code.done", code: "print(1)" }],
  ["documents", { docs: ["a"] }],
  ["an empty list of errors", { errors: [], choices: [] }],
  ["base_resp that is fine", { base_resp: { status_code: 0, status_msg: "success" } }],
])("%s is no error", (_what, json) => {
  expect(findOpenAiError(json)).toBeUndefined();
});

test.each<Record<string, unknown>>([
  { message: "boom" },
  { error_msg: "boom" },
  { msg: "boom", statusCode: 500 },
  { status: "failed", message: "boom" },
  { code: "Throttling", message: "boom", request_id: "r" },
  { object: "error", message: { detail: [{ msg: "boom" }] } },
  { errors: ["boom"] },
  { event: "error", message: "boom" },
])("%j is an error that says so", (json) => {
  expect(findOpenAiError(json)?.upstreamMessage).toBe("boom");
});

test("errors nested beyond all measure are still errors", () => {
  const deep = `${'{"message":'.repeat(5_000)}"boom"${"}".repeat(5_000)}`;
  expect(findOpenAiError({ error: JSON.parse(deep) })?.code).toBe("upstream_error_event");
});

const reply = (status: number, json: unknown, waits = false): unknown => {
  const read = readReplyBody(status, Buffer.from(JSON.stringify(json)), waits);
  return [read.status, read.scope, read.message];
};

test("FastChat's 400 for a dead worker is a 5xx, and its other 400s are not", () => {
  expect(reply(400, { object: "error", message: "boom", code: 50_001 })).toEqual([500, "again", "boom"]);
  expect(reply(400, { object: "error", message: "boom", code: 50_301 })).toEqual([503, "again", "boom"]);
  expect(reply(400, { object: "error", message: "boom", code: 40_001 })).toEqual([400, "never", "boom"]);
});

test("an account that is empty stays so, whatever the status", () => {
  expect(reply(429, { error: { message: "boom", type: "insufficient_quota", code: "insufficient_quota" } })).toEqual([
    429,
    "elsewhere",
    "boom",
  ]);
  expect(reply(429, { error: { message: "Rate limit: 200 requests per day" } })).toEqual([429, "elsewhere", expect.any(String)]);
  expect(reply(429, { error: { message: "Rate limit: 200 requests per day" } }, true)).toEqual([
    429,
    "again",
    expect.any(String),
  ]);
  expect(reply(429, { error: { message: "slow down" } })).toEqual([429, "again", "slow down"]);
  expect(reply(500, { error: { message: "This model's maximum context length is 4096 tokens" } })).toEqual([
    500,
    "never",
    expect.any(String),
  ]);
});

test("a reply that is no JSON is judged by its status", () => {
  expect(readReplyBody(503, Buffer.from("busy"))).toEqual({ status: 503, scope: "again", message: undefined });
  expect(readReplyBody(404, Buffer.from(""))).toEqual({ status: 404, scope: "elsewhere", message: undefined });
});
