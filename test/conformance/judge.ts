/** Judges what a client was told: the whole answer, an error, or something that it takes for the answer and is not. */
import { type Answer, isFinished, isObject, isPrefix, isSame, sizeOf } from "./answer.ts";
import type { Seen } from "./ask.ts";
import type { Dialect } from "./dialects.ts";
import { decodeBody, type ReadBody, readJsonBody, readStreamBody } from "./read-body.ts";

export type Verdict =
  /** Every choice said all it should and finished well. */
  | "whole"
  /** An HTTP status of 400 or more with a JSON body, or an error event that clients raise on. */
  | "typed error"
  /** The connection broke, or no HTTP came: every HTTP client reports that. */
  | "transport error"
  /** An HTTP status of 400 or more, and no JSON that says why. */
  | "bare status"
  /** Nothing more came, and no end either. */
  | "hang"
  /** An event, or a JSON answer, that does not parse. */
  | "torn event"
  /** What was said is not the beginning of the right answer: repeated, out of order, or spoiled. */
  | "wrong text"
  /** It ended as if all were well, and all is not there. */
  | "silent truncation";

/** `no service`: an error, but the target answered a healthy request with an error too, so that this one proves nothing. */
export type CaseVerdict = Verdict | "no service";

/** From the best to the worst that can happen to a client. */
export const VERDICTS: readonly CaseVerdict[] = [
  "whole",
  "typed error",
  "bare status",
  "transport error",
  "hang",
  "torn event",
  "wrong text",
  "silent truncation",
  "no service",
];

/** The client learned that it has no answer, if not in a form it can act on. */
export const NOTICED: ReadonlySet<CaseVerdict> = new Set(["bare status", "transport error"]);
/** The client believes what is not so, or waits for what does not come. */
export const MISLED: ReadonlySet<CaseVerdict> = new Set(["hang", "torn event", "wrong text", "silent truncation"]);

export interface Judgement {
  readonly verdict: Verdict;
  /** An error's code, or how much arrived. */
  readonly detail: string;
  /** What Perennial's contract forbids beyond the verdict. Other gateways have not promised it. */
  readonly breaches: readonly string[];
}

export interface Expected {
  readonly streamed: boolean;
  /** @defaultValue "chat" */
  readonly dialect?: Dialect;
  /** The answers that are right; a sequence of faults may have two. */
  readonly rights: readonly Answer[];
}

export function judge(seen: Seen, { streamed, rights, dialect = "chat" }: Expected): Judgement {
  if (seen.status === undefined) {
    return seen.end === "open"
      ? { verdict: "hang", detail: "no response", breaches: [] }
      : { verdict: "transport error", detail: "no response", breaches: [] };
  }
  let text: string;
  try {
    text = decodeBody(seen.body, seen.headers["content-encoding"]);
  } catch {
    return { verdict: "torn event", detail: "does not decompress", breaches: [] };
  }
  if (seen.status >= 400) return judgeRefusal(seen, text);

  const body = streamed ? readStreamBody(text, dialect) : readJsonBody(text, dialect);
  const detail = amount(body.answer, rights);
  const verdict = (verdict: Verdict, more = detail): Judgement => ({
    verdict,
    detail: more,
    breaches: breachesOf(verdict, body, seen, streamed),
  });
  if (!rights.some((right) => isPrefix(body.answer, right))) return verdict("wrong text");
  // Clients raise on the event itself, and do not see how the body ends. An error in a JSON answer of 200 they do not look for.
  if (streamed && body.error !== undefined) return verdict("typed error", codeOf(body.error) || "no code");
  if (seen.end === "open") return verdict("hang");
  if (seen.end === "cut") return verdict("transport error");
  if (body.torn !== undefined && (streamed || claimsJson(seen, text))) return verdict("torn event");
  const isWhole = !body.error && isFinished(body.answer) && rights.some((right) => isSame(body.answer, right));
  return isWhole ? verdict("whole") : verdict("silent truncation");
}

function judgeRefusal({ status, end }: Seen, text: string): Judgement {
  if (end !== "clean") {
    return { verdict: end === "open" ? "hang" : "transport error", detail: `HTTP ${status}`, breaches: [] };
  }
  const body = readJsonBody(text);
  if (body.torn !== undefined || /^\s*(null|\d|")/.test(text)) {
    return { verdict: "bare status", detail: `HTTP ${status}`, breaches: [] };
  }
  return { verdict: "typed error", detail: `HTTP ${status} ${codeOf(body.error)}`.trim(), breaches: [] };
}

function breachesOf(verdict: Verdict, body: ReadBody, seen: Seen, streamed: boolean): string[] {
  const breaches = [...body.flaws];
  const type = seen.headers["content-type"] ?? "";
  if (!type.startsWith(streamed ? "text/event-stream" : "application/json")) breaches.push(`content-type "${type}"`);
  if (verdict === "whole" && !body.ended) breaches.push("no terminator");
  if (verdict === "typed error" && codeOf(body.error) === "") breaches.push("an error without a code");
  // How it ends is chosen by client: cleanly, or with a cut.
  if (verdict === "typed error" && seen.end === "open") breaches.push("no end after the error");
  return breaches;
}

/** A body that is blank, or no JSON by its own account, is handed to the program as it is; nobody parses it. */
function claimsJson({ headers }: Seen, text: string): boolean {
  return text.trim() !== "" && /json/.test(headers["content-type"] ?? "");
}

function codeOf(error: unknown): string {
  if (!isObject(error)) return "";
  return typeof error.code === "string" ? error.code : "";
}

function amount(answer: Answer, rights: readonly Answer[]): string {
  const size = sizeOf(answer);
  if (size === 0) return "nothing";
  const most = Math.max(...rights.map(sizeOf));
  return most === 0 ? `${size} characters` : `${Math.round((100 * size) / most)} % of the answer`;
}
