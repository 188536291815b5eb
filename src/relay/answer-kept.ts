/** An answer that is kept, as one client gets it: the one whose request started it, and each that comes for it later. */
import type { ServerResponse } from "node:http";
import type { Exchange } from "../core/exchange.ts";
import { toFailure, withDetails } from "../core/failure.ts";
import { encodePipedError } from "../dialect/piped-error-event.ts";
import type { ClientStream } from "../downstream/client-stream.ts";
import type { KeptEnd } from "../run/kept-answer.ts";
import type { KeptStream } from "../run/kept-stream.ts";
import type { Run, RunEnd } from "../run/run.ts";
import type { Arrival } from "./come-back.ts";
import { failureMessage } from "./failure-message.ts";
import { nameLimit, type RelaySettings } from "./relay-settings.ts";
import { shownTo } from "./shown-to.ts";
import { type RelayContext, startRun } from "./start-run.ts";
import { outcomeOf, type Told, tellAnswer, tellFailure } from "./tell.ts";

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
  const runOver = arrival.kind === "starts" ? { runOver: startKept(exchange, arrival.stream, by) } : {};
  if (exchange.api?.request.stream && exchange.api.dialect.allowsComments) client.keepAlive(() => stream.isTaken);
  // It has it all, how it ended included: that is not told a second time.
  const hasAll = stream.isLast(after);
  const watch = exchange.api && by.context.texts?.begin(exchange);
  const read = await stream.read(watch ? shownTo(watch, client) : client, after, exchange.signal);
  client.stopTimers();
  if (read.kind === "left") {
    const given = { characters: 0, lastEvent: read.lastEvent, record: undefined };
    return { ...tellFailure(exchange, raw, client, read.failure, given), ...runOver };
  }
  if (read.end.kind === "answered" && read.end.result.kind === "reply") watch?.whole(read.end.result.body);
  const told = hasAll ? tellNothing(client, read.end) : tellEnd(exchange, raw, client, read.end);
  return { ...told, ...runOver };
}

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

/** Never rejects. */
async function startKept(
  exchange: Exchange,
  stream: KeptStream,
  { settings, context }: { readonly settings: RelaySettings; readonly context: RelayContext },
): Promise<void> {
  try {
    const run = startRun(exchange, settings, context, stream);
    stream.begunBy(run);
    stream.close(endOf(exchange, run, await run.ended, settings));
  } catch (thrown) {
    const failure = toFailure(thrown);
    const { message } = failure;
    stream.close({ kind: "failed", failure, message, errorEvent: encodePipedError(failure, message), seams: [] });
  }
}

/** What all clients are told, made once, so that each of them gets the same. */
function endOf(exchange: Exchange, run: Run, end: RunEnd, settings: RelaySettings): KeptEnd {
  if (end.kind === "won") {
    return { kind: "answered", result: end.result, outcome: outcomeOf(exchange, run, end.result), seams: run.seams };
  }
  const named = nameLimit(end.failure, settings, exchange);
  // Once its headers are sent it cannot be passed on.
  const failure = run.transcript.lastEvent === undefined ? named : withDetails(named, { reply: undefined });
  const characters = run.transcript.characters;
  const message = failureMessage(failure, { ...exchange, stats: { ...exchange.stats, characters } });
  const errorEvent = (exchange.api?.dialect.encodeError ?? encodePipedError)(failure, message, run.transcript);
  return { kind: "failed", failure, message, errorEvent, seams: run.seams };
}
