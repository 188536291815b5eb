/** One attempt at a streamed answer. */
import { createAnswerReader, parseAnswer } from "../attempt/answer-reader.ts";
import type { BodyReader } from "../attempt/body-reader.ts";
import { type CallControl, callUpstream } from "../attempt/call-upstream.ts";
import { createStreamReader } from "../attempt/stream-reader.ts";
import { Failure, type FailureCode, toFailure } from "../core/failure.ts";
import type { ReplyHeaders } from "../downstream/client-response.ts";
import { Gate } from "../downstream/gate.ts";
import { bodyAsked, callFor, type DialectAttempt } from "./dialect-attempt.ts";
import { chooseByMediaType } from "./response-media.ts";

/** How an attempt at a stream succeeded: `replied` with an answer that is no stream, and takes no terminator. */
type Success = "streamed" | "repaired" | "replied";

/** @returns whether the stream had to be repaired. */
export async function attemptStream(context: DialectAttempt): Promise<boolean> {
  const { dialect, response, options } = context;
  const bodyForWhole = shouldAskWhole(context) ? bodyAsked(context, false) : undefined;
  const asksWhole = bodyForWhole !== undefined;
  let stopListening = (): void => {};
  try {
    const success = await callUpstream<Success>(
      callFor(
        context,
        // An answer that is asked for whole has no first token to wait for.
        { firstTokenMs: asksWhole ? 0 : options.timeouts.firstToken, idleMs: options.timeouts.idle },
        bodyForWhole,
      ),
      ({ headers }, control) => {
        const onDrain = (): void => control.resume();
        response.onDrain(onDrain);
        stopListening = () => response.offDrain(onDrain);
        // With no first token to wait for, silence after the head is a stall.
        if (asksWhole) control.progress();
        return chooseByMediaType(headers, {
          stream: () => readStream(headers, control, context),
          json: () => readAnswerAsStream(headers, control, context),
        });
      },
    );
    if (success !== "replied") response.end(dialect.terminator);
    return success === "repaired";
  } catch (thrown) {
    throw asksWhole ? asRefusedFallback(thrown) : thrown;
  } finally {
    stopListening();
  }
}

/**
 * Some servers cannot stream some answers, and would fail at every attempt: ChatGLM3 streams nothing when the answer
 * has 7 characters or fewer. Asked for the whole answer, they have one.
 */
function shouldAskWhole({ exchange, options, afterEmptyOnly, isLast }: DialectAttempt): boolean {
  // What came after may have been another failure: the stream would be as empty as it was.
  if (options.emptyFallback === "next")
    return exchange.attempts.some(({ failure }) => failure !== undefined && EMPTY.has(failure));
  return options.emptyFallback === "last" && afterEmptyOnly && isLast;
}

/** Failures of streams that a whole answer may not have. */
export const EMPTY: ReadonlySet<FailureCode> = new Set(["empty_stream", "stream_corrupted"]);

/** The client has not asked for the whole answer, and would not understand why that was refused. */
function asRefusedFallback(thrown: unknown): Failure {
  const failure = toFailure(thrown);
  if (failure.code !== "upstream_status" || failure.retryable) return failure;
  const message = `the upstream's streams are empty, and it refuses to answer without one (HTTP status ${failure.status})`;
  return new Failure("empty_stream", message, { retryable: false });
}

function readStream(headers: ReplyHeaders, control: CallControl<Success>, context: DialectAttempt): BodyReader {
  const { exchange, response, options, dialect, asked, acceptEmpty } = context;
  return createStreamReader({
    dialect,
    asked,
    acceptEmpty,
    sink: new Gate(response, headers, options.limits.maxGateBytes),
    maxEventBytes: options.limits.maxEventBytes,
    holdToolCalls: options.gate.toolCalls === "hold",
    maxHeldBytes: options.limits.maxGateBytes,
    maxHeldEventBytes: options.limits.maxBodyBytes,
    requireTerminator: options.requireDone,
    onContent: control.progress,
    onFull: control.pause,
    onWhole: ({ repaired, bodyEnded }) => control.succeed(repaired ? "repaired" : "streamed", bodyEnded),
    onFailure(failure, characters) {
      if (response.committed) exchange.stats.characters = characters;
      control.fail(failure);
    },
  });
}

/** A JSON answer to a stream request: checked as an answer, then sent as the stream that it should have been. */
function readAnswerAsStream(headers: ReplyHeaders, control: CallControl<Success>, context: DialectAttempt): BodyReader {
  const { response, options, dialect, asked, acceptEmpty } = context;
  return createAnswerReader({
    maxBytes: options.limits.maxBodyBytes,
    onProgress: control.progress,
    onFailure: control.fail,
    onWhole(body) {
      const answer = parseAnswer(body);
      const problem = dialect.inspectAnswer(answer, acceptEmpty, asked);
      if (problem !== undefined) throw problem;
      const events = dialect.answerToEvents(answer, asked)?.map((event) => dialect.encodeEvent(event));
      if (events === undefined && response.headersSent) {
        throw new Failure("stream_corrupted", "the upstream answered with JSON that cannot be streamed", { retryable: false });
      }
      if (events === undefined) {
        response.reply(200, headers, body);
        control.succeed("replied", true);
        return;
      }
      response.commit(headers);
      if (dialect.oneEventPerWrite) for (const event of events) response.write(event, 1, true);
      else response.write(events.join(""), events.length, true);
      control.succeed("repaired", true);
    },
  });
}
