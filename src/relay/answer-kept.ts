/** An answer that is kept, as one client gets it: the one whose request started it, and each that comes for it later. */
import type { ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import type { Exchange } from "../core/exchange.ts";
import { toFailure } from "../core/failure.ts";
import type { ClientStream } from "../downstream/client-stream.ts";
import type { RunClient } from "../run/journal.ts";
import type { KeptAnswer, KeptEnd, ReadEnd } from "../run/kept-answer.ts";
import { makerLost } from "../run/takeover.ts";
import type { Arrival } from "./come-back.ts";
import { makeKept } from "./make-kept.ts";
import type { RelaySettings } from "./relay-settings.ts";
import { shownTo } from "./shown-to.ts";
import type { RelayContext } from "./start-run.ts";
import { type Told, tellAnswer, tellFailure } from "./tell.ts";

export async function answerKept(
  exchange: Exchange,
  raw: ServerResponse,
  client: ClientStream,
  arrival: Arrival,
  by: { readonly settings: RelaySettings; readonly context: RelayContext },
): Promise<Told> {
  const { stream, hasIds } = arrival;
  const after = arrival.kind === "starts" ? 0 : arrival.after;
  exchange.kept = { stream: stream.id, way: arrival.kind === "starts" ? undefined : arrival.way };
  if (hasIds) client.giveIds(stream.id, after);
  const runOver = arrival.kind === "starts" ? { runOver: makeKept(exchange, arrival.stream, by) } : {};
  if (exchange.api?.request.stream && exchange.api.dialect.allowsComments) client.keepAlive(() => stream.isTaken);
  // It has it all, how it ended included: that is not told a second time.
  const hasAll = stream.isLast(after);
  const watch = exchange.api && by.context.texts?.begin(exchange);
  const read = await readToEnd(stream, watch ? shownTo(watch, client) : client, after, { exchange, context: by.context });
  client.stopTimers();
  if (read.kind === "left") {
    const given = { characters: 0, lastEvent: read.lastEvent, record: undefined };
    return { ...tellFailure(exchange, raw, client, read.failure, given), ...runOver };
  }
  if (read.end.kind === "answered" && read.end.result.kind === "reply") watch?.whole(read.end.result.body);
  const told = hasAll ? tellNothing(client, read.end) : tellEnd(exchange, raw, client, read.end);
  return { ...told, ...runOver };
}

/** Wherever it is made: another replica may have gone on with it meanwhile. */
async function readToEnd(
  stream: KeptAnswer,
  client: RunClient,
  after: number,
  { exchange, context }: { readonly exchange: Exchange; readonly context: RelayContext },
): Promise<Exclude<ReadEnd, { kind: "moved" }>> {
  const read = await stream.read(client, after, exchange.signal);
  if (read.kind !== "moved") return read;
  try {
    const elsewhere = await findElsewhere(stream.id, exchange.signal, context);
    if (elsewhere !== undefined) return await readToEnd(elsewhere, client, read.after, { exchange, context });
  } catch (thrown) {
    return { kind: "left", failure: toFailure(thrown), lastEvent: undefined };
  }
  return { kind: "left", failure: makerLost(), lastEvent: undefined };
}

/** One that has stood still may have to find its way to the store again. */
async function findElsewhere(id: string, signal: AbortSignal, { kept }: RelayContext): Promise<KeptAnswer | undefined> {
  for (let tries = 1; ; tries++) {
    try {
      return await kept.find(id);
    } catch (failure) {
      if (tries === MOST_TRIES || signal.aborted) throw failure;
      await sleep(TRY_EVERY_MS);
    }
  }
}

const MOST_TRIES = 10;
const TRY_EVERY_MS = 500;

function tellNothing(client: ClientStream, end: KeptEnd): Told {
  client.end("");
  return end.kind === "failed" ? { outcome: "interrupted", failure: end.failure } : { outcome: "complete", failure: undefined };
}

function tellEnd(exchange: Exchange, raw: ServerResponse, client: ClientStream, end: KeptEnd): Told {
  const given = { characters: 0, lastEvent: undefined, record: undefined };
  // Attempts and seams are told once, of the exchange that has made them.
  const isFirst = exchange.kept?.way === undefined;
  const seams = isFirst ? end.seams : [];
  if (end.kind === "failed") return { ...tellFailure(exchange, raw, client, end.failure, given, end), seams };
  const told = tellAnswer(exchange, raw, client, end.result, given);
  if (told.failure !== undefined) return told;
  return { ...told, outcome: !isFirst && end.outcome === "recovered" ? "complete" : end.outcome, seams };
}
