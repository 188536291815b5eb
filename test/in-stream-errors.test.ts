/** Errors that an upstream puts into its stream, in every server's own words: what the client is told, and when it is told nothing. */
import { describe, expect } from "vitest";
import { chat, codeOf, readStream } from "./support/client.ts";
import { choice, DONE, line, STARTED, WORDS } from "./support/events.ts";
import { chatEvents, sendFramed } from "./support/raw-upstream.ts";
import { atOnce } from "./support/replies.ts";
import { test } from "./support/test.ts";

const ERRORS: [server: string, events: string[], says: string][] = [
  ["OpenAI's error object", [line({ error: { message: "boom", type: "server_error", code: null } })], "boom"],
  [
    "vLLM's error object and [DONE]",
    [line({ error: { message: "boom", type: "InternalServerError", param: null, code: 500 } }), DONE],
    "boom",
  ],
  [
    "older vLLM's flat error and [DONE]",
    [line({ object: "error", message: "boom", type: "InternalServerError", code: 500 }), DONE],
    "boom",
  ],
  ["an error_code in text", [line({ text: "boom", error_code: "50002" }), DONE], "boom"],
  ["FastChat's error_code and [DONE]", [line({ text: "boom", error_code: 50_002 }), DONE], "boom"],
  [
    "SGLang's error, usage and [DONE]",
    [line({ error: { message: "boom", code: 500 } }), line({ choices: [], usage: {} }), DONE],
    "boom",
  ],
  ["SGLang's finish_reason abort", [choice({ content: "" }, "abort"), DONE], "abort"],
  [
    "OpenRouter's error beside choices",
    [line({ error: { message: "boom", code: 502 }, choices: [{ index: 0, delta: { content: "" }, finish_reason: "error" }] })],
    "boom",
  ],
  ["a bare finish_reason error", [choice({ content: "" }, "error"), DONE], "error"],
  [
    "DeepSeek's insufficient_system_resource",
    [choice({ content: "" }, "insufficient_system_resource"), DONE],
    "insufficient_system_resource",
  ],
  ["llama.cpp's error object without [DONE]", [line({ error: { code: 500, message: "boom", type: "server_error" } })], "boom"],
  ["llama.cpp's old error field", [`error: ${JSON.stringify({ code: 500, message: "boom" })}\n\n`], "boom"],
  ["Xinference's error string", [line({ error: "boom" })], "boom"],
  ["LM Studio's error and message", [line({ error: { message: "boom" }, message: "boom" })], "boom"],
  ["a named error event", [`event: error\n${line({ error: { message: "boom" } })}`], "boom"],
  ["a named error event in plain text", ["event: error\ndata: boom\n\n"], "boom"],
  ["data [ERROR]", ["data: [ERROR] boom\n\n"], "boom"],
  ["a bare JSON line with an error", [`${JSON.stringify({ error: { message: "boom" } })}\n\n`], "boom"],
];

describe.each(ERRORS)("%s", (_server, events, says) => {
  test("in mid-stream becomes one error event after the text so far", async ({ serve }) => {
    const { perennial, upstream } = await serve([[...STARTED, ...events]]);
    const seen = await chat(perennial.baseUrl);
    const stream = readStream(seen.body);
    expect(seen).toMatchObject({ status: 200, end: "clean" });
    expect(stream).toMatchObject({ text: "Hello, world", done: false, errorCode: "upstream_error_event", finish: null });
    const { error, code, msg } = JSON.parse(stream.data.at(-1) ?? "");
    expect(error).toEqual({ message: msg, type: "upstream_error", param: null, code: "upstream_error_event" });
    expect(code).toBeGreaterThanOrEqual(500);
    expect(msg).toContain(says);
    expect(msg).toContain("12 characters");
    expect(upstream.requests).toHaveLength(1);
    expect(await perennial.exchangeLog()).toMatchObject({ outcome: "interrupted", failure: "upstream_error_event" });
  });

  test("before any text is retried, and the client never knows", async ({ serve }) => {
    const { perennial } = await serve((socket, { number }) =>
      sendFramed(socket, "chunked", number === 1 ? [STARTED[0] as string, ...events] : chatEvents(WORDS)),
    );
    const seen = await chat(perennial.baseUrl);
    expect(readStream(seen.body)).toMatchObject({ text: "Hello, world", done: true, errorCode: undefined });
    expect(seen.headers).toMatchObject({ "x-perennial-attempts": "2", "x-perennial-upstream": "main" });
    expect(await perennial.exchangeLog()).toMatchObject({
      outcome: "recovered",
      attempts: [{ failure: "upstream_error_event" }, {}],
    });
  });

  test("at every attempt becomes an HTTP error", async ({ serve }) => {
    const { perennial, upstream } = await serve([events]);
    const seen = await chat(perennial.baseUrl);
    expect(seen.status).toBeGreaterThanOrEqual(500);
    expect(seen.headers["x-should-retry"]).toBe("false");
    expect(JSON.parse(seen.body).error).toMatchObject({ type: "upstream_error", code: "upstream_error_event" });
    expect(upstream.requests).toHaveLength(3);
    expect(await perennial.exchangeLog()).toMatchObject({ outcome: "failed", failure: "upstream_error_event" });
  });
});

test("an error that names a status gives the client that status, and is not retried when it could not help", async ({
  serve,
}) => {
  const { perennial, upstream } = await serve([
    [line({ error: { message: "context too long", type: "BadRequestError", code: 400 } }), DONE],
  ]);
  const seen = await chat(perennial.baseUrl);
  expect(seen.status).toBe(400);
  expect(seen.headers["x-should-retry"]).toBeUndefined();
  expect(upstream.requests).toHaveLength(1);
});

test("an error after every choice has finished does not undo the answer", async ({ serve }) => {
  const { perennial } = await serve([[...chatEvents(WORDS, { done: false }), line({ error: { message: "usage failed" } })]]);
  expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({
    text: "Hello, world",
    done: true,
    errorCode: undefined,
  });
});

describe("an error inside a stream, before any text", () => {
  const inside = (error: object): string => line({ error: { message: "boom", ...error } });
  const rows: [what: string, event: string, status: number, requests: number, says: string][] = [
    ["FastChat's number 40001", line({ text: "boom", error_code: 40_001 }), 400, 1, "boom"],
    ["a code in digits", inside({ code: "400" }), 400, 1, "boom"],
    ["a type that says invalid request", inside({ type: "invalid_request_error", code: null }), 400, 1, "boom"],
    ["a type in another spelling of upper and lower case", inside({ type: "BadRequestError" }), 400, 1, "boom"],
    ["a field named status", inside({ status: 404 }), 404, 1, "boom"],
    ["a field named status_code", inside({ status_code: 404 }), 404, 1, "boom"],
    ["a code", inside({ code: 404 }), 404, 1, "boom"],
    ["a status that may pass", inside({ code: 503 }), 503, 3, "boom"],
    ["a code above every status", inside({ code: 1301 }), 502, 3, "boom"],
    ["a code below every error", inside({ code: 200 }), 502, 3, "boom"],
    ["no more than a flag", line({ error: true, message: "boom" }), 502, 3, "reported an error inside"],
    ["its text in msg", line({ error: { msg: "boom" } }), 502, 3, "boom"],
    ["its text in detail", line({ error: { detail: "boom" } }), 502, 3, "boom"],
    ["its fields in an event named error", `event: error\n${line({ message: "boom", code: 400 })}`, 400, 1, "boom"],
  ];

  test.for(rows)("that has %s is an HTTP error with that status", async ([_what, event, status, requests, says], { serve }) => {
    const { perennial, upstream } = await serve([atOnce([event])]);
    const seen = await chat(perennial.baseUrl);
    expect([seen.status, codeOf(seen), upstream.requests.length]).toEqual([status, "upstream_error_event", requests]);
    expect(JSON.parse(seen.body).error.message).toContain(says);
  });
});

describe("text, and in the same read", () => {
  const big = choice({ content: "x".repeat(3_000) });
  const rows: [what: string, tail: string[], code: string][] = [
    ["an error and more text", [line({ error: "boom" }), choice({ content: "more" })], "upstream_error_event"],
    ["an error without its blank line", [line({ error: "boom" }).trimEnd()], "upstream_error_event"],
    ["half of a line that begins with error", ['error: {"message":"bo'], "stream_truncated"],
    ["an event over the limit and more text", [big, choice({ content: "more" })], "stream_corrupted"],
    ["an event over the limit and a line with an error", [big, "error: boom\n\n"], "stream_corrupted"],
    ["[DONE] without a finish and a line with an error", [DONE, "error: boom\n\n"], "stream_truncated"],
  ];

  test.for(rows)(
    "%s: the text is handed on, the first failure told, and nothing follows",
    async ([_what, tail, code], { serve }) => {
      const { perennial, upstream } = await serve([atOnce([...STARTED, ...tail])], { limits: { maxEventBytes: "1KiB" } });
      expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({
        text: "Hello, world",
        errorCode: code,
        done: false,
      });
      expect(upstream.requests).toHaveLength(1);
    },
  );
});
