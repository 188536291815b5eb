/** A stand-in for Langchain-Chatchat 0.2.10's API server (server/chat/*.py): streams of its own, which only their end ends. */
import { TOKENS } from "../answer.ts";
import { askModel, type Heard } from "../ask-model.ts";
import { partialStream } from "../chat-script.ts";
import type { DialectScript } from "../dialect-script.ts";
import type { Ask } from "../fault.ts";
import { type Call, type Endpoint, type JsonObject, type Personality, promptOf } from "../personality.ts";
import { fin, type Step, streamHead } from "../script.ts";
import { chatchatPages, refuseUnknown } from "./chatchat-pages.ts";
import { pythonJson } from "./python-json.ts";
import { internalError, refuseMissing, starletteEvent, UVICORN } from "./starlette.ts";

const DOCS = [
  "出处 [1] [streams.md](http://127.0.0.1:7861/knowledge_base/download_doc?knowledge_base_name=samples&file_name=streams.md) \n\n细水长流。\n\n",
];
const TOOL_USE = [
  "\n```\n",
  "工具名称: weather_check",
  "工具状态: 调用成功",
  "工具输入: 北京",
  '工具输出: {"temperature": "23"}',
  "\n```\n",
];
/** Tokens before the model behind it fails. */
const BEFORE_FAILURE = 6;

/** @param modelUrl base URL of a model server that it asks; without one it has the sandbox's words of its own. */
export function createChatchat02(modelUrl?: string): Personality {
  return {
    ...UVICORN,
    basePath: "",
    endpoints: ENDPOINTS,
    async hear(endpoint, fields) {
      if (modelUrl === undefined || endpoint?.alwaysStreams !== true) return undefined;
      return await askModel(modelUrl, typeof fields.model_name === "string" ? fields.model_name : "model", promptOf(fields));
    },
    hints: [
      "… swallow …          its model fails in mid-answer: a clean end, and nobody is told",
      "… swallow-first …    the same before the first word",
      "… crash …            an exception of its own: the body is cut",
      'knowledge_base_name  "nope" is unknown: HTTP 200 and a code in JSON',
    ],
  };
}

/** What makes one route's events differ from another's. */
interface RouteShape {
  readonly needs: readonly string[];
  /** One word of the model's, and a whole answer where `stream` is false. */
  say(text: string, ask: Ask): string;
  /** Before the model's words. */
  readonly before?: readonly string[];
  /** After the model's words; also after a failure, which nobody here hears of. */
  readonly after?: readonly string[];
  /** After the model's words, if they came to their end. */
  readonly last?: (text: string) => string;
  /** The one event of `stream: false`. */
  sayWhole(text: string, ask: Ask): string;
  refuse?(fields: JsonObject): (() => Iterable<Step>) | undefined;
}

const answerOnly = (text: string): string => pythonJson({ answer: text });
const answerWithDocs = (text: string): string => pythonJson({ answer: text, docs: DOCS });

const WITH_DOCS = { say: answerOnly, after: [pythonJson({ docs: DOCS })], sayWhole: answerWithDocs };
// The id of the row in its database; 32 hexadecimal digits.
const sayText = (text: string, ask: Ask): string => pythonJson({ text, message_id: ask.id.slice(-24).padStart(32, "0") });

const ENDPOINTS: Readonly<Record<string, Endpoint>> = {
  "POST /chat/chat": streaming({ needs: ["query"], say: sayText, sayWhole: sayText }),
  "POST /chat/knowledge_base_chat": streaming({
    ...WITH_DOCS,
    needs: ["query", "knowledge_base_name"],
    refuse: ({ knowledge_base_name: name }) => refuseUnknown(name, (nope) => `未找到知识库 ${nope}`),
  }),
  "POST /chat/search_engine_chat": streaming({
    ...WITH_DOCS,
    needs: ["query", "search_engine_name"],
    refuse: ({ search_engine_name: name }) => refuseUnknown(name, (nope) => `未支持搜索引擎 ${nope}`),
  }),
  "POST /chat/file_chat": streaming({
    ...WITH_DOCS,
    needs: ["query", "knowledge_id"],
    refuse: ({ knowledge_id: id }) => refuseUnknown(id, (nope) => `未找到临时知识库 ${nope}，请先上传文件`),
  }),
  "POST /chat/agent_chat": streaming({
    needs: ["query"],
    say: answerOnly,
    // What the agent thinks comes as `answer`, what its tools say as `tools`, and only its last word is the answer.
    before: [pythonJson({ answer: "Thought: " }), pythonJson({ answer: "weather_check" }), pythonJson({ tools: TOOL_USE })],
    last: (text) => pythonJson({ final_answer: text }),
    sayWhole: (text) => pythonJson({ answer: text, final_answer: text }),
  }),
  // Its completions are bare words in `data:` lines: no JSON (server/chat/completion.py yields the token itself).
  "POST /other/completion": streaming({ needs: ["query"], say: (text) => text, sayWhole: (text) => text }),
  ...chatchatPages,
};

function streaming(shape: RouteShape): Endpoint {
  const dialect = dialectOf(shape);
  return {
    dialect,
    // An event stream whatever `stream` says; if that is false, of one event.
    alwaysStreams: true,
    answer: (ask) => shape.sayWhole(TOKENS.join(""), ask),
    quirk({ ask, fields, heard }) {
      const refused = refuseMissing(fields, shape.needs) ?? shape.refuse?.(fields);
      if (refused !== undefined) return refused;
      if (heard !== undefined) return () => relayed(shape, ask, fields, heard);
      return failing(shape, { ask, fields }) ?? (fields.stream === true ? undefined : () => atOnce(shape, ask));
    },
  };
}

function dialectOf({ say, before = [], after = [], last }: RouteShape): DialectScript {
  return {
    name: "chatchat",
    begin: () => before.map(starletteEvent),
    text: (ask, tokens) => tokens.map((token) => starletteEvent(say(token, ask))),
    finish: (_ask, tokens) => [...(last ? [last(tokens.join(""))] : []), ...after].map(starletteEvent),
    terminator: () => [],
    // A failure of its model is logged by `wrap_done`, and that is all.
    error: () => [],
    answer: (_ask, tokens) => tokens.join(""),
    errorBody: (status, msg) => ({ code: status, msg, data: null }),
  };
}

function failing(shape: RouteShape, { ask, fields }: Pick<Call, "ask" | "fields">): (() => Iterable<Step>) | undefined {
  const prompt = promptOf(fields);
  const after = (shape.after ?? []).map(starletteEvent);
  const said = TOKENS.slice(0, BEFORE_FAILURE);
  // `wrap_done` logs "Caught exception: …" and sets the event that means done (issues #3780, #4181, #5256).
  if (prompt.includes("swallow-first")) return () => [streamHead(), ...after];
  if (prompt.includes("swallow")) {
    if (fields.stream !== true) return () => [streamHead(), starletteEvent(shape.sayWhole(said.join(""), ask))];
    return () => [...partialStream(ask, said), ...after];
  }
  // Its own generator fails: no event, and the body is cut (issues #1990, #3425).
  if (prompt.includes("crash-first")) return internalError;
  if (prompt.includes("crash")) return () => [...partialStream(ask, said), fin];
  return undefined;
}

/** Whatever became of its model: `wrap_done` logs "Caught exception: …" and sets the event that means done. */
function* relayed(shape: RouteShape, ask: Ask, { stream }: JsonObject, { words, finished }: Heard): Iterable<Step> {
  const text = words.join("");
  if (stream !== true) {
    yield streamHead();
    yield starletteEvent(shape.sayWhole(text, ask));
    return;
  }
  yield* partialStream(ask, words);
  if (finished && shape.last !== undefined) yield starletteEvent(shape.last(text));
  yield* (shape.after ?? []).map(starletteEvent);
}

function atOnce(shape: RouteShape, ask: Ask): Iterable<Step> {
  return [streamHead(), starletteEvent(shape.sayWhole(TOKENS.join(""), ask))];
}
