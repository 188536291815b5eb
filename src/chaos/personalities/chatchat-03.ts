/** A stand-in for Langchain-Chatchat 0.3's API server (chatchat/server/api_server/*.py, chat/*.py): almost OpenAI's API. */
import { TOKENS } from "../answer.ts";
import { partialStream } from "../chat-script.ts";
import type { DialectScript } from "../dialect-script.ts";
import type { Ask } from "../fault.ts";
import { type Call, type Endpoint, type Personality, promptOf } from "../personality.ts";
import { fin, jsonReply, type Step, streamHead } from "../script.ts";
import { chatchatPages, refuseUnknown } from "./chatchat-pages.ts";
import { pythonJson } from "./python-json.ts";
import { internalError, refuseMissing, starletteEvent, UVICORN } from "./starlette.ts";

const ERROR = "Connection error.";
const DOCS = ["出处 [1] [streams.md](http://127.0.0.1:7861/knowledge_base/download_doc?file_name=streams.md) \n\n细水长流。\n\n"];
const BEFORE_FAILURE = 6;
const TOOL_INPUT = '{"city": "北京"}';
const TOOL_OUTPUT = '{"temperature": "23"}';
/** callback_handler/agent_callback_handler.py; the error was 8 in 0.3.1, and is -1 since 8 means the end of a tool. */
const STATUS = { llmStart: 1, token: 2, llmEnd: 3, agentAction: 4, agentFinish: 5, toolStart: 6, toolEnd: 7, error: -1 };

export function createChatchat03(): Personality {
  return {
    ...UVICORN,
    basePath: "",
    endpoints: ENDPOINTS,
    hints: [
      "… fail …             an error in the stream, as a string; fail-first: as its first event",
      "… crash …            an exception in mid-answer: the body is cut (0.3.1)",
      "with tools           the agent's path: a status in place of finish_reason",
      "… fail …             not streamed at /v1: HTTP 200 with the body null",
      "… swallow …          to a knowledge base: its model fails, a clean end, and nobody is told; swallow-first: documents alone",
      'kb_name "nope"       is unknown: HTTP 200 and a code in JSON',
    ],
  };
}

/** The model server's own chunks, read and written again by the openai library's models; `extra` is set on each. */
function relaying(withExtra: boolean): DialectScript {
  const chunk = (ask: Ask, delta: Record<string, unknown>, reason: string | null): Step => {
    const shape = { content: null, function_call: null, refusal: null, role: null, tool_calls: null };
    const choices = [{ delta: { ...shape, ...delta }, finish_reason: reason, index: 0, logprobs: null }];
    const head = { id: ask.id, choices, created: ask.created, model: ask.model, object: "chat.completion.chunk" };
    const rest = { service_tier: null, system_fingerprint: null, usage: null };
    // Without a conversation there is no row in its database, and no id of one.
    return starletteEvent(JSON.stringify({ ...head, ...rest, ...(withExtra ? { message_id: null, status: null } : {}) }));
  };
  return {
    name: "chatchat",
    begin: (ask) => [chunk(ask, { role: "assistant", content: "" }, null)],
    text: (ask, tokens) => tokens.map((content) => chunk(ask, { content }, null)),
    finish: (ask, _tokens, reason = "stop") => [chunk(ask, {}, reason)],
    // `async for` over the openai client ends at [DONE], and nobody sends it again.
    terminator: () => [],
    error: () => [errorEvent()],
    answer: (ask, tokens) => ({
      id: ask.id,
      choices: [
        {
          finish_reason: "stop",
          index: 0,
          logprobs: null,
          message: { content: tokens.join(""), refusal: null, role: "assistant", function_call: null, tool_calls: null },
        },
      ],
      created: ask.created,
      model: ask.model,
      object: "chat.completion",
      system_fingerprint: null,
      usage: {
        completion_tokens: tokens.length,
        prompt_tokens: ask.promptTokens,
        total_tokens: ask.promptTokens + tokens.length,
      },
      ...(withExtra ? { message_id: null, status: null } : {}),
    }),
    errorBody: (_status, message) => ({ detail: message }),
  };
}

/** `OpenAIChatOutput`: a choice without index or finish_reason, and `is_ref` in each chunk. */
function output(ask: Ask, content: string, fields: Record<string, unknown> = {}): Record<string, unknown> {
  const { status = null, tool_calls = [], ...extra } = fields;
  const head = { id: `chat${ask.id.slice(-24)}`, object: "chat.completion.chunk", model: ask.model, created: ask.created };
  const meta = { status, message_type: 1, message_id: null, is_ref: false };
  return { ...head, ...meta, ...extra, choices: [{ delta: { content, tool_calls }, role: "assistant" }] };
}

/** The same not streamed: its finish_reason is inside the message. */
function outputAtOnce(ask: Ask, content: string, status: number | null): unknown {
  const { choices: _, ...head } = output(ask, "", { status });
  const message = { role: "assistant", content, finish_reason: status === null ? null : "stop", tool_calls: [] };
  return { ...head, object: "chat.completion", choices: [{ message }] };
}

function outputEvent(ask: Ask, content: string, fields: Record<string, unknown> = {}): Step {
  return starletteEvent(pythonJson(output(ask, content, fields)));
}

const agent: DialectScript = {
  name: "chatchat",
  *begin(ask) {
    const call = { index: 0, id: "run-1", type: "function", function: { name: "weather_check", arguments: TOOL_INPUT } };
    yield outputEvent(ask, "", { status: STATUS.llmStart });
    yield outputEvent(ask, "", { status: STATUS.llmEnd });
    yield outputEvent(ask, "", { status: STATUS.agentAction });
    yield outputEvent(ask, "", {
      status: STATUS.toolStart,
      tool_calls: [{ ...call, tool_output: null, is_error: false }],
    });
    yield outputEvent(ask, "", {
      status: STATUS.toolEnd,
      tool_calls: [{ ...call, tool_output: TOOL_OUTPUT, is_error: false }],
    });
    yield outputEvent(ask, "", { status: STATUS.llmStart });
  },
  text: (ask, tokens) => tokens.map((token) => outputEvent(ask, token, { status: STATUS.token })),
  // The whole text comes again, twice: its clients go by the status.
  finish: (ask, tokens) => [STATUS.llmEnd, STATUS.agentFinish].map((status) => outputEvent(ask, tokens.join(""), { status })),
  terminator: () => [],
  // `on_llm_error`; the exception itself is swallowed by `wrap_done`.
  error: (ask, message) => [outputEvent(ask, message, { status: STATUS.error })],
  answer: (ask, tokens) => outputAtOnce(ask, tokens.join(""), STATUS.agentFinish),
  errorBody: (_status, message) => ({ detail: message }),
};

/** chat/kb_chat.py: the documents first, then the text; nothing says that it is over. */
const knowledgeBase: DialectScript = {
  name: "chatchat",
  begin: (ask) => [outputEvent(ask, "", { docs: DOCS })],
  text: (ask, tokens) => tokens.map((token) => outputEvent(ask, token)),
  finish: () => [],
  terminator: () => [],
  error: () => [errorEvent()],
  // The route returns the text of a JSON object, which FastAPI then writes as a JSON string.
  answer: (ask, tokens) => pythonJson(outputAtOnce(ask, tokens.join(""), null)),
  errorBody: (_status, message) => ({ detail: message }),
};

const plain = relaying(true);
const relayed = relaying(false);

const chat: Endpoint = {
  dialect: plain,
  answer: (ask) => plain.answer(ask, TOKENS),
  quirk(call) {
    const tools = call.fields.tools;
    const speaks = Array.isArray(tools) && tools.length > 0 ? agent : plain;
    // Not streamed, its exceptions are nobody's: a 500.
    return answered(call, speaks, internalError);
  },
};

/** /v1: it hands the request on as it is. A failure is logged by the context manager around it, and the route returns None. */
const openAi: Endpoint = {
  dialect: relayed,
  answer: (ask) => relayed.answer(ask, TOKENS),
  quirk: (call) => answered(call, relayed, () => jsonReply(200, null)),
};

/** @param byDefault whether it streams when the request does not say */
function kbChat(byDefault: boolean): Endpoint {
  return {
    dialect: knowledgeBase,
    answer: (ask) => knowledgeBase.answer(ask, TOKENS),
    quirk(call) {
      const unknown = refuseUnknown(call.fields.kb_name, (nope) => `未找到知识库 ${nope}`);
      if (unknown !== undefined) return unknown;
      const streamed = (call.fields.stream ?? byDefault) === true;
      const prompt = promptOf(call.fields);
      // Only its model runs under `wrap_done`: the documents have been sent, and then there is nothing more to say.
      if (streamed && prompt.includes("swallow")) {
        const said = prompt.includes("swallow-first") ? [] : TOKENS.slice(0, BEFORE_FAILURE);
        return () => partialStream({ ...call.ask, dialect: knowledgeBase }, said);
      }
      // What it would have sent as an event, returned as a body.
      const failed = (): Iterable<Step> => jsonReply(200, { data: pythonJson({ error: ERROR }) });
      return answered({ ...call, streamed }, knowledgeBase, failed);
    },
  };
}

const ENDPOINTS: Readonly<Record<string, Endpoint>> = {
  "POST /chat/chat/completions": chat,
  "POST /v1/chat/completions": openAi,
  "POST /chat/kb_chat": kbChat(true),
  "POST /knowledge_base/chat/completions": kbChat(false),
  "GET /v1/models": {
    answer: (ask) => ({
      object: "list",
      data: [{ id: "chatglm3-6b", created: ask.created, object: "model", owned_by: "xinference", platform_name: "xinference" }],
    }),
  },
  ...chatchatPages,
};

function answered(
  { ask: asked, fields, streamed }: Call,
  dialect: DialectScript,
  failedAtOnce: () => Iterable<Step>,
): (() => Iterable<Step>) | undefined {
  const missing = refuseMissing(fields, [fields.query === undefined ? "messages" : "query"]);
  if (missing !== undefined) return missing;
  const ask: Ask = { ...asked, dialect };
  const prompt = promptOf(fields);
  const breaks = /fail|crash/.test(prompt);
  if (!streamed) return breaks ? failedAtOnce : () => jsonReply(200, dialect.answer(ask, TOKENS));
  if (prompt.includes("fail-first")) return () => [streamHead(), ...dialect.error(ask, ERROR, 0)];
  const said = TOKENS.slice(0, BEFORE_FAILURE);
  // Since 0.3.2 or so the generator tells its exception, as a string, and ends cleanly.
  if (prompt.includes("fail")) return () => [...partialStream(ask, said), ...dialect.error(ask, ERROR, 0)];
  // 0.3.1 let it through: a cut (issue #4542).
  if (prompt.includes("crash")) return () => [...partialStream(ask, said), fin];
  return () => [...partialStream(ask, TOKENS), ...dialect.finish(ask, TOKENS)];
}

function errorEvent(): Step {
  return starletteEvent(pythonJson({ error: ERROR }));
}
