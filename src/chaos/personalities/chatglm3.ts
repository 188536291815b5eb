/** A stand-in for ChatGLM3's openai_api_demo/api_server.py (FastAPI, sse-starlette), with the habits that were seen of it. */

import { isObject } from "../../dialect/json.ts";
import { TOKENS } from "../answer.ts";
import { partialStream, wholeStream } from "../chat-script.ts";
import type { Ask } from "../fault.ts";
import { type Endpoint, type JsonObject, type Personality, promptOf } from "../personality.ts";
import { fin, jsonReply, reply, type Step, streamHead } from "../script.ts";
import { callChunk, chatglm3Dialect, choiceOf, usageOf } from "./chatglm3-dialect.ts";
import { internalError, refuseMissing, starletteEvent, UVICORN } from "./starlette.ts";

const GREETING = [
  "你好",
  "👋",
  "！",
  "我是",
  "人工智能",
  "助手",
  " ChatGLM3-6B",
  "，",
  "很高兴",
  "见到你，",
  "欢迎",
  "问我",
  "任何问题。",
];
/** It speaks of a tool by name, and that is all it takes. */
const PROSE_WITH_GET = ["The demo's", " tools are", " all called", " get_", "something:\n", "get_weather,", " for one", "."];
const CALL_TEXT = ["get", "_weather", "\n ```python\n", "tool_call(city='", "北京", "')\n", "```"];
const CALL = { name: "get_weather", arguments: '{"city": "北京"}' };

/** @param firstRequestMs how long the first answer takes, while it blocks all others @defaultValue 1500 */
export function createChatglm3(firstRequestMs = 1_500): Personality {
  let readyAt: number | undefined;
  return {
    ...UVICORN,
    basePath: "/v1",
    endpoints: ENDPOINTS,
    hints: [
      "1+1=?                streamed: a 200 without a byte; not streamed: 2",
      "你好，你是谁？          a longer answer",
      "… get_ …             swallows its answer, then sends it raw",
      "… crash …            an exception in mid-answer; crash-first: a 500",
      "… weather …          with tools: a function call",
    ],
    // Its generator runs on the event loop: while the first answer warms the model, not even /v1/models is served.
    delayMs(endpoint) {
      const now = performance.now();
      if (endpoint === chat) readyAt ??= now + firstRequestMs;
      return Math.max(0, (readyAt ?? now) - now);
    },
  };
}

const chat: Endpoint = {
  dialect: chatglm3Dialect,
  answer: (ask) => chatglm3Dialect.answer(ask, TOKENS),
  quirk({ ask, fields, streamed }) {
    const refused = refuse(fields);
    if (refused !== undefined) return refused;
    const prompt = promptOf(fields);
    // Seen from outside: an exception before the first yield is the route's own.
    if (prompt.includes("crash-first") || (prompt.includes("crash") && !streamed)) return internalError;
    if (prompt.includes("crash")) return () => crash(ask);
    if (hasTools(fields) && prompt.includes("weather")) return () => (streamed ? streamCall(ask) : answerCall(ask));
    if (prompt.includes("get_")) return () => (streamed ? swallow(ask, PROSE_WITH_GET) : whole(ask, PROSE_WITH_GET, false));
    return () => whole(ask, tokensFor(prompt), streamed);
  },
};

const ENDPOINTS: Readonly<Record<string, Endpoint>> = {
  "POST /v1/chat/completions": chat,
  "GET /v1/models": {
    answer: (ask) => ({
      object: "list",
      data: [
        {
          id: "chatglm3-6b",
          object: "model",
          created: ask.created,
          owned_by: "owner",
          root: null,
          parent: null,
          permission: null,
        },
      ],
    }),
  },
  "GET /health": { answer: () => null, quirk: () => () => reply(200, "text/plain", "") },
};

function refuse(fields: JsonObject): (() => Iterable<Step>) | undefined {
  const missing = refuseMissing(fields, ["model", "messages"]);
  if (missing !== undefined) return missing;
  const last: unknown = Array.isArray(fields.messages) ? fields.messages.at(-1) : undefined;
  // "if len(request.messages) < 1 or request.messages[-1].role == 'assistant'": an answer cannot be continued here.
  if (isObject(last) && last.role !== "assistant") return undefined;
  return () => jsonReply(400, { detail: "Invalid request" });
}

function hasTools({ tools }: JsonObject): boolean {
  return isObject(tools) || (Array.isArray(tools) && tools.length > 0);
}

function tokensFor(prompt: string): readonly string[] {
  if (prompt.includes("1+1")) return ["2"];
  return prompt === "你好，你是谁？" ? GREETING : TOKENS;
}

function whole(ask: Ask, tokens: readonly string[], streamed: boolean): Iterable<Step> {
  return streamed ? wholeStream(ask, tokens) : jsonReply(200, chatglm3Dialect.answer(ask, tokens));
}

/** An exception in mid-generation: no event, and the chunked body is not ended (curl says 18). */
function* crash(ask: Ask): Iterable<Step> {
  yield* partialStream(ask, TOKENS.slice(0, 6));
  yield fin;
}

/**
 * `contains_custom_function` looks for `get_` in all that was said so far. Once found, the rest is swallowed, and at the end the
 * whole raw text is yielded as it is: no JSON, no finish_reason, no [DONE].
 */
function* swallow(ask: Ask, tokens: readonly string[]): Iterable<Step> {
  const said = tokens.slice(
    0,
    tokens.findIndex((token) => token.includes("get_")),
  );
  yield* partialStream(ask, said);
  yield starletteEvent(tokens.join(""));
}

/** `predict`, after `predict_stream` has found a function call: a role chunk here, and `stop` once more after `function_call`. */
function* streamCall(ask: Ask): Iterable<Step> {
  yield streamHead();
  yield starletteEvent(callChunk(ask, { role: "assistant" }, null));
  const last = CALL_TEXT.length - 1;
  for (const [i, content] of CALL_TEXT.entries()) {
    const delta = { role: "assistant", content, function_call: i === last ? CALL : null };
    yield starletteEvent(callChunk(ask, delta, i === last ? "function_call" : null));
  }
  yield starletteEvent(callChunk(ask, {}, "stop"));
  yield starletteEvent("[DONE]");
}

function answerCall(ask: Ask): Iterable<Step> {
  const choices = [choiceOf(CALL_TEXT.join(""), CALL, "function_call")];
  const head = { model: ask.model, id: "", object: "chat.completion" };
  return jsonReply(200, { ...head, choices, created: ask.created, usage: usageOf(ask, CALL_TEXT) });
}
