/** What an upstream's error reply means for trying again: by its own word, by what its body says, then by its status. */
import type { FailureScope } from "../core/failure.ts";
import type { ReplyHeaders } from "../core/reply.ts";
import { isObject, type JsonObject, parseObject } from "../dialect/json.ts";
import { readReplyBody } from "../dialect/openai-error.ts";
import { readShouldRetry } from "./retry-after.ts";

export interface ErrorReply {
  readonly status: number;
  readonly headers: ReplyHeaders;
  readonly body: Buffer;
}

export interface ReplyContext {
  /** The key that the upstream got is ours, or it got none: its client cannot help that it is refused. */
  readonly hasOwnKey: boolean;
  /** The upstream named a time after which it may be asked again. */
  readonly namesWait: boolean;
  /** How long it took, in milliseconds from the handover to a connection. */
  readonly tookMs: number;
}

export interface ReplyMeaning {
  /** The status that it should have had, where its body says so. */
  readonly status: number;
  /** What it says in its own words; undefined when that cannot be read. */
  readonly message: string | undefined;
  readonly scope: FailureScope;
  /** The upstream did no work for the request. */
  readonly isOutage: boolean;
  /** A model is being loaded: it will be there soon, whatever else the reply says. */
  readonly isLoading: boolean;
}

/** What takes longer than this to be refused may have been worked on, in milliseconds. */
export const OUTAGE_WITHIN_MS = 2_000;

const OUTAGE_STATUSES: ReadonlySet<number> = new Set([408, 425, 502, 503, 529]);

/** The account of a key is empty or closed, or the model is not there: another upstream may serve the request. */
const ELSEWHERE_CODES =
  /^(insufficient_?(user_?)?quota|quota_?exceeded|billing_\w+|insufficient_?balance|account_deactivated|arrearage|model_?not_?found|model_not_supported)$/i;
const ELSEWHERE_TEXT =
  /insufficient (account )?(quota|balance|credits?|funds)|credit balance is too low|billing (hard )?limit|account (is|has been) (suspended|deactivated|disabled)|余额不足|额度不足|额度已用尽|欠费/i;
/** Some say so of the day's quota as well as of the minute's; the minute's they name. */
const QUOTA_TEXT = /exceeded your current quota|quota (is |has been )?(exhausted|used up)/i;

/** The request itself: it will be as long, or as wrong, the next time. */
const NEVER_CODES =
  /^(context_(length|window)_exceeded|string_above_max_length|invalid_prompt|content_(policy_violation|filter)|validation(_error)?|invalid_parameter\w*|unsupported_(parameter|value)|request_too_large)$/i;
const NEVER_TEXT =
  /(maximum|max) (context|model|sequence) length|context (length|window|size) (is |was |has been )?(exceeded|too)|exceeds? (the )?(available |maximum |model'?s )?context|prompt is too long|input validation error|too many (input )?tokens|超过.{0,8}(最大|上下文).{0,6}长度/i;

const LOADING_TEXT =
  /\bloading (the )?model\b|\bmodel\b.{0,80}\b(is|are|being|still|currently) (\w+ )?load(ing|ed)\b|\bmodel (is )?loading\b|模型.{0,6}(正在|还在)?加载中?/i;
const LOADING_FAILED = /\b(fail\w*|error|unable|cannot|can't|could not|couldn't|not enough|out of memory)\b|失败/i;

export function meaningOf({ status, headers, body }: ErrorReply, context: ReplyContext): ReplyMeaning {
  const said = readReplyBody(status, body, context.namesWait);
  const json = parseObject(body.toString("utf8")) ?? {};
  const text = said.message ?? textOf(json);
  const isLoading = status >= 400 && status !== 401 && status !== 403 && saysLoading(json, text);
  const shouldRetry = readShouldRetry(headers);
  const meant = isLoading ? "again" : (scopeByWords(json, text, context) ?? scopeOfKey(said.status, context) ?? said.scope);
  const scope = shouldRetry === undefined ? meant : shouldRetry ? "again" : "never";
  const isAtOnce = context.tookMs <= OUTAGE_WITHIN_MS;
  const isOutage = scope === "again" && isAtOnce && (isLoading || OUTAGE_STATUSES.has(status));
  return { status: said.status, message: said.message, scope, isLoading, isOutage };
}

/** What the body says to be so whatever its status; undefined where its status counts. */
function scopeByWords(json: JsonObject, text: string, { namesWait }: ReplyContext): FailureScope | undefined {
  const codes = codesOf(json);
  if (codes.some((code) => ELSEWHERE_CODES.test(code)) || ELSEWHERE_TEXT.test(text)) return "elsewhere";
  if (!namesWait && QUOTA_TEXT.test(text)) return "elsewhere";
  // `invalid_request_error` is not among them: some give this type to everything, and their status is believed.
  if (NEVER_TEXT.test(text) || codes.some((code) => NEVER_CODES.test(code))) return "never";
  return undefined;
}

/** A key of ours that is refused says nothing of other upstreams; the client's own is its own. */
function scopeOfKey(status: number, { hasOwnKey }: ReplyContext): FailureScope | undefined {
  if (status !== 401) return undefined;
  return hasOwnKey ? "elsewhere" : "never";
}

function saysLoading(json: JsonObject, text: string): boolean {
  if (typeof json.estimated_time === "number") return true;
  return LOADING_TEXT.test(text) && !LOADING_FAILED.test(text);
}

/** All words by which the reply names its error. */
function codesOf(json: JsonObject): string[] {
  return [json, json.error].filter(isObject).flatMap(({ code, type, error_type, status, error_code }) => {
    return [code, type, error_type, status, error_code].filter((word) => typeof word === "string");
  });
}

function textOf({ error, message, detail, error_msg }: JsonObject): string {
  return [error, message, detail, error_msg].find((each) => typeof each === "string") ?? "";
}
