/** One attempt at another leg of a streamed answer that broke when clients had some of it. */
import type { BodyReader } from "../call/body-reader.ts";
import { type CallControl, callUpstream } from "../call/call-upstream.ts";
import { chooseByMediaType } from "../call/choose-reader.ts";
import { createStreamReader } from "../call/stream-reader.ts";
import type { AnswerRecord } from "../core/answer-record.ts";
import type { AttemptResult } from "../core/attempt-output.ts";
import type { Continuing } from "../core/continuing.ts";
import type { EventSink } from "../core/event-sink.ts";
import type { DialectAttempt } from "./attempt-context.ts";
import { withHold } from "./attempt-stream.ts";
import type { AskLeg } from "./seam/next-leg.ts";
import { refusedSeam, Splice } from "./seam/splice.ts";
import { dialectCall } from "./upstream-request.ts";

/** @throws Failure */
export async function attemptLeg(context: DialectAttempt, ask: AskLeg): Promise<AttemptResult> {
  const { continuing } = context.dialect;
  const given = context.output.given;
  if (continuing === undefined || given === undefined) throw refusedSeam("unsupported");
  const { firstToken, alive, idle } = context.plan.candidate.policy.timeouts;
  const body = ask.kind === "continue" ? Buffer.from(JSON.stringify(ask.body)) : undefined;
  const call = dialectCall(context, { firstTokenMs: firstToken, aliveMs: alive, idleMs: idle, idleFrom: "content" }, body);
  // The client's key stands for the first leg, whose answer a server may keep for it.
  const { "idempotency-key": _key, ...headers } = call.request.headers;
  return callUpstream<AttemptResult>({ ...call, request: { ...call.request, headers } }, ({ headers }, control) =>
    chooseByMediaType(headers, {
      stream: () => readLeg(control, context, { ask, continuing, given }),
      // The whole answer at once would repeat what was told, or lack it: servers differ.
      json: () => {
        throw refusedSeam("refused");
      },
    }),
  );
}

interface LegParts {
  readonly ask: AskLeg;
  readonly continuing: Continuing;
  readonly given: AnswerRecord;
}

function readLeg(control: CallControl<AttemptResult>, context: DialectAttempt, parts: LegParts): BodyReader {
  const { plan, limits, dialect, request } = context;
  const inspector = dialect.inspectStream(request);
  return createStreamReader({
    inspector,
    control,
    sink: withHold(splice(context, parts), inspector, control, context),
    maxEventBytes: limits.maxEventBytes,
    requireTerminator: plan.candidate.policy.requireDone,
    // Nothing may have been missing but the end, which the seam's judge knows better.
    acceptEmpty: true,
    onWhole: ({ terminated, bodyEnded }) =>
      control.succeed({ kind: "streamed", repaired: !terminated && dialect.repairsTerminator }, bodyEnded),
  });
}

function splice({ held, output }: DialectAttempt, { ask, continuing, given }: LegParts): EventSink {
  const { text } = given;
  const isWhole = ask.kind === "rerun";
  const next = output.nextLeg(isWhole ? "rerun" : ask.proof);
  return new Splice({
    next: next.sink,
    accept: next.accept,
    held,
    leg: continuing.openLeg(given, { isWhole, tokensBefore: isWhole ? undefined : ask.cut.tokens }),
    seam: isWhole ? { given: text, expected: text, echo: undefined } : { given: text, expected: ask.cut.tail, echo: ask.echo },
    isCapped: !isWhole && ask.isCapped,
  });
}
