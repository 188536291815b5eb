import { expect, test } from "vitest";
import type { Failure } from "../core/failure.ts";
import { findOpenAiError, notAnObject, readReplyBody, reportedError } from "./openai-error.ts";

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

test.each<[shape: Record<string, unknown>, told: string | undefined]>([
  [{ error: "boom" }, "boom 502 again"],
  [{ error: "success", choices: [{}] }, undefined],
  [{ error: "success" }, "success 502 again"],
  [{ error: "", message: "boom" }, undefined],
  [{ error: true, message: "boom" }, "boom 502 again"],
  [{ error: { message: "boom", code: 429 } }, "boom 429 again"],
  [{ error: { message: "boom", code: "429" } }, "boom 429 again"],
  [{ error: { message: "boom", type: "overloaded_error" } }, "boom 529 again"],
  [{ error: [{ message: "boom", code: 503 }] }, "boom 503 again"],
  [{ error: ["boom"] }, "- 502 again"],
  [{ error: { code: 0, message: "" }, choices: [{}] }, undefined],
  [{ error: { message: "ok", code: 200 } }, undefined],
  [{ error: { message: "", code: 200 } }, undefined],
  [{ error: { message: "", code: 500 } }, "- 500 again"],
  [{ error: { message: "Success", code: 7 }, choices: [{}] }, undefined],
  [{ error: { message: "boom", code: 502 }, choices: [{ delta: { content: "x" } }] }, "boom 502 again"],
  [{ error: { a: 1 }, status: 503 }, "- 503 again"],
  [{ error: { a: 1 }, message: "boom", status_code: 401 }, "boom 401 never"],
  [{ error: "boom", error_type: "overloaded" }, "boom 529 again"],
  [{ error: "boom", code: 404 }, "boom 404 elsewhere"],
  [{ object: "error", message: "boom", code: 40_303 }, "boom 403 elsewhere"],
  [{ object: "error", message: "boom", code: 50_001, choices: [{}] }, "boom 500 again"],
  [{ type: "error", message: "boom" }, "boom 502 again"],
  [{ base_resp: { status_code: 1008, status_msg: "boom" } }, "boom 402 elsewhere"],
  [{ base_resp: { status_code: 1002 }, choices: [{}] }, "- 429 again"],
  [{ base_resp: { status_code: 1000, status_msg: "success" } }, undefined],
  [{ error_code: 18, error_msg: "boom" }, "boom 429 again"],
  [{ error_code: 336_003, error_message: "boom" }, "boom 400 never"],
  [{ errorCode: 6, errorMessage: "boom" }, "boom 403 elsewhere"],
  [{ err_code: 110, err_msg: "boom" }, "boom 401 never"],
  [{ errcode: 4, errmsg: "boom" }, "boom 429 again"],
  [{ error_code: 0, error_msg: "boom" }, undefined],
  [{ error_code: null }, undefined],
  [{ error_code: false }, undefined],
  [{ error_code: 50_001, text: "boom" }, "boom 500 again"],
  [{ error_code: 1, message: "boom" }, "boom 502 again"],
  [{ error_code: "0", choices: [{}] }, undefined],
  [{ error_code: 199 }, "- 502 again"],
  [{ error_code: 200 }, undefined],
  [{ error_code: 300 }, "- 502 again"],
  [{ error_code: 20_000 }, undefined],
  [{ error_code: 1, error_msg: "成功" }, undefined],
  [{ success: false }, "- 502 again"],
  [{ success: false, errors: [{ message: "boom", code: 429 }], message: "x" }, "boom 429 again"],
  [{ errors: [{ code: 500 }], message: "boom" }, "boom 500 again"],
  [{ errors: ["", ""], message: "boom" }, "boom 502 again"],
  [{ success: false, content: "x" }, undefined],
  [{ success: true, message: "boom", x: 1 }, undefined],
  [{ type: "response.created", message: "boom" }, undefined],
  [{ type: "x", code: 500, message: "boom" }, "boom 500 again"],
  [{ type: "x", object: "y", message: "boom" }, undefined],
  [{ code: 500, msg: "boom" }, "boom 500 again"],
  [{ code: "", message: "boom", x: 1 }, undefined],
  [{ code: "E1", errorMessage: "boom", x: 1 }, "boom 502 again"],
  [{ code: 500 }, undefined],
  [{ code: "200", message: "boom", x: 1 }, undefined],
  [{ code: "429", message: "boom", x: 1 }, "boom 429 again"],
  [{ code: "success", message: "boom", x: 1 }, undefined],
  [{ error_type: "overloaded" }, "- 529 again"],
  [{ error_type: "x", message: "boom" }, "boom 502 again"],
  [{ error_type: 1 }, undefined],
  [{ event: "error" }, "- 502 again"],
  [{ status: "error", message: "boom", x: 1 }, "boom 502 again"],
  [{ detail: [{ msg: "boom" }] }, "boom 422 never"],
  [{ detail: [] }, undefined],
  [{ detail: "boom", text: "x" }, undefined],
  [{ detail: "boom", text: "" }, "boom 502 again"],
  [{ detail: "boom", code: 503 }, "boom 503 again"],
  [{ detail: "boom", content: "x" }, undefined],
  [{ message: "boom", path: "/x", timestamp: 1, status: 500 }, "boom 500 again"],
  [{ message: "boom", x: 1 }, undefined],
  [{ message: "boom", status: "errored" }, "boom 502 again"],
  [{ status: "failed" }, undefined],
  [{ output: [{}], message: "boom" }, undefined],
  [{ error: { message: { detail: { msg: { description: "boom" } } } } }, "boom 502 again"],
  [{ error: { status_msg: "boom" } }, "boom 502 again"],
  [{ error: { description: ["boom"] } }, "boom 502 again"],
  [{ error: { message: "boom", retry_after: 3 } }, "boom 502 again after 3000 ms"],
  [{ error: { message: "balance is not enough" } }, "balance is not enough 402 elsewhere"],
  [{ error: { message: "maximum context length", code: 500 } }, "maximum context length 400 never"],
  [{ error: { message: "Incorrect API key", code: 500 } }, "Incorrect API key 401 elsewhere"],
  [{ error: { message: "boom", type: `${"x".repeat(73)}overload` } }, "boom 502 again"],
  [{ error: { message: "boom", type: `${"x".repeat(72)}overload` } }, "boom 529 again"],
  [{ error: { message: "boom", code: "insufficient_quota" }, status: 429 }, "boom 429 elsewhere"],
  [{ error: { message: "boom", code: 399 } }, "boom 502 again"],
  [{ error: { message: "boom", code: 400 } }, "boom 400 never"],
  [{ error: { message: "boom", code: 400.5 } }, "boom 502 again"],
  [{ error: { message: "boom", code: 599 } }, "boom 599 again"],
  [{ error: { message: "boom", code: 600 } }, "boom 502 again"],
  [{ error: { message: "boom", code: 40_000 } }, "boom 400 never"],
  [{ error: { message: "boom", code: 59_999 } }, "boom 599 again"],
  [{ error: { message: "boom", code: 60_000 } }, "boom 502 again"],
])("%j says %s", (shape, told) => {
  expect(inWords(findOpenAiError(shape))).toBe(told);
});

/** Its text, the status and the scope that it would have as a reply, and a wait. */
function inWords(failure: Failure | undefined): string | undefined {
  if (failure === undefined) return undefined;
  const { upstreamMessage = "-", status, scope, retryAfterMs } = failure;
  return `${upstreamMessage} ${status} ${scope}${retryAfterMs === undefined ? "" : ` after ${retryAfterMs} ms`}`;
}

test("FastChat's numbers count in a reply of status 400 alone, and only for what passes", () => {
  const read = (status: number, code: unknown): unknown => reply(status, { message: "boom", code });
  expect([read(400, 42_901), read(400, 42_801), read(400, 59_901), read(400, "50001"), read(401, 50_001)]).toEqual([
    [429, "again", "boom"],
    [400, "never", "boom"],
    [599, "again", "boom"],
    [400, "never", "boom"],
    [401, "never", "boom"],
  ]);
  expect(reply(400, { error_code: 50_001, text: "boom" })).toEqual([500, "again", "boom"]);
  expect([reply(500, {}), reply(500, { message: "boom", x: 1 })]).toEqual([
    [500, "again", undefined],
    [500, "again", "boom"],
  ]);
});

test("an error that is announced by other means, with a status that came before it, or without", () => {
  const read = (text: string): unknown[] => [inWords(reportedError(text)), inWords(reportedError(text, 429))];
  expect(["boom", " ", '{"message":"boom"}', '{"code":503}', '{"a":1}'].map(read)).toEqual([
    ["boom 502 again", "boom 429 again"],
    ["- 502 again", "- 429 again"],
    ["boom 502 again", "boom 429 again"],
    ["- 503 again", "- 503 again"],
    ["- 502 again", "- 429 again"],
  ]);
});

test("a list of one error is that error, and what else is no object is no answer", () => {
  expect(inWords(notAnObject([{ error: { message: "boom", code: 503 } }]))).toBe("boom 503 again");
  for (const answer of [[], ["x"], [{ choices: [] }], "x", 5]) expect(notAnObject(answer).code).toBe("stream_corrupted");
});
