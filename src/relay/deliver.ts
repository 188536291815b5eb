/** The end of an exchange as its client gets it: the rest of an answer, or the failure in the form that can still be sent. */
import type { ServerResponse } from "node:http";
import { isIdempotent } from "../attempt/idempotent.ts";
import type { AttemptResult } from "../core/attempt-output.ts";
import type { Exchange } from "../core/exchange.ts";
import { Failure, type FailureCode } from "../core/failure.ts";
import type { Outcome } from "../core/outcome.ts";
import type { Transcript } from "../core/transcript.ts";
import { openAiErrorBody } from "../dialect/openai-error.ts";
import { encodePipedError } from "../dialect/piped-error-event.ts";
import { sendReply } from "../downstream/client-reply.ts";
import type { ClientStream } from "../downstream/client-stream.ts";
import { cut } from "../downstream/connection-end.ts";
import { failureMessage } from "./failure-message.ts";

/** @throws Failure when it cannot be given in the form that the client has been promised. */
export function deliver(exchange: Exchange, raw: ServerResponse, client: ClientStream, result: AttemptResult): void {
  switch (result.kind) {
    case "streamed":
      client.end(exchange.api?.dialect.terminator ?? "");
      return;
    case "piped":
      client.end("");
      return;
    case "reply":
      if (client.headersSent) {
        throw new Failure("stream_corrupted", "the upstream answered with JSON that cannot be streamed", { scope: "never" });
      }
      sendReply(raw, exchange, result);
  }
}

/** How an answer that is kept has failed, in the words that all of its clients get. */
export interface KeptFailure {
  readonly message: string;
  /** In wire form; a part of the stream. */
  readonly errorEvent: string;
}

/**
 * Tells the client as much as can still be told.
 * @param given what it has got before.
 * @param kept as all clients of the answer are told, where it is kept.
 */
export function respondWithFailure(
  exchange: Exchange,
  raw: ServerResponse,
  client: ClientStream,
  failure: Failure,
  given: Transcript,
  kept?: KeptFailure,
): Outcome {
  // That of another client is told.
  if (failure.code === "client_gone" && (kept === undefined || exchange.signal.aborted)) {
    cut(raw);
    return "cancelled";
  }
  const dialect = exchange.api?.dialect;
  const message = kept?.message ?? failureMessage(failure, exchange);
  if (!client.headersSent) {
    replyWithFailure(exchange, raw, failure, (dialect?.errorBody ?? openAiErrorBody)(failure, message));
    return "failed";
  }
  const errorEvent = kept?.errorEvent ?? (dialect?.encodeError ?? encodePipedError)(failure, message, given);
  client.interrupt(errorEvent, kept !== undefined);
  return "interrupted";
}

/** The upstream may be at work on it still, and would be a second time. */
const TOO_LATE: ReadonlySet<FailureCode> = new Set(["deadline_exceeded", "first_token_timeout"]);

function replyWithFailure(exchange: Exchange, raw: ServerResponse, failure: Failure, body: unknown): void {
  const { reply } = failure;
  const wait = retryAfterOf(failure);
  // What may cost something has been tried as often as it may be: an SDK that now began its own round would multiply the cost.
  const isExhausted = failure.exhausted || (TOO_LATE.has(failure.code) && exchange.attempts.length > 0);
  const exhausted = isExhausted && isIdempotent(exchange) ? { "x-should-retry": "false" } : {};
  if (reply !== undefined) {
    sendReply(raw, exchange, { ...reply, upstream: failure.upstream, headers: { ...wait, ...reply.headers, ...exhausted } });
    return;
  }
  sendReply(raw, exchange, {
    status: failure.status,
    headers: { "content-type": "application/json; charset=utf-8", ...wait, ...exhausted },
    body: JSON.stringify(body),
    upstream: failure.upstream,
  });
}

/** Ours: there is room again in a moment, or at a time that is known. */
const WAITS: ReadonlySet<FailureCode> = new Set(["overloaded", "circuit_open", "rate_limited"]);

/** When to come back, where waiting is all that is needed. What the upstream itself says stands over it. */
function retryAfterOf({ code, outage, retryAfterMs }: Failure): { "retry-after"?: string } {
  if (code === "draining") return { "retry-after": "1" };
  const isWaitAll = outage !== undefined || WAITS.has(code);
  return isWaitAll && retryAfterMs !== undefined ? { "retry-after": String(Math.ceil(retryAfterMs / 1_000)) } : {};
}
