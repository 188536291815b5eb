/** Makes an answer that is kept, and its end: once, so that each of its clients is told the same. */
import type { Exchange } from "../core/exchange.ts";
import { toFailure, withDetails } from "../core/failure.ts";
import { encodePipedError } from "../dialect/piped-error-event.ts";
import type { KeptEnd } from "../run/kept-answer.ts";
import type { KeptStream } from "../run/kept-stream.ts";
import type { Run, RunEnd } from "../run/run.ts";
import type { TakenOver } from "../run/takeover.ts";
import { failureMessage } from "./failure-message.ts";
import { nameLimit, type RelaySettings } from "./relay-settings.ts";
import { type RelayContext, startRun } from "./start-run.ts";
import { outcomeOf } from "./tell.ts";

/** Never rejects. @param taken what was made of it before, by a replica that has gone. */
export async function makeKept(
  exchange: Exchange,
  stream: KeptStream,
  { settings, context }: { readonly settings: RelaySettings; readonly context: RelayContext },
  taken?: TakenOver,
): Promise<void> {
  try {
    const run = startRun(exchange, settings, context, { stream, taken });
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
