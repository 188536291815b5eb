/** A failure in plain words for the client: what happened, how far the answer had come, what can be done. */
import { isIdempotent } from "../attempt/idempotent.ts";
import type { Exchange } from "../core/exchange.ts";
import type { Failure, FailureCode } from "../core/failure.ts";

export function failureMessage(failure: Failure, exchange: Exchange): string {
  const said = failure.upstreamMessage === undefined ? "" : `: ${failure.upstreamMessage}`;
  // People's programs look for these words.
  const what = failure.code === "stream_truncated" ? `Incomplete stream: ${failure.message}` : capitalised(failure.message);
  const parts = [`${what}${said}`.replace(/([^.!?。！？])$/, "$1.")];
  if (failure.seam !== undefined) parts.push(`It could not be continued (${failure.seam}).`);
  if (exchange.attempts.length > 0) parts.push(progressOf(exchange));
  const advice = exchange.attempts.length > 0 || failure.code === "deadline_exceeded" ? adviceFor(failure, exchange) : "";
  if (advice !== "") parts.push(advice);
  return parts.join(" ");
}

/** In what this client has got, behind every hold and gate. */
function progressOf({ api, attempts, stats }: Exchange): string {
  const tries = attempts.length === 1 ? "1 attempt" : `${attempts.length} attempts`;
  if (stats.characters > 0) return `The answer is incomplete: ${stats.characters} characters had arrived, after ${tries}.`;
  // What passes through unread, or is asked for in JSON, has no text to count.
  if (api === undefined && stats.bytes > 0) return `The answer is incomplete, after ${tries}.`;
  return api?.request.stream ? `No text had arrived, after ${tries}.` : `No answer had arrived, after ${tries}.`;
}

/** The failure itself says what to do, or nothing is known that would help. */
const SAYS_ALL: ReadonlySet<FailureCode> = new Set([
  "overloaded",
  "circuit_open",
  "rate_limited",
  "internal_error",
  "client_gone",
]);

/** What may really help; nothing where that is not known. */
function adviceFor(failure: Failure, exchange: Exchange): string {
  const { code, scope, setting } = failure;
  if (setting !== undefined) {
    const raise = `raise ${setting}`;
    // The same request would take as long as before.
    if (code === "deadline_exceeded") return `To get it whole, ${raise}${canStream(exchange) ? ", or stream" : ""}.`;
    return `${sendAgain(exchange)}; if that happens each time, ${raise}.`;
  }
  if (code === "draining") return `${sendAgain(exchange)} in a moment.`;
  if (SAYS_ALL.has(code)) return "";
  if (scope === "again") return `${sendAgain(exchange)}.`;
  return scope === "elsewhere" ? "This upstream would refuse the same request again." : "The same request would fail again.";
}

/** It was not streamed, and could have been: embeddings and what passes through cannot. */
function canStream({ api }: Exchange): boolean {
  return api !== undefined && !api.request.stream && api.dialect.askStreamed({}, true) !== undefined;
}

function sendAgain(exchange: Exchange): string {
  return isIdempotent(exchange) ? "Send the request again" : "Send the request again, if it may be done twice";
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
