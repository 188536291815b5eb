/** Starts the run that answers an exchange: who can be asked, by which policy, in what time, and how an answer goes on that breaks. */
import { proofKey, refusalKey } from "../attempt/attempt-leg.ts";
import { type Ask, createAttemptPolicy } from "../attempt/attempt-policy.ts";
import { isIdempotent } from "../attempt/idempotent.ts";
import { NativeSession } from "../attempt/native-session.ts";
import { partOf } from "../attempt/outage-door.ts";
import type { HedgeOptions } from "../attempt/plan-hedge.ts";
import type { NextLegOptions } from "../attempt/seam/next-leg.ts";
import { parsedBody } from "../attempt/upstream-request.ts";
import { type Candidate, UNSTREAMED_TOTALS, type UpstreamPolicy } from "../balance/candidate.ts";
import type { Hedging } from "../balance/hedging.ts";
import { candidatesFor } from "../balance/offer.ts";
import type { RetryBudget } from "../balance/retry-budget.ts";
import { createEvenDraws } from "../balance/selector.ts";
import type { StickyUpstreams } from "../balance/sticky-upstreams.ts";
import type { Continuing } from "../core/continuing.ts";
import type { Api, Exchange } from "../core/exchange.ts";
import type { HeldMemory } from "../core/held-memory.ts";
import type { Observer, Propagator } from "../core/observer.ts";
import type { Recording } from "../core/recording.ts";
import type { TextWatch } from "../core/text-watch.ts";
import type { KeptStream } from "../run/kept-stream.ts";
import { Run, type RunTimes } from "../run/run.ts";
import type { StreamStore } from "../run/stream-store.ts";
import type { TakenOver } from "../run/takeover.ts";
import { makerOf, pastRunOf } from "./past-run.ts";
import { withLimits } from "./rated.ts";
import type { RelaySettings } from "./relay-settings.ts";

/** Where exchanges are relayed: what all of them share. */
export interface RelayContext {
  readonly kept: StreamStore;
  readonly held: HeldMemory;
  readonly observer: Observer;
  readonly propagator: Propagator;
  readonly sticky: StickyUpstreams;
  readonly retries: RetryBudget;
  readonly hedging: Hedging;
  /** Who is shown what is asked and answered; undefined where nobody is, as a rule. */
  readonly texts?: TextWatch | undefined;
  /** Whose upstreams' answers are written down; undefined where none are (`record`). */
  readonly record?: ((exchange: Exchange) => Recording | undefined) | undefined;
}

/** All exchanges draw from one row, so that shares are even over all of them. */
const draw = createEvenDraws();

/** An answer that is kept. */
export interface KeptRun {
  /** Where it goes in place of the clients that listen. */
  readonly stream: KeptStream;
  /** What was made of it before, by a replica that has gone. */
  readonly taken?: TakenOver | undefined;
}

export function startRun(exchange: Exchange, settings: RelaySettings, context: RelayContext, kept?: KeptRun): Run {
  const { offers, failover, retry, limits, keyLimiterOf } = settings;
  const { api, request } = exchange;
  const { held, observer, propagator, sticky, retries } = context;
  // SDKs say so of their own retries.
  retries.request(Number(request.headers["x-stainless-retry-count"] ?? 0) > 0);
  const serving = candidatesFor(offers, { path: request.path, dialect: api?.dialect, model: api?.request.model });
  const { client } = exchange;
  const { candidates, key } = withLimits(exchange, sticky.narrow(serving, request), client && keyLimiterOf?.(client));
  const continuing = api?.request.stream && candidates.some(continues) ? api.dialect.continuing : undefined;
  const session = new NativeSession();
  const taken = kept?.taken;
  const past = taken && pastRunOf({ taken, candidates, exchange, session, maxReplyBytes: limits.maxBodyBytes });
  const mayGoOn = past === undefined || (taken && makerOf(taken, candidates)) !== undefined;
  const policy = createAttemptPolicy(
    {
      candidates,
      failover,
      retry,
      part: partOf(exchange),
      model: api?.request.model,
      kind: api === undefined ? "passthrough" : api.request.stream ? "streamed" : "whole",
      idempotent: isIdempotent(exchange),
      hasTools: api?.request.hasTools ?? false,
      inBackground: (candidate) => continues(candidate) && isForBackground(exchange, candidate, continuing),
      afterBreak: (candidate) =>
        mayGoOn && continuing && api && continues(candidate)
          ? afterBreakOf(exchange, candidate, { ...api, continuing }, session)
          : undefined,
      takeRetry() {
        const isAllowed = retries.take(retry.budget);
        if (!isAllowed) observer.onRetryRefused?.(exchange);
        return isAllowed;
      },
      refusedAsks: (candidate) => refusedAsksOf(candidate, api?.request.model),
      hedge: hedgeOf(exchange, settings, context),
    },
    Math.random,
    draw,
  );
  const times = timesOf(exchange, candidates);
  return new Run({
    exchange,
    policy,
    limits,
    times,
    held,
    observer,
    propagator,
    recorder: continuing?.record(),
    session,
    key,
    past,
    ...(kept && { journal: kept.stream, onLeg: (leg) => kept.stream.leg(leg) }),
    sticky: policy.hasOthers || candidates.length !== serving.length ? sticky : undefined,
  });
}

/** Undefined where no second upstream is asked beside one that is slow. */
function hedgeOf({ api }: Exchange, { hedge }: RelaySettings, { hedging }: RelayContext): HedgeOptions | undefined {
  const { after, percent } = hedge;
  if (after === false || !api?.request.stream) return undefined;
  hedging.request(percent);
  const take = (): boolean => hedging.take();
  if (after !== "p95") return { take, afterMs: () => after };
  const route = `${api.dialect.name} ${api.request.model ?? ""}`;
  return { take, afterMs: () => hedging.p95(route), learn: (ms) => hedging.learn(route, ms) };
}

/** Where no upstream serves a request it takes no time at all. */
const REFUSING_MS = 1_000;

/** The longest that any of its upstreams may take: the others end by clocks of their own. */
function timesOf({ api }: Exchange, candidates: readonly Candidate[]): RunTimes {
  const longest = (each: (timeouts: UpstreamPolicy["timeouts"]) => number): number =>
    candidates.length === 0 ? REFUSING_MS : Math.max(...candidates.map(({ policy }) => each(policy.timeouts)));
  const total = longest((timeouts) => timeouts.total);
  const stream = longest((timeouts) => (timeouts.stream === false ? Number.POSITIVE_INFINITY : timeouts.stream));
  // Of what is not streamed nothing can be seen before it is whole: it may well be on its way.
  const uncommittedMs = api?.request.stream ? total : longest((timeouts) => timeouts.unstreamed);
  const uncommittedSetting = uncommittedMs === total * UNSTREAMED_TOTALS ? "timeouts.total" : "timeouts.unstreamed";
  return {
    totalMs: total,
    uncommittedMs,
    uncommittedSetting: api?.request.stream ? "timeouts.total" : uncommittedSetting,
    streamMs: Number.isFinite(stream) ? stream : false,
  };
}

/** What becomes of its answers that break when clients have some of them. */
function continues({ policy }: Candidate): boolean {
  return policy.recovery !== "error";
}

/** Whether its answer is asked for in the background, where the upstream keeps it. */
function isForBackground({ request }: Exchange, { policy }: Candidate, continuing: Continuing | undefined): boolean {
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
