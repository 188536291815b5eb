/** The errors of the OpenAI family: every shape its servers send inside a 200, and the one shape that we send. */
import { Failure, scopeOfStatus } from "../core/failure.ts";
import { isObject, type JsonObject, parseObject } from "./json.ts";

/** Error names that say more than their HTTP status would. */
const NAMED_STATUS: Readonly<Record<string, number>> = {
  invalid_request_error: 400,
  badrequesterror: 400,
  context_length_exceeded: 400,
  authentication_error: 401,
  invalid_api_key: 401,
  insufficient_quota: 402,
  permission_error: 403,
  not_found_error: 404,
  model_not_found: 404,
  rate_limit_error: 429,
  rate_limit_exceeded: 429,
  overloaded_error: 529,
};

/**
 * The error that a JSON object stands for, if it does. Seen in the wild: `{error:{…}}` (OpenAI, vLLM, SGLang, llama.cpp,
 * LM Studio), `{error:"text"}` (Xinference, Chatchat), `{error:{…},choices:[…]}` (OpenRouter), `{object:"error",…}`
 * (older vLLM) and `{text,error_code:50001}` (FastChat).
 */
export function findOpenAiError(json: JsonObject): Failure | undefined {
  if (json.error) {
    if (typeof json.error === "string") return reported(json.error, undefined);
    if (isObject(json.error)) return reported(textOf(json.error), statusOf(json.error));
    return reported(undefined, undefined);
  }
  if (json.object === "error") return reported(textOf(json), statusOf(json));
  const errorCode = Number(json.error_code ?? 0);
  if (errorCode !== 0 && !Number.isNaN(errorCode)) return reported(asText(json.text), statusOf({ code: errorCode }));
  return undefined;
}

/** An error that the upstream announced by other means than a JSON object: `event: error`, `[ERROR]`, a bare `error:` line. */
export function reportedError(text: string): Failure {
  const json = parseObject(text);
  if (json === undefined) return reported(text.trim() || undefined, undefined);
  // `event: error` may carry the error's fields directly.
  return findOpenAiError(json) ?? reported(textOf(json), statusOf(json));
}

/** A `finish_reason` that ends a choice badly: `error` (OpenRouter), `abort` (SGLang), or one that nobody has documented. */
export function badFinish(reason: string): Failure {
  return new Failure("upstream_error_event", `the upstream ended its answer with finish_reason "${reason.slice(0, 40)}"`);
}

/** A line that is dropped, and should not be: it holds a piece of the answer. */
export function partOnStrayLine(): Failure {
  return new Failure("stream_corrupted", "the upstream sent a part of its answer on a line that is no event");
}

/** What the body of an error reply says, in whatever shape; undefined when that cannot be read. */
export function messageInReply(body: Buffer): string | undefined {
  const json = parseObject(body.toString("utf8"));
  return json && (findOpenAiError(json)?.upstreamMessage ?? textOf(json));
}

function reported(upstreamMessage: string | undefined, status: number | undefined): Failure {
  return new Failure("upstream_error_event", "the upstream reported an error inside its answer", {
    ...(upstreamMessage === undefined ? {} : { upstreamMessage }),
    ...(status === undefined ? {} : { status, scope: scopeOfStatus(status) }),
  });
}

/** The HTTP status that an error object names, by number (`429`, `"429"`, FastChat's `42901`) or by word. */
function statusOf(error: JsonObject): number | undefined {
  for (const field of [error.status, error.status_code, error.code, error.type]) {
    const number = typeof field === "string" && /^\d+$/.test(field) ? Number(field) : field;
    if (typeof number === "number") {
      // FastChat numbers its errors by HTTP status and two more digits.
      const status = number >= 40_000 && number < 60_000 ? Math.floor(number / 100) : number;
      if (Number.isInteger(status) && status >= 400 && status <= 599) return status;
    } else if (typeof field === "string") {
      const named = NAMED_STATUS[field.toLowerCase()];
      if (named !== undefined) return named;
    }
  }
  return undefined;
}

function textOf(error: JsonObject): string | undefined {
  return asText(error.message) ?? asText(error.msg) ?? asText(error.detail);
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
