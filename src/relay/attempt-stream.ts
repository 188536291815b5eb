/** One attempt at a streamed answer. */
import { createAnswerReader, parseAnswer } from "../attempt/answer-reader.ts";
import type { BodyReader } from "../attempt/body-reader.ts";
import { type CallControl, callUpstream } from "../attempt/call-upstream.ts";
import { createStreamReader } from "../attempt/stream-reader.ts";
import type { Attempt } from "../core/attempt.ts";
import type { Dialect, DialectRequest } from "../core/dialect.ts";
import type { Exchange } from "../core/exchange.ts";
import { Failure } from "../core/failure.ts";
import type { ClientResponse, ReplyHeaders } from "../downstream/client-response.ts";
import { Gate } from "../downstream/gate.ts";
import type { RelayOptions } from "./relay-options.ts";
import { mediaType, rejectEncoded } from "./response-media.ts";

export interface DialectAttempt {
  readonly exchange: Exchange;
  readonly dialect: Dialect;
  readonly asked: DialectRequest;
  readonly response: ClientResponse;
  readonly attempt: Attempt;
  readonly acceptEmpty: boolean;
  readonly options: RelayOptions;
}

/** @returns whether the stream had to be repaired. */
export async function attemptStream(context: DialectAttempt): Promise<boolean> {
  const { exchange, dialect, response, attempt, options } = context;
  const { path, method, headers, body } = exchange.request;
  let stopListening = (): void => {};
  try {
    const repaired = await callUpstream<boolean>(
      {
        upstream: options.upstream,
        attempt,
        signal: exchange.signal,
        // Asked for identity: a compressor holds back events, and a proxy cannot judge what it cannot read.
        request: { method, path, headers, body, set: { "accept-encoding": "identity" }, bodyTimeoutMs: 0 },
        watchdog: { firstTokenMs: options.timeouts.firstToken, idleMs: options.timeouts.idle },
        maxReplyBytes: options.limits.maxBodyBytes,
      },
      (reply, control) => {
        const onDrain = (): void => control.resume();
        response.onDrain(onDrain);
        stopListening = () => response.offDrain(onDrain);
        return chooseReader(reply.headers, control, context);
      },
    );
    response.end(dialect.terminator);
    return repaired;
  } finally {
    stopListening();
  }
}

function chooseReader(headers: ReplyHeaders, control: CallControl<boolean>, context: DialectAttempt): BodyReader {
  rejectEncoded(headers);
  const type = mediaType(headers);
  if (type === "text/event-stream") return readStream(headers, control, context);
  if (type === "application/json") return readAnswerAsStream(headers, control, context);
  throw new Failure("stream_corrupted", `the upstream answered with content-type "${type}" instead of an event stream`);
}

function readStream(headers: ReplyHeaders, control: CallControl<boolean>, context: DialectAttempt): BodyReader {
  const { exchange, response, options, dialect, asked, acceptEmpty } = context;
  return createStreamReader({
    dialect,
    asked,
    acceptEmpty,
    gate: new Gate(response, headers, options.limits.maxGateBytes),
    maxEventBytes: options.limits.maxEventBytes,
    requireTerminator: options.upstream.requireDone,
    onContent: control.progress,
    onFull: control.pause,
    onWhole: ({ repaired, bodyEnded }) => control.succeed(repaired, bodyEnded),
    onFailure(failure, characters) {
      if (response.committed) exchange.stats.characters = characters;
      control.fail(failure);
    },
  });
}

/** A JSON answer to a stream request: checked as an answer, then sent as the stream that it should have been. */
function readAnswerAsStream(headers: ReplyHeaders, control: CallControl<boolean>, context: DialectAttempt): BodyReader {
  const { response, options, dialect, asked, acceptEmpty } = context;
  return createAnswerReader({
    maxBytes: options.limits.maxBodyBytes,
    onProgress: () => {},
    onFailure: control.fail,
    onWhole(body) {
      const answer = parseAnswer(body);
      const problem = dialect.inspectAnswer(answer, acceptEmpty);
      if (problem !== undefined) throw problem;
      const events = dialect.answerToEvents(answer, asked);
      response.commit(headers);
      response.write(events.map((event) => dialect.encodeEvent(event)).join(""), events.length);
      control.succeed(true, true);
    },
  });
}
