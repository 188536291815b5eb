/** A failure in plain words for the client: what happened, how far the answer had come, what can be done. */
import type { Exchange } from "../core/exchange.ts";
import type { Failure } from "../core/failure.ts";

export function failureMessage(failure: Failure, exchange: Exchange): string {
  const { attempts } = exchange;
  const { characters } = exchange.stats;
  const said = failure.upstreamMessage === undefined ? "" : `: ${failure.upstreamMessage}`;
  const parts = [`${capitalised(failure.message)}${said}`.replace(/([^.!?。])$/, "$1.")];
  if (failure.seam !== undefined) parts.push(`It could not be continued (${failure.seam}).`);
  if (attempts.length > 0) {
    const tries = attempts.length === 1 ? "1 attempt" : `${attempts.length} attempts`;
    parts.push(
      characters > 0
        ? `The answer is incomplete: ${characters} characters had arrived, after ${tries}.`
        : `No text had arrived, after ${tries}.`,
    );
    parts.push(
      failure.scope === "again" || failure.code === "deadline_exceeded" || failure.code === "first_token_timeout"
        ? "Send the request again."
        : "The same request would fail again.",
    );
  }
  return parts.join(" ");
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
