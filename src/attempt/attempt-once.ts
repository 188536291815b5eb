/** One attempt, of whichever kind the request needs. */
import type { AttemptResult } from "../core/attempt-output.ts";
import { attemptAnswer } from "./attempt-answer.ts";
import { type AttemptContext, withApi } from "./attempt-context.ts";
import { attemptLeg } from "./attempt-leg.ts";
import { attemptPassthrough } from "./attempt-passthrough.ts";
import { attemptStream } from "./attempt-stream.ts";

/** @throws Failure */
export function attemptOnce(context: AttemptContext): Promise<AttemptResult> {
  const { api } = context.exchange;
  if (api === undefined) return attemptPassthrough(context);
  const { ask } = context.plan;
  if (typeof ask === "object") return attemptLeg(withApi(context, api), ask);
  return api.request.stream ? attemptStream(withApi(context, api)) : attemptAnswer(withApi(context, api));
}
