/** The errors of the OpenAI family: every shape its servers send inside a 200, and the one shape that we send. */
import { Failure, type FailureScope, scopeOfStatus } from "../core/failure.ts";
import { type CodeFamily, httpStatusOf, meaningOf } from "./error-status.ts";
import { holdsSomething, isObject, type JsonObject, parseObject } from "./json.ts";
import { waitToldIn } from "./told-wait.ts";

/** An error that was found in an object, before it is judged. */
interface SaidError {
  readonly fields: JsonObject;
  readonly text: string | undefined;
  readonly family?: CodeFamily;
}

/**
 * The error that a JSON object stands for, if it does. Seen in the wild: `{error:{…}}` (OpenAI, vLLM, SGLang, llama.cpp,
 * LM Studio), `{error:"text"}` (Xinference, Chatchat), `{error:"text",error_type}` (TGI), `{error:{…},choices:[…]}` (OpenRouter),
 * `{object:"error",…}` (older vLLM), `{text,error_code:50001}` (FastChat), `{error_code,error_msg}` (Baidu), `{base_resp:{…}}` (MiniMax),
 * `{code,message,request_id}` (DashScope), `{code,msg}` (Chatchat), `{detail}` (FastAPI), `{success:false,errors:[…]}` (Cloudflare).
 * @param known a status that came with it otherwise.
 */
export function findOpenAiError(json: JsonObject, known?: number): Failure | undefined {
  const said = errorField(json) ?? flatError(json) ?? (isAnswer(json) ? undefined : errorWithoutAnswer(json));
  return said && reported(said, json, known);
}

function errorField(json: JsonObject): SaidError | undefined {
  const { error } = json;
  if (!error) return undefined;
  if (typeof error === "string") return isSuccessWord(error) && isAnswer(json) ? undefined : { fields: json, text: error };
  const list = Array.isArray(error) ? error : [error];
  const [first = {}] = list.filter(isObject);
  // Some gateways send an empty one, or one of nulls, or a code that means success, with every chunk.
  const isEmpty =
    typeof error === "object" && Object.values(first).every((value) => value === null || value === "" || value === 0);
  if (isEmpty && isAnswer(json)) return undefined;
  const said = textOf(first) ?? "";
  if (isObject(error) && isSuccessWord(said) && (said !== "" || saysSuccess(first.code, undefined))) return undefined;
  const fields = { ...withoutAnswer(json), ...first };
  return { fields, text: textOf(first) ?? textOf(json) };
}

/** The fields beside an error that may name its status; an answer's own do not. */
function withoutAnswer({ status, status_code, code, error_type }: JsonObject): JsonObject {
  return { status, status_code, code, error_type };
}

/** Errors that no good chunk looks like, whatever else is in them. */
function flatError(json: JsonObject): SaidError | undefined {
  if (json.object === "error" || json.type === "error") return { fields: json, text: textOf(json) };
  const { base_resp } = json;
  if (isObject(base_resp) && !saysSuccess(base_resp.status_code, asText(base_resp.status_msg))) {
    return { fields: { code: base_resp.status_code }, text: asText(base_resp.status_msg), family: "minimax" };
  }
  const code = json.error_code ?? json.errorCode ?? json.err_code ?? json.errcode;
  const text =
    asText(json.error_msg) ??
    asText(json.errorMessage) ??
    asText(json.error_message) ??
    asText(json.err_msg) ??
    asText(json.errmsg);
  if (code !== undefined && code !== null && code !== false && !saysSuccess(code, text)) {
    return { fields: { code }, text: text ?? textOf(json) ?? asText(json.text), family: "baidu" };
  }
  return undefined;
}

/** What could be anything beside an answer, and alone can only be an error. */
function errorWithoutAnswer(json: JsonObject): SaidError | undefined {
  const text = textOf(json);
  const { errors, detail, code } = json;
  if (json.success === false || (Array.isArray(errors) && errors.length > 0)) {
    const [first] = Array.isArray(errors) ? errors : [];
    const fields = isObject(first) ? { ...json, ...first } : json;
    return { fields, text: (isObject(first) ? textOf(first) : asText(first)) ?? text };
  }
  // The types of events and of answers.
  if (typeof json.type === "string" && json.type !== "error" && json.object === undefined && code === undefined) return undefined;
  const says = asText(json.message) ?? asText(json.msg) ?? asText(json.error_msg) ?? asText(json.errorMessage);
  if (isCode(code) && says !== undefined && !saysSuccess(code, says)) return { fields: json, text: says };
  if (typeof json.error_type === "string") return { fields: json, text };
  if (json.event === "error" || json.status === "error") return { fields: json, text };
  if (holdsSomething(detail) && !holdsSomething(json.text))
    return { fields: { code: Array.isArray(detail) ? 422 : undefined, ...json }, text };
  // Of a queue, or a step of its work, a gateway tells with a word.
  const isProgress = typeof json.status === "string" && !/error|fail/i.test(json.status);
  const isBare = !isProgress && Object.keys(json).every((key) => BARE_ERROR.has(key));
  return says !== undefined && isBare ? { fields: json, text: says } : undefined;
}

/** The fields of an error that says little more than its message: of gateways, and of web frameworks. */
const BARE_ERROR: ReadonlySet<string> = new Set([
  "message",
  "msg",
  "error_msg",
  "errorMessage",
  "status",
  "statusCode",
  "path",
  "timestamp",
  "request_id",
  "requestId",
]);

const isCode = (code: unknown): boolean => typeof code === "number" || (typeof code === "string" && code !== "");

/** Whether there is a piece of an answer in it. */
function isAnswer({ choices, content, output }: JsonObject): boolean {
  return holdsSomething(choices) || holdsSomething(content) || holdsSomething(output);
}

const isSuccessWord = (text: string): boolean =>
  /^\s*(?:ok|none|null|success(?:ful(?:ly)?)?|succeed(?:ed)?|成功)?\s*[.!。]?$/i.test(text);

/** 0, 200 and their like; or whatever code, where the message says "Success". */
function saysSuccess(code: unknown, text: string | undefined): boolean {
  if (text !== undefined && text.trim() !== "" && isSuccessWord(text)) return true;
  if (typeof code === "string" && !/^\d+$/.test(code)) return isSuccessWord(code);
  const number = Number(code ?? Number.NaN);
  if (number === 0) return true;
  return number === 20_000 || (number >= 200 && number < 300);
}

/** What is no object is no answer; Google's list of one error is that error. */
export function notAnObject(answer: unknown): Failure {
  return errorInList(answer) ?? new Failure("stream_corrupted", "the upstream's answer is not a JSON object");
}

export function errorInList(answer: unknown): Failure | undefined {
  const [first] = Array.isArray(answer) ? answer : [];
  return isObject(first) ? findOpenAiError(first) : undefined;
}

/** An error that the upstream announced by other means than a JSON object: `event: error`, `[ERROR]`, a bare `error:` line. */
export function reportedError(text: string, known?: number): Failure {
  const json = parseObject(text);
  if (json === undefined) return reported({ fields: {}, text: text.trim() || undefined }, {}, known);
  // `event: error` may carry the error's fields directly.
  return findOpenAiError(json, known) ?? reported({ fields: json, text: textOf(json) }, json, known);
}

function reported({ fields, text, family }: SaidError, body: JsonObject, known: number | undefined): Failure {
  const retryAfterMs = waitToldIn(body, Date.now());
  const { status, scope } = meaningOf(fields, text, { family, known, waits: retryAfterMs !== undefined });
  return new Failure("upstream_error_event", "the upstream reported an error inside its answer", {
    ...(text === undefined ? {} : { upstreamMessage: text }),
    ...(status === undefined ? {} : { status }),
    ...(scope === undefined ? {} : { scope }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}

/** What an HTTP error reply says beside its status. */
export interface ErrorReply {
  /** What the error is, where the status line says something else: FastChat answers for a dead worker with 400 and code 50001. */
  readonly status: number;
  readonly scope: FailureScope;
  readonly message: string | undefined;
}

/** What FastChat's 400 may stand for, by its code: a dead worker, or too many requests. */
const isPassing = (status: number): boolean => status === 429 || (status >= 500 && status < 600);

/**
 * Reads an error reply, in whatever shape.
 * @param waits its headers say when to come again: then it is not for good, whatever its words say.
 */
export function readReplyBody(status: number, body: Buffer, waits = false): ErrorReply {
  const json = parseObject(body.toString("utf8"));
  if (json === undefined) return { status, scope: scopeOfStatus(status), message: undefined };
  const said = errorField(json) ?? flatError(json) ?? errorWithoutAnswer(json);
  const message = said?.text ?? textOf(json);
  const { code = json.error_code } = said?.fields ?? json;
  const real = status === 400 && typeof code === "number" && isPassing(httpStatusOf(code)) ? httpStatusOf(code) : status;
  // The status line counts, but for what it calls passing and the words call lasting.
  const { scope = "again" } = meaningOf({ ...said?.fields, status: real }, message, { waits });
  return { status: real, scope: scopeOfStatus(real) === "again" ? scope : scopeOfStatus(real), message };
}

/** An error's text, wherever it stands; FastAPI's `detail` may be a list, and Mistral's `message` an object. */
function textOf(error: JsonObject, depth = 0): string | undefined {
  const { message, msg, detail, error_msg, status_msg, description } = error;
  for (const said of [message, msg, detail, error_msg, status_msg, description]) {
    const text = asText(said);
    if (text !== undefined) return text;
    const [first] = Array.isArray(said) ? said : [said];
    const inner = isObject(first) && depth < 3 ? textOf(first, depth + 1) : Array.isArray(said) ? asText(first) : undefined;
    if (inner !== undefined) return inner;
  }
  return undefined;
}

function asText(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** The body of our error, in a stream and as an HTTP reply: the shape that most clients turn into a typed error. */
export function openAiErrorBody(failure: Failure, message: string): JsonObject {
  return {
    error: { message, type: failure.type, param: null, code: failure.code },
    code: failure.status,
    msg: message,
  };
}
