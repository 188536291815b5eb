/** One exchange from start to finish: it starts the run that answers it, gives its client the answer, and ends with one outcome. */
import type { ServerResponse } from "node:http";
import { proofKey, refusalKey } from "../attempt/attempt-leg.ts";
import { type Ask, createAttemptPolicy } from "../attempt/attempt-policy.ts";
import { isIdempotent } from "../attempt/idempotent.ts";
import { NativeSession } from "../attempt/native-session.ts";
import type { NextLegOptions } from "../attempt/seam/next-leg.ts";
import { parsedBody } from "../attempt/upstream-request.ts";
import { type Candidate, UNSTREAMED_TOTALS } from "../balance/candidate.ts";
import type { Continuing } from "../core/continuing.ts";
import type { Api, Exchange } from "../core/exchange.ts";
import { type Failure, toFailure } from "../core/failure.ts";
import type { HeldMemory, HeldShare } from "../core/held-memory.ts";
import type { Observer, Propagator } from "../core/observer.ts";
import type { Outcome } from "../core/outcome.ts";
import type { Transcript } from "../core/transcript.ts";
import { ClientStream } from "../downstream/client-stream.ts";
import { cut, flushed } from "../downstream/connection-end.ts";
import type { RunRegistry } from "../run/registry.ts";
import type { Run, RunEnd } from "../run/run.ts";
import { deliver, respondWithFailure } from "./deliver.ts";
import { nameLimit, narrowSettings, type RelaySettings } from "./relay-settings.ts";

/** Where exchanges are relayed: what all of them share. */
export interface RelayContext {
  readonly runs: RunRegistry;
  readonly held: HeldMemory;
  readonly observer: Observer;
  readonly propagator: Propagator;
}

/** Never throws: whatever happens is told to the client, and to the observer. */
export async function relay(
  exchange: Exchange,
  raw: ServerResponse,
  configured: RelaySettings,
  context: RelayContext,
): Promise<void> {
  // What a slow client has not read yet.
  const unread = context.held.open({ evict: (failure) => exchange.abort(failure) });
  await relayHolding(exchange, raw, configured, context, unread);
  unread.release();
}

async function relayHolding(
  exchange: Exchange,
  raw: ServerResponse,
  configured: RelaySettings,
  context: RelayContext,
  unread: HeldShare,
): Promise<void> {
  const settings = narrowSettings(configured, exchange);
  const { observer } = context;
  const client = new ClientStream(raw, exchange, settings.client, unread);
  observer.onExchangeStart?.(exchange);
  const run = startRun(exchange, settings, context);
  if (exchange.api?.request.stream && exchange.api.dialect.allowsComments) client.keepAlive(() => run.isTaken);
  const ended = await run.listen(client, exchange.signal);
  const end: RunEnd = ended.kind === "failed" ? { ...ended, failure: nameLimit(ended.failure, configured, exchange) } : ended;
  client.stopTimers();
  const told = tell(exchange, raw, client, run, end);
  unread.set(raw.writableFinished ? 0 : raw.writableLength);
  const hadToEnd = exchange.signal.aborted;
  // An answer still fills memory while a slow client takes it, and is not whole to one that leaves before its end.
  // Past its deadline an exchange waits for nothing more.
  const taken = told.failure?.code === "deadline_exceeded" ? raw.writableFinished : await flushed(raw, exchange.signal);
  const { outcome, failure } = taken || hadToEnd ? told : cutWhenEvicted(exchange, raw, told);
  const isCancelled = outcome === "cancelled" || (!taken && failure === undefined && hasLeft(exchange));
  observer.onExchangeEnd?.(exchange, {
    outcome: isCancelled ? "cancelled" : outcome,
    failure: isCancelled ? undefined : failure?.code,
    status: raw.headersSent ? raw.statusCode : undefined,
    durationMs: Math.round(performance.now() - exchange.arrivedAt),
    seams: run.seams,
    seam: failure?.seam,
    defect: failure?.code === "internal_error" ? failure.cause : undefined,
  });
}

function startRun(exchange: Exchange, { candidate, retry, limits }: RelaySettings, context: RelayContext): Run {
  const { api } = exchange;
  const continuing = candidate.policy.recovery !== "error" && api?.request.stream ? api.dialect.continuing : undefined;
  const session = new NativeSession();
  const policy = createAttemptPolicy({
    candidate,
    retry,
    kind: api === undefined ? "passthrough" : api.request.stream ? "streamed" : "whole",
    idempotent: isIdempotent(exchange),
    inBackground: policyInBackground(exchange, candidate, continuing),
    afterBreak: continuing && api && afterBreakOf(exchange, candidate, { ...api, continuing }, session),
    hasTools: api?.request.hasTools ?? false,
    refusedAsks: refusedAsksOf(candidate, api?.request.model),
  });
  const { runs, held, observer, propagator } = context;
  const { total, unstreamed, stream } = candidate.policy.timeouts;
  // Of what is not streamed nothing can be seen before it is whole: it may well be on its way.
  const uncommittedMs = api?.request.stream ? total : unstreamed;
  const uncommittedSetting = uncommittedMs === total * UNSTREAMED_TOTALS ? "timeouts.total" : "timeouts.unstreamed";
  const times = {
    totalMs: total,
    uncommittedMs,
    uncommittedSetting: api?.request.stream ? "timeouts.total" : uncommittedSetting,
    streamMs: stream,
  };
  return runs.start({ exchange, policy, limits, times, held, observer, propagator, recorder: continuing?.record(), session });
}

/** Whether its answer is asked for in the background, where the upstream keeps it. */
function policyInBackground({ request }: Exchange, { policy }: Candidate, continuing: Continuing | undefined): boolean {
  return policy.resume.background && continuing?.askInBackground?.(parsedBody(request)) !== undefined;
}

/** How its answer may go on after a break. */
function afterBreakOf(
  { request }: Exchange,
  { shared, policy }: Candidate,
  api: Api & { continuing: Continuing },
  session: NativeSession,
): NextLegOptions {
  const { continuing, dialect } = api;
  const memory = shared.continuations;
  const body = (): unknown => parsedBody(request);
  return {
    policy,
    continuing,
    body,
    known: {
      kept(given) {
        const path = session.kept?.pathAfter(given);
        return session.kept && path !== undefined ? { path, from: session.kept.from } : undefined;
      },
      hasRefused: () => memory.hasRefused(refusalKey(api)),
      isUnfit: () => memory.proofOf(proofKey(dialect, continuing, body()))?.goesOn === false,
    },
  };
}

function refusedAsksOf({ shared }: Candidate, model: string | undefined): ReadonlySet<Ask> {
  return new Set((["whole", "via-stream", "background"] as const).filter((ask) => shared.refusedAsks.has(model, ask)));
}

interface Told {
  readonly outcome: Outcome;
  readonly failure: Failure | undefined;
}

/** Gives the client what is still to be given. Never throws: a defect on the way cuts the client off, who must not wait for ever. */
function tell(exchange: Exchange, raw: ServerResponse, client: ClientStream, run: Run, end: RunEnd): Told {
  try {
    if (end.kind === "failed") return tellFailure(exchange, raw, client, end.failure, run.transcript);
    const repaired = deliver(exchange, raw, client, end.result);
    if (run.seams.length > 0) return { outcome: "resumed", failure: undefined };
    return { outcome: repaired ? "repaired" : exchange.attempts.length > 1 ? "recovered" : "complete", failure: undefined };
  } catch (thrown) {
    return tellFailure(exchange, raw, client, toFailure(thrown), run.transcript);
  }
}

function tellFailure(exchange: Exchange, raw: ServerResponse, client: ClientStream, failure: Failure, given: Transcript): Told {
  try {
    return { outcome: respondWithFailure(exchange, raw, client, failure, given), failure };
  } catch (thrown) {
    const outcome = raw.headersSent ? "interrupted" : "failed";
    cut(raw);
    return { outcome, failure: toFailure(thrown) };
  }
}

/** There is no room for what a slow client has not read: it gets no more of it, and sees that. */
function cutWhenEvicted({ signal }: Exchange, raw: ServerResponse, told: Told): Told {
  const reason = signal.aborted ? toFailure(signal.reason) : undefined;
  if (reason?.code !== "overloaded") return told;
  cut(raw);
  return told.failure === undefined ? { outcome: "interrupted", failure: reason } : told;
}

function hasLeft({ signal }: Exchange): boolean {
  return signal.aborted && toFailure(signal.reason).code === "client_gone";
}
