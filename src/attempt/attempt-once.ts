/** One attempt, of whichever kind the request needs. */
import type { AttemptResult } from "../core/attempt-output.ts";
import { openAiResponses } from "../dialect/openai-responses.ts";
import { namingModel, withAskedModel } from "./asked-model.ts";
import { attemptAnswer } from "./attempt-answer.ts";
import { type AttemptContext, type DialectAttempt, withApi } from "./attempt-context.ts";
import { attemptLeg } from "./attempt-leg.ts";
import { attemptPassthrough } from "./attempt-passthrough.ts";
import { attemptStream } from "./attempt-stream.ts";
import { lookInReply, watchingBody, watchingResponse } from "./made-by.ts";

/** @throws Failure */
export function attemptOnce(context: AttemptContext): Promise<AttemptResult> {
  const { api } = context.exchange;
  return api === undefined ? attemptUnread(context) : attemptInDialect(withApi(context, api));
}

async function attemptInDialect(context: DialectAttempt): Promise<AttemptResult> {
  const { request, dialect, onMade } = context;
  // Another name goes upstream than the client's: it must not learn of it by the answer.
  const asked = context.plan.candidate.model === undefined ? undefined : request.model;
  const named = asked === undefined ? context.output : namingModel(context.output, asked, context.attempt);
  const made = dialect.name === openAiResponses.name && onMade !== undefined ? { onMade } : undefined;
  const attempt = { ...context, output: made === undefined ? named : watchingResponse(named, made) };
  const result = await attemptAsPlanned(attempt);
  if (made !== undefined) lookInReply(result, made);
  return asked === undefined ? result : withAskedModel(result, asked);
}

function attemptAsPlanned(attempt: DialectAttempt): Promise<AttemptResult> {
  const { ask } = attempt.plan;
  if (typeof ask === "object") return attemptLeg(attempt, ask);
  // What another upstream has kept is not this one's to hand out.
  attempt.session.end(false);
  return attempt.request.stream ? attemptStream(attempt) : attemptAnswer(attempt);
}

async function attemptUnread(context: AttemptContext): Promise<AttemptResult> {
  const { onMade, output, exchange } = context;
  if (onMade === undefined || exchange.request.method !== "POST") return attemptPassthrough(context);
  const watched = watchingBody(output, { onMade });
  const result = await attemptPassthrough({ ...context, output: watched.output });
  watched.look();
  return result;
}
