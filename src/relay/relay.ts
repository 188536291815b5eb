/** One exchange from start to finish: it starts the run that answers it, gives its client the answer, and ends with one outcome. */
import type { ServerResponse } from "node:http";
import { type Ask, createAttemptPolicy } from "../attempt/attempt-policy.ts";
import { isIdempotent } from "../attempt/idempotent.ts";
import { partOf } from "../attempt/outage-door.ts";
import { type Candidate, UNSTREAMED_TOTALS, type UpstreamPolicy } from "../balance/candidate.ts";
import { candidatesFor } from "../balance/offer.ts";
import { createEvenDraws } from "../balance/selector.ts";
import type { StickyUpstreams } from "../balance/sticky-upstreams.ts";
import type { Exchange } from "../core/exchange.ts";
import { type Failure, toFailure } from "../core/failure.ts";
import type { HeldMemory } from "../core/held-memory.ts";
import type { Observer, Propagator } from "../core/observer.ts";
import type { Outcome } from "../core/outcome.ts";
import type { Transcript } from "../core/transcript.ts";
import { ClientStream } from "../downstream/client-stream.ts";
import { cut, flushed } from "../downstream/connection-end.ts";
import type { RunRegistry } from "../run/registry.ts";
import type { Run, RunEnd, RunTimes } from "../run/run.ts";
import { deliver, respondWithFailure } from "./deliver.ts";
import { type ModelListOptions, offersOfList, sendModelList } from "./model-list.ts";
import { narrowSettings, type RelaySettings } from "./relay-settings.ts";

/** Where exchanges are relayed: what all of them share. */
export interface RelayContext {
  readonly runs: RunRegistry;
  readonly held: HeldMemory;
  readonly observer: Observer;
  readonly propagator: Propagator;
  readonly sticky: StickyUpstreams;
}

/** All exchanges draw from one row, so that shares are even over all of them. */
const draw = createEvenDraws();

/** Never throws: whatever happens is told to the client, and to the observer. */
export async function relay(
  exchange: Exchange,
  raw: ServerResponse,
  configured: RelaySettings,
  context: RelayContext,
): Promise<void> {
  const settings = narrowSettings(configured, exchange);
  const { observer } = context;
  const client = new ClientStream(raw, exchange, settings.client);
  observer.onExchangeStart?.(exchange);
  const listing = offersOfList(exchange, settings.offers);
  const { outcome, failure } =
    listing === undefined
      ? await answer(exchange, raw, client, settings, context)
      : await tellModels(exchange, raw, client, { ...context, offers: listing, maxBytes: settings.limits.maxBodyBytes });

  // An answer still fills memory while a slow client takes it, and is not whole to one that leaves before its end.
  // Past its deadline an exchange waits for nothing more.
  const taken = failure?.code === "deadline_exceeded" ? raw.writableFinished : await flushed(raw, exchange.signal);
  const isCancelled = outcome === "cancelled" || (!taken && failure === undefined && hasLeft(exchange));
  observer.onExchangeEnd?.(exchange, {
    outcome: isCancelled ? "cancelled" : outcome,
    failure: isCancelled ? undefined : failure?.code,
    status: raw.headersSent ? raw.statusCode : undefined,
    durationMs: Math.round(performance.now() - exchange.arrivedAt),
    defect: failure?.code === "internal_error" ? failure.cause : undefined,
  });
}

async function answer(
  exchange: Exchange,
  raw: ServerResponse,
  client: ClientStream,
  settings: RelaySettings,
  context: RelayContext,
): Promise<Told> {
  const run = startRun(exchange, settings, context);
  if (exchange.api?.request.stream && exchange.api.dialect.allowsComments) client.keepAlive(() => run.isTaken);
  const end = await run.listen(client, exchange.signal);
  client.stopTimers();
  return tell(exchange, raw, client, run, end);
}

async function tellModels(
  exchange: Exchange,
  raw: ServerResponse,
  client: ClientStream,
  options: ModelListOptions,
): Promise<Told> {
  try {
    await sendModelList(exchange, raw, options);
    return { outcome: "complete", failure: undefined };
  } catch (thrown) {
    return tellFailure(exchange, raw, client, toFailure(thrown), { characters: 0, lastEvent: undefined });
  }
}

function startRun(exchange: Exchange, { offers, failover, retry, limits }: RelaySettings, context: RelayContext): Run {
  const { api, request } = exchange;
  const { runs, held, observer, propagator, sticky } = context;
  const serving = candidatesFor(offers, { path: request.path, dialect: api?.dialect, model: api?.request.model });
  const candidates = sticky.narrow(serving, request);
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
      refusedAsks: (candidate) => refusedAsksOf(candidate, api?.request.model),
    },
    Math.random,
    draw,
  );
  const times = timesOf(exchange, candidates);
  return runs.start({
    exchange,
    policy,
    limits,
    times,
    held,
    observer,
    propagator,
    sticky: policy.hasOthers || candidates.length !== serving.length ? sticky : undefined,
  });
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

function refusedAsksOf({ shared }: Candidate, model: string | undefined): ReadonlySet<Ask> {
  return new Set((["whole", "via-stream"] as const).filter((ask) => shared.refusedAsks.has(model, ask)));
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

function hasLeft({ signal }: Exchange): boolean {
  return signal.aborted && toFailure(signal.reason).code === "client_gone";
}
