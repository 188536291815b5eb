/** One exchange from start to finish: it starts the run that answers it, gives its client the answer, and ends with one outcome. */
import type { ServerResponse } from "node:http";
import type { Exchange } from "../core/exchange.ts";
import { toFailure } from "../core/failure.ts";
import type { HeldShare } from "../core/held-memory.ts";
import { ClientStream } from "../downstream/client-stream.ts";
import { cut, flushed } from "../downstream/connection-end.ts";
import type { RunEnd } from "../run/run.ts";
import { answerKept } from "./answer-kept.ts";
import type { Arrival } from "./come-back.ts";
import { type ModelListOptions, offersOfList, sendModelList } from "./model-list.ts";
import { nameLimit, narrowSettings, type RelaySettings } from "./relay-settings.ts";
import { shownTo } from "./shown-to.ts";
import { type RelayContext, startRun } from "./start-run.ts";
import { outcomeOf, type Told, tellAnswer, tellFailure } from "./tell.ts";

/**
 * Never throws: whatever happens is told to the client, and to the observer.
 * @param arrival where its answer is kept; undefined where it is not.
 */
export async function relay(
  exchange: Exchange,
  raw: ServerResponse,
  configured: RelaySettings,
  context: RelayContext,
  arrival?: Arrival,
): Promise<void> {
  // What a slow client has not read yet.
  const unread = context.held.open({ evict: (failure) => exchange.abort(failure) });
  await relayHolding(exchange, raw, configured, context, { unread, arrival });
  unread.release();
}

async function relayHolding(
  exchange: Exchange,
  raw: ServerResponse,
  configured: RelaySettings,
  context: RelayContext,
  { unread, arrival }: { readonly unread: HeldShare; readonly arrival: Arrival | undefined },
): Promise<void> {
  const settings = narrowSettings(configured, exchange);
  const { observer } = context;
  const client = new ClientStream(raw, exchange, settings.client, unread);
  exchange.recording = context.record?.(exchange);
  observer.onExchangeStart?.(exchange);
  const told: Told = await tellWhatIsAsked(exchange, raw, client, arrival, { settings, context });
  unread.set(raw.writableFinished ? 0 : raw.writableLength);
  const hadToEnd = exchange.signal.aborted;
  // An answer still fills memory while a slow client takes it, and is not whole to one that leaves before its end.
  // Past its deadline an exchange waits for nothing more.
  const taken = told.failure?.code === "deadline_exceeded" ? raw.writableFinished : await flushed(raw, exchange.signal);
  const { outcome, failure } = taken || hadToEnd ? told : cutWhenEvicted(exchange, raw, told);
  const durationMs = Math.round(performance.now() - exchange.arrivedAt);
  // What its run still does for others, or for its client should it come back, belongs to it.
  if (told.runOver !== undefined) await told.runOver;
  const isCancelled = outcome === "cancelled" || (!taken && failure === undefined && hasLeft(exchange));
  observer.onExchangeEnd?.(exchange, {
    outcome: isCancelled ? "cancelled" : outcome,
    failure: isCancelled ? undefined : failure?.code,
    status: raw.headersSent ? raw.statusCode : undefined,
    durationMs,
    seams: told.seams ?? [],
    seam: failure?.seam,
    defect: failure?.code === "internal_error" ? failure.cause : undefined,
    ...(arrival?.kind === "starts" && arrival.stream.lingered !== undefined ? { lingered: arrival.stream.lingered } : {}),
  });
  await exchange.recording?.end();
}

function tellWhatIsAsked(
  exchange: Exchange,
  raw: ServerResponse,
  client: ClientStream,
  arrival: Arrival | undefined,
  by: { readonly settings: RelaySettings; readonly context: RelayContext },
): Promise<Told> {
  const { settings, context } = by;
  if (arrival !== undefined) return answerKept(exchange, raw, client, arrival, by);
  const listing = offersOfList(exchange, settings.offers);
  if (listing === undefined) return answer(exchange, raw, client, settings, context);
  return tellModels(exchange, raw, client, { ...context, offers: listing, maxBytes: settings.limits.maxBodyBytes });
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
  const watch = exchange.api && context.texts?.begin(exchange);
  const ended = await run.listen(watch ? shownTo(watch, client) : client, exchange.signal);
  if (ended.kind === "won" && ended.result.kind === "reply") watch?.whole(ended.result.body);
  const end: RunEnd = ended.kind === "failed" ? { ...ended, failure: nameLimit(ended.failure, settings, exchange) } : ended;
  client.stopTimers();
  const { seams, transcript } = run;
  if (end.kind === "failed") return { ...tellFailure(exchange, raw, client, end.failure, transcript), seams };
  const told = tellAnswer(exchange, raw, client, end.result, transcript);
  return { ...told, outcome: told.failure === undefined ? outcomeOf(exchange, run, end.result) : told.outcome, seams };
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
    return tellFailure(exchange, raw, client, toFailure(thrown), { characters: 0, lastEvent: undefined, record: undefined });
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
