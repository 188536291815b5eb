/** One attempt at a streamed answer. */
import { createAnswerReader, isFinishedAnswer, parseAnswer } from "../call/answer-reader.ts";
import type { BodyReader } from "../call/body-reader.ts";
import { type CallControl, callUpstream } from "../call/call-upstream.ts";
import { asJson, chooseReader, labelOf } from "../call/choose-reader.ts";
import { createStreamReader } from "../call/stream-reader.ts";
import type { AttemptResult, StreamOpening } from "../core/attempt-output.ts";
import type { StreamInspector } from "../core/dialect.ts";
import type { EventSink } from "../core/event-sink.ts";
import { Failure, toFailure } from "../core/failure.ts";
import type { ReplyHeaders } from "../core/reply.ts";
import { type DialectAttempt, withRepair } from "./attempt-context.ts";
import { BackgroundStation } from "./background-station.ts";
import { keepConversation } from "./llama-conversation.ts";
import { ToolCallHold } from "./tool-call-hold.ts";
import { bodyAsked, dialectCall, parsedBody } from "./upstream-request.ts";

/** @throws Failure */
export async function attemptStream(context: DialectAttempt): Promise<AttemptResult> {
  const { plan } = context;
  const { firstToken, alive, idle } = plan.candidate.policy.timeouts;
  const bodyForWhole = plan.ask === "whole" ? bodyAsked(context, false) : undefined;
  const asksWhole = bodyForWhole !== undefined;
  try {
    return await callUpstream<AttemptResult>(
      dialectCall(
        context,
        // An answer that is asked for whole has no first token to wait for.
        asksWhole
          ? { firstTokenMs: 0, aliveMs: 0, idleMs: idle, idleFrom: "head" }
          : { firstTokenMs: firstToken, aliveMs: alive, idleMs: idle, idleFrom: "content" },
        bodyForWhole ?? bodyInBackground(context),
        asksWhole ? {} : keepConversation(context),
      ),
      ({ headers }, control) =>
        chooseReader(
          headers,
          {
            stream: () => readStream(headers, control, context),
            json: () => readAnswerAsStream(headers, control, context),
          },
          {
            maxBytes: context.limits.maxBodyBytes,
            form: asksWhole ? "json" : "stream",
            // What is made at once is kept alive with blanks; in a stream they are signs of life, and say nothing of how far it has come.
            onUndecided: () => control.notice(asksWhole || labelOf(headers) === "json" ? "content" : "life"),
            onFailure: control.fail,
          },
        ),
    );
  } catch (thrown) {
    throw asksWhole ? asRefusedFallback(thrown) : thrown;
  }
}

function bodyInBackground({ plan, dialect, exchange }: DialectAttempt): Buffer | undefined {
  if (plan.ask !== "background") return undefined;
  const asked = dialect.continuing?.askInBackground?.(parsedBody(exchange.request));
  return asked === undefined ? undefined : Buffer.from(JSON.stringify(asked));
}

/** The client has not asked for the whole answer, and would not understand why that was refused. */
function asRefusedFallback(thrown: unknown): Failure {
  const failure = toFailure(thrown);
  if (failure.code !== "upstream_status" || failure.scope === "again") return failure;
  const message = `the upstream's streams are empty, and it refuses to answer without one (HTTP status ${failure.status})`;
  return new Failure("empty_stream", message, { scope: "elsewhere", cause: failure });
}

function readStream(headers: ReplyHeaders, control: CallControl<AttemptResult>, context: DialectAttempt): BodyReader {
  const { attempt, plan, limits, held, dialect, request, output } = context;
  const inspector = dialect.inspectStream(request);
  const gate = output.openStream(headers, openingOf(context, control));
  const isKept = output.given !== undefined && dialect.continuing?.askInBackground !== undefined;
  const sink = withHold(isKept ? new BackgroundStation(gate, context) : gate, inspector, control, context);
  return createStreamReader({
    inspector: withRepair(inspector, sink, context),
    control,
    sink,
    held,
    maxEventBytes: limits.maxEventBytes,
    requireTerminator: plan.candidate.policy.requireDone,
    terminatorFinishes: plan.candidate.policy.finish === "done",
    acceptEmpty: plan.acceptEmpty,
    onContent: output.onContent,
    onWhole({ terminated, bodyEnded }) {
      attempt.warning = inspector.warning;
      control.succeed({ kind: "streamed", repaired: !terminated && dialect.repairsTerminator }, bodyEnded);
    },
  });
}

function openingOf({ plan }: DialectAttempt, { fail, onSettle }: CallControl<AttemptResult>): StreamOpening {
  const { open, lag } = plan.candidate.policy.gate;
  return { at: open, lagMs: open === "whole" ? 0 : lag, onFailure: fail, onSettle };
}

/** The stations of this attempt before its gate. */
export function withHold(
  gate: EventSink,
  inspector: StreamInspector,
  control: CallControl<AttemptResult>,
  { plan, limits, held }: DialectAttempt,
): EventSink {
  const { toolCalls, holdFor } = plan.candidate.policy.gate;
  if (toolCalls === "stream") return gate;
  const hold = new ToolCallHold({
    next: gate,
    inspector,
    held,
    maxMs: holdFor,
    maxBytes: limits.maxGateBytes,
    maxEventBytes: limits.maxBodyBytes,
    onFailure: control.fail,
  });
  control.onSettle(() => hold.stop());
  return hold;
}

/** A JSON answer to a stream request: checked as an answer, then sent as the stream that it should have been. */
function readAnswerAsStream(headers: ReplyHeaders, control: CallControl<AttemptResult>, context: DialectAttempt): BodyReader {
  const { attempt, plan, limits, held, dialect, request, output } = context;
  return createAnswerReader({
    maxBytes: limits.maxBodyBytes,
    held,
    isWhole: (body) => isFinishedAnswer(body, dialect),
    onProgress: () => control.notice("content"),
    onFailure: control.fail,
    onWhole(body) {
      const { value: answer, body: alone } = parseAnswer(body);
      const problem = dialect.inspectAnswer(answer, plan.acceptEmpty, request);
      if (problem !== undefined) throw problem;
      attempt.warning = dialect.warnOfAnswer?.(answer);
      const events = dialect.answerToEvents(answer, request);
      if (events === undefined) {
        // Of a stream that its upstream cannot write as events, this may be the first piece alone.
        if (labelOf(headers) === "stream") throw new Failure("empty_stream", "the upstream sent JSON in place of events");
        control.succeed({ kind: "reply", status: 200, headers: asJson(headers), body: alone, repaired: false }, true);
        return;
      }
      const inspector = dialect.inspectStream(request);
      const gate = output.openStream(headers, { ...openingOf(context, control), at: "content", lagMs: 0 });
      for (const event of events) {
        const before = inspector.characters;
        inspector.onEvent(event);
        event.characters = inspector.characters - before;
        gate.push(event, "content");
      }
      gate.finish();
      gate.flush();
      control.succeed({ kind: "streamed", repaired: true }, true);
    },
  });
}
