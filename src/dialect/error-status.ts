/** What an error means that was told inside a 200, or in a body: an HTTP status, by its numbers and words, and whether it is for good. */
import { type FailureScope, scopeOfStatus } from "../core/failure.ts";
import type { JsonObject } from "./json.ts";

/** Error names that say more than their HTTP status would. In lower case. */
const NAMED: ReadonlyMap<string, number> = new Map([
  ["invalid_request_error", 400],
  ["badrequesterror", 400],
  ["context_length_exceeded", 400],
  ["authentication_error", 401],
  ["invalid_api_key", 401],
  ["insufficient_quota", 402],
  ["permission_error", 403],
  ["not_found_error", 404],
  ["model_not_found", 404],
  ["request_too_large", 413],
  ["rate_limit_error", 429],
  ["rate_limit_exceeded", 429],
  ["timeout_error", 504],
  ["overloaded_error", 529],
]);

/** Parts of names, of their letters alone; the first that fits. DashScope, Google, TGI, gateways. */
const NAME_PARTS: readonly (readonly [RegExp, number])[] = [
  [/insufficient(?:quota|balance|credit|fund)|billing|arrear|payment|outofcredit|quotaexhausted/, 402],
  [/contextlength|contextwindow|toolong|tokenlimit|maxtokens/, 400],
  [/^validation|unprocessable/, 422],
  [/unauthori[sz]ed|unauthenticated|authentication|invalid(?:api)?key|invalidtoken/, 401],
  [/permission|forbidden|accessdenied/, 403],
  [/notfound|notexist|nosuchmodel/, 404],
  [/throttl|ratelimit|toomanyrequests|resourceexhausted|requestlimit/, 429],
  [/overload/, 529],
  [/invalid(?:request|parameter|param|argument|input|prompt|value)|badrequest|datainspection|contentfilter|contentpolicy/, 400],
  [/unavailable/, 503],
  [/timeout|deadlineexceeded/, 504],
];

/** MiniMax, `base_resp.status_code`. */
const MINIMAX: ReadonlyMap<number, number> = new Map([
  [1001, 504],
  [1002, 429],
  [1004, 401],
  [1008, 402],
  [1026, 400],
  [1027, 400],
  [1039, 429],
  [2013, 400],
  [2049, 401],
]);

/** Baidu, `error_code`. */
const BAIDU: ReadonlyMap<number, number> = new Map([
  [2, 503],
  [4, 429],
  [6, 403],
  [13, 401],
  [14, 401],
  [15, 404],
  [17, 429],
  [18, 429],
  [19, 429],
  [100, 400],
  [110, 401],
  [111, 401],
  [336_003, 400],
  [336_007, 400],
  [336_100, 503],
]);

/** Whose numbers an error's code may be, beside HTTP's. */
export type CodeFamily = "minimax" | "baidu" | undefined;

/** What stays as it is for hours, whatever the status: an empty account, the limit of a day, a prompt that is too long. */
const FOR_GOOD: readonly (readonly [RegExp, number])[] = [
  [/insufficient[_ -]?(?:quota|balance|credits?|funds)|exceeded your current quota|balance is not enough|余额不足|欠费/i, 402],
  [/\bdaily\b[^.]{0,40}\b(?:limit|quota)|\b(?:requests|tokens) per day|\b[RT]PD\b/i, 429],
  [/context (?:length|window|size)|maximum (?:context|prompt)|prompt is too long|input is too long|reduce the length/i, 400],
  [/(?:must be|should be) <=? ?`?\d/i, 400],
  [/(?:invalid|incorrect|expired) api[ _-]?key/i, 401],
];

/** The HTTP status that an error object names, by number (`429`, `"429"`, FastChat's `42901`) or by word. */
export function statusOf(error: JsonObject, family?: CodeFamily): number | undefined {
  const { status, status_code, statusCode, http_status, code, error_code, type, error_type } = error;
  const fields = [status, status_code, statusCode, http_status, code, error_code, type, error_type];
  for (const field of fields) {
    const found = byNumber(field, family) ?? (typeof field === "string" ? byName(field) : undefined);
    if (found !== undefined) return found;
  }
  return undefined;
}

function byNumber(field: unknown, family: CodeFamily): number | undefined {
  const number = typeof field === "string" && /^\d+$/.test(field) ? Number(field) : field;
  if (typeof number !== "number") return undefined;
  const known = (family === "minimax" ? MINIMAX : family === "baidu" ? BAIDU : undefined)?.get(number);
  if (known !== undefined) return known;
  const status = httpStatusOf(number);
  return Number.isInteger(status) && status >= 400 && status <= 599 ? status : undefined;
}

/** FastChat numbers its errors by HTTP status and two more digits. */
export function httpStatusOf(code: number): number {
  return code >= 40_000 && code < 60_000 ? Math.floor(code / 100) : code;
}

function byName(name: string): number | undefined {
  // No name is so long, and text is no name.
  if (name.length > 80) return undefined;
  const named = NAMED.get(name.toLowerCase());
  if (named !== undefined) return named;
  const letters = name.toLowerCase().replace(/[^a-z]/g, "");
  return NAME_PARTS.find(([part]) => part.test(letters))?.[1];
}

/** The status of what an error's text says to be for good; undefined where it may pass. */
export function lastingStatus(text: string): number | undefined {
  return FOR_GOOD.find(([words]) => words.test(text))?.[1];
}

/** An account that is empty says so by name, even with a 429; it will be as empty in a second. */
function namesEmptyAccount({ code, type, status, error_type }: JsonObject): boolean {
  return [code, type, status, error_type].some((name) => typeof name === "string" && byName(name) === 402);
}

export interface ErrorMeaning {
  /** Undefined where nothing names one. */
  readonly status: number | undefined;
  /** Undefined where nothing says. */
  readonly scope: FailureScope | undefined;
}

/**
 * @param known a status that came with the error otherwise, for one that names none.
 * @param waits the error says when to come again: then it is not for good, whatever it says beside that.
 */
export function meaningOf(
  error: JsonObject,
  text: string | undefined,
  { family, known, waits = false }: { family?: CodeFamily; known?: number | undefined; waits?: boolean } = {},
): ErrorMeaning {
  const named = statusOf(error, family) ?? known;
  const mayPass = named === undefined || scopeOfStatus(named) === "again";
  if (mayPass && namesEmptyAccount(error)) return { status: named ?? 402, scope: "elsewhere" };
  const lasting = text === undefined || waits || !mayPass ? undefined : lastingStatus(text);
  if (lasting === undefined) return { status: named, scope: named === undefined ? undefined : scopeOfStatus(named) };
  // A limit of this account, or its key, is no limit of another upstream's; a prompt that is too long is too long everywhere.
  return { status: named !== undefined && named < 500 ? named : lasting, scope: lasting === 400 ? "never" : "elsewhere" };
}
