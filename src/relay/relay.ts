/** One exchange from start to finish: attempts until one wins, then the answer, the error reply or the error event. */
import type { ServerResponse } from "node:http";
import { type AttemptContext, runAttempts } from "../attempt/attempt-loop.ts";
import { createRetryPolicy } from "../attempt/retry-policy.ts";
import type { Exchange } from "../core/exchange.ts";
import { Failure, toFailure } from "../core/failure.ts";
import type { Outcome } from "../core/outcome.ts";
import { openAiErrorBody } from "../dialect/openai-error.ts";
import { ClientResponse } from "../downstream/client-response.ts";
import { attemptAnswer } from "./attempt-answer.ts";
import { attemptPassthrough } from "./attempt-passthrough.ts";
import { attemptStream, EMPTY } from "./attempt-stream.ts";
import { explain } from "./explain.ts";
import { narrowOptions, type RelayOptions } from "./relay-options.ts";

/** Never throws: whatever happens is told to the client, and to the observer. */
export async function relay(exchange: Exchange, raw: ServerResponse, configured: RelayOptions): Promise<void> {
  const options = narrowOptions(configured, exchange);
  const { observer, propagator, timeouts } = options;
  const response = new ClientResponse(raw, exchange, options.response);
  const deadline = setTimeout(() => {
    exchange.abort(new Failure("deadline_exceeded", `the answer was not complete within ${timeouts.total / 1_000} s`));
  }, timeouts.total);

  let outcome: Outcome;
  let failure: Failure | undefined;
  try {
    if (exchange.ask?.asked.stream && exchange.ask.dialect.allowsComments) response.keepAlive();
    const repaired = await runAttempts(
      {
        exchange,
        observer,
        propagator,
        upstreamName: options.upstream.name,
        policy: createRetryPolicy({
          ...options.retry,
          ...(isRepeatable(exchange) ? {} : { maxAttempts: 1 }),
          ...(options.emptyFallback === "next" && exchange.ask?.asked.stream ? { otherwiseAfter: EMPTY } : {}),
        }),
        deadlineAt: exchange.startedAt + timeouts.total,
        isCommitted: () => response.committed,
      },
      (context) => attemptOnce(exchange, response, context, options),
    );
    outcome = repaired ? "repaired" : exchange.attempts.length > 1 ? "recovered" : "complete";
  } catch (thrown) {
    failure = toFailure(thrown);
    outcome = tellClient(exchange, response, failure);
  } finally {
    clearTimeout(deadline);
    response.stopTimers();
  }
  // An answer still fills memory while a slow client takes it, and is not whole to one that leaves before its end.
  const taken = await response.flushed(exchange.signal);
  if (!taken && failure === undefined && isGone(exchange)) outcome = "cancelled";

  observer.onExchangeEnd?.(exchange, {
    outcome,
    failure: outcome === "cancelled" ? undefined : failure?.code,
    status: response.status,
    durationMs: Date.now() - exchange.startedAt,
    defect: failure?.code === "internal_error" ? failure.cause : undefined,
  });
}

/** @returns whether the answer had to be repaired. */
function attemptOnce(
  exchange: Exchange,
  response: ClientResponse,
  context: AttemptContext,
  options: RelayOptions,
): Promise<boolean> {
  const { ask } = exchange;
  if (ask === undefined) {
    return attemptPassthrough({ exchange, response, attempt: context.attempt, options, repeatable: isRepeatable(exchange) });
  }
  const attempt = { ...context, ...ask, exchange, response, options };
  return ask.asked.stream ? attemptStream(attempt) : attemptAnswer(attempt);
}

function isGone({ signal }: Exchange): boolean {
  return signal.aborted && toFailure(signal.reason).code === "client_gone";
}

/** Tells the client as much as can still be told. */
function tellClient(exchange: Exchange, response: ClientResponse, failure: Failure): Outcome {
  if (failure.code === "client_gone") {
    response.cut();
    return "cancelled";
  }
  const dialect = exchange.ask?.dialect;
  const message = explain(failure, exchange);
  if (!response.headersSent) {
    replyWithFailure(response, failure, exchange, (dialect?.errorBody ?? openAiErrorBody)(failure, message));
    return "failed";
  }
  // A body that is passed through has no dialect in which to say it.
  if (dialect === undefined) response.cut();
  else response.interrupt(dialect.encodeError(failure, message));
  return "interrupted";
}

function replyWithFailure(response: ClientResponse, failure: Failure, exchange: Exchange, body: unknown): void {
  const { reply } = failure;
  // Our retries are used up: an SDK that now began its own would multiply them.
  const isExhausted = failure.retryable || failure.code === "deadline_exceeded";
  const exhausted = isExhausted && isRepeatable(exchange) ? { "x-should-retry": "false" } : {};
  if (reply !== undefined) {
    response.reply(reply.status, { ...reply.headers, ...exhausted }, reply.body);
    return;
  }
  const wait = failure.code === "draining" ? { "retry-after": "1" } : {};
  response.reply(
    failure.status,
    { "content-type": "application/json; charset=utf-8", ...wait, ...exhausted },
    JSON.stringify(body),
  );
}

/** Nobody knows what a second POST would do to an endpoint that no dialect claims, and a body that was passed on unread is gone. */
function isRepeatable({ ask, request }: Exchange): boolean {
  return ask !== undefined || (request.body === null && (request.method === "GET" || request.method === "HEAD"));
}
