/** What the word means with which an answer ends: whole, filtered, a failure, or one that was never documented. */
import { Failure } from "../core/failure.ts";

/** `unknown`: not a word of failure, and so an end; the client reads the word itself, and the log says so. */
export type Finish = "whole" | "filtered" | "unknown";

/** OpenAI's own words for a good end, then those of servers that imitate its API but for these words. */
const GOOD: ReadonlySet<string> = new Set([
  "stop",
  "length",
  "tool_calls",
  "function_call",
  // Together.
  "eos",
  // TGI.
  "eos_token",
  "stop_sequence",
  // Mistral.
  "model_length",
  // Anthropic, and gateways before its models.
  "end_turn",
  "max_tokens",
  "tool_use",
  "pause_turn",
  "model_context_window_exceeded",
  "compaction",
]);

/** Each says that something went wrong: error, abort, `insufficient_system_resource`, `MALFORMED_FUNCTION_CALL`, `network_error`. */
const SAYS_FAILURE =
  /error|abort|cancel|fail|time_?d?[ _-]?out|insufficient|overload|malformed|exception|unavailable|interrupt|crash|killed|disconnect|unexpected|out[ _-]?of[ _-]?memory|rate[ _-]?limit|throttl|quota|exhausted/i;

/** A filter took the rest, or all: `content_filter: RECITATION`, `SAFETY`, `sensitive`, `guardrail_intervened`, `refusal`. */
const SAYS_FILTERED =
  /filter|safety|recitation|sensitive|block|prohibited|spii|moderat|refus|guardrail|polic[yi]|censor|violat|harm/i;

/** How an answer ended; undefined while it has not. Gemini's gateways write the words in capitals. */
export function readFinish(reason: unknown): Finish | Failure | undefined {
  // "null" is a Python server's None that became text.
  if (typeof reason !== "string" || /^\s*(?:null|none)?\s*$/i.test(reason)) return undefined;
  if (GOOD.has(reason) || GOOD.has(reason.toLowerCase())) return "whole";
  if (SAYS_FAILURE.test(reason)) return badFinish(reason);
  return SAYS_FILTERED.test(reason) ? "filtered" : "unknown";
}

/** A word that says failure: `error` (OpenRouter), `abort` (SGLang). */
function badFinish(reason: string): Failure {
  return new Failure("upstream_error_event", `the upstream ended its answer with finish_reason "${reason.slice(0, 40)}"`);
}

/** For the log; what the word is goes to the client as it came. */
export function unknownFinish(reason: unknown): string {
  return `the upstream ended its answer with finish_reason "${String(reason).slice(0, 40)}", which is not known; it was passed on`;
}
