/** What every attempt has to work with. */
import type { Attempt } from "../core/attempt.ts";
import type { AttemptOutput } from "../core/attempt-output.ts";
import type { StreamInspector } from "../core/dialect.ts";
import type { EventSink } from "../core/event-sink.ts";
import type { Api, Exchange } from "../core/exchange.ts";
import type { HeldShare } from "../core/held-memory.ts";
import type { AttemptPlan } from "./attempt-policy.ts";
import type { NativeSession } from "./native-session.ts";

export interface AttemptContext {
  /** Whose request is sent. */
  readonly exchange: Pick<Exchange, "api" | "request" | "recording">;
  readonly attempt: Attempt;
  readonly plan: AttemptPlan;
  readonly limits: AnswerLimits;
  /** What the attempt holds back counts here; the run that made the attempt releases it. */
  readonly held: HeldShare;
  /** Headers that continue a trace at the upstream. */
  readonly propagated: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  /** What the upstream keeps for the run. */
  readonly session: NativeSession;
  readonly output: AttemptOutput;
  /** Told that the upstream wants no more for so long, in milliseconds; undefined where nobody is kept back by that. */
  readonly onLimit?: ((forMs: number) => void) | undefined;
  /** Told what the upstream has made that clients come back for; undefined where there is no other upstream. */
  readonly onMade?: ((id: string) => void) | undefined;
}

/** In bytes. */
export interface AnswerLimits {
  readonly maxBodyBytes: number;
  readonly maxEventBytes: number;
  readonly maxGateBytes: number;
}

/** An attempt at an answer in a dialect that Perennial understands. */
export interface DialectAttempt extends AttemptContext, Api {}

/** Judges a stream, and supplies what an upstream of this kind leaves out; see `repairRawAnswer`. */
export function withRepair(
  inspector: StreamInspector,
  sink: EventSink,
  { dialect, plan }: Pick<DialectAttempt, "dialect" | "plan">,
): StreamInspector {
  if (!plan.candidate.policy.repairRawAnswer) return inspector;
  return dialect.repairRawAnswer?.(inspector, (event) => sink.push(event, "content")) ?? inspector;
}

export function withApi(context: AttemptContext, api: Api): DialectAttempt {
  return { ...context, ...api };
}
