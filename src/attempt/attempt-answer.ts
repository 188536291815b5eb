/** One attempt at an answer that is not streamed: buffered and checked; or made from a stream that is watched as one. */
import {
  type AnswerReaderOptions,
  answerTooLarge,
  createAnswerReader,
  isFinishedAnswer,
  parseAnswer,
} from "../call/answer-reader.ts";
import type { BodyReader } from "../call/body-reader.ts";
import { type CallControl, callUpstream } from "../call/call-upstream.ts";
import { asJson, chooseReader, labelOf } from "../call/choose-reader.ts";
import { createStreamReader } from "../call/stream-reader.ts";
import type { AttemptResult } from "../core/attempt-output.ts";
import type { EventSink } from "../core/event-sink.ts";
import { Failure } from "../core/failure.ts";
import { detached, heldBytes } from "../core/held-memory.ts";
import type { ReplyHeaders } from "../core/reply.ts";
import { type StreamEvent, wireBytes } from "../core/stream-event.ts";
import { type DialectAttempt, withRepair } from "./attempt-context.ts";
import { createLargeAnswerReader } from "./large-answer.ts";
import { bodyAsked, dialectCall } from "./upstream-request.ts";

/** @throws Failure */
export function attemptAnswer(context: DialectAttempt): Promise<AttemptResult> {
  const { plan } = context;
  const { firstToken, alive, idle } = plan.candidate.policy.timeouts;
  const streamed = plan.ask === "via-stream" ? bodyAsked(context, true) : undefined;
  const viaStream = streamed !== undefined;
  return callUpstream<AttemptResult>(
    dialectCall(
      context,
      // Nothing comes before the whole answer is there, so only the time for all of it limits the wait for its first byte.
      viaStream
        ? { firstTokenMs: firstToken, aliveMs: alive, idleMs: idle, idleFrom: "content" }
        : { firstTokenMs: 0, aliveMs: 0, idleMs: idle, idleFrom: "head" },
      streamed,
    ),
    ({ status, headers }, control) => {
      // With a head that announces the whole answer, silence is a stall, however it was asked for.
      if (labelOf(headers) === "json") control.notice("content");
      const readers = {
        json: () => readAnswer(status, headers, control, context),
        stream: () => joinStream(status, headers, control, context, viaStream),
      };
      return chooseReader(headers, readers, {
        maxBytes: context.limits.maxBodyBytes,
        form: viaStream ? "stream" : "json",
        onUndecided: () => control.notice(viaStream ? "life" : "content"),
        onFailure: control.fail,
      });
    },
  );
}

function readAnswer(
  status: number,
  headers: ReplyHeaders,
  control: CallControl<AttemptResult>,
  { attempt, plan, limits, held, dialect, request, output }: DialectAttempt,
): BodyReader {
  control.notice("content");
  const options: AnswerReaderOptions = {
    maxBytes: limits.maxBodyBytes,
    held,
    isWhole: (body) => isFinishedAnswer(body, dialect),
    onProgress: () => control.notice("content"),
    onFailure: control.fail,
    onWhole(body) {
      const answer = parseAnswer(body);
      const problem = dialect.inspectAnswer(answer.value, plan.acceptEmpty, request);
      if (problem !== undefined) throw problem;
      attempt.warning = dialect.warnOfAnswer?.(answer.value);
      control.succeed({ kind: "reply", status, headers: asJson(headers), body: answer.body, repaired: false }, true);
    },
  };
  if (!dialect.pipesLargeAnswers) return createAnswerReader(options);
  const onPiped = (): void => control.succeed({ kind: "piped" }, true);
  return createLargeAnswerReader({ ...options, status, headers, output, onFull: control.pause, onPiped });
}

/** The client sees nothing of the stream before it is whole, so a cut at any place can be tried again. */
function joinStream(
  status: number,
  headers: ReplyHeaders,
  control: CallControl<AttemptResult>,
  { attempt, plan, limits, held, dialect, request }: DialectAttempt,
  viaStream: boolean,
): BodyReader {
  const events: StreamEvent[] = [];
  let bytes = 0;
  const collect: EventSink = {
    push(event) {
      events.push(detached(event));
      bytes += wireBytes(event);
      held.add(heldBytes(event));
    },
    flush() {
      if (bytes > limits.maxBodyBytes) control.fail(answerTooLarge(limits.maxBodyBytes));
      return true;
    },
    finish() {},
  };
  const inspector = dialect.inspectStream(request);
  const reader = createStreamReader({
    inspector: withRepair(inspector, collect, { dialect, plan }),
    control,
    sink: collect,
    held,
    maxEventBytes: limits.maxEventBytes,
    requireTerminator: plan.candidate.policy.requireDone,
    terminatorFinishes: plan.candidate.policy.finish === "done",
    acceptEmpty: plan.acceptEmpty,
    onWhole({ terminated, bodyEnded }) {
      const answer = dialect.eventsToAnswer(events, request);
      if (answer === undefined) throw new Failure("stream_corrupted", "the upstream's last event does not hold the answer");
      attempt.warning = inspector.warning;
      control.succeed(
        {
          kind: "reply",
          status,
          headers: asJson(headers),
          body: Buffer.from(JSON.stringify(answer)),
          repaired: !viaStream || (!terminated && dialect.repairsTerminator),
        },
        bodyEnded,
      );
    },
  });
  return viaStream ? reader : fedByBytes(reader, control);
}

/** Where nothing is streamed only silence is a stall: the upstream was not asked to show how far it has come. */
function fedByBytes(reader: BodyReader, { notice }: Pick<CallControl<unknown>, "notice">): BodyReader {
  return {
    onData(chunk) {
      notice("content");
      reader.onData(chunk);
    },
    onEnd: (cause) => reader.onEnd(cause),
  };
}
