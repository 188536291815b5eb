/** An answer that another replica has begun and cannot end: made to its end here, for clients that read it where it is kept. */
import type { Exchange } from "../core/exchange.ts";
import type { Outcome } from "../core/outcome.ts";
import type { KeptEnd } from "../run/kept-answer.ts";
import type { KeptStream } from "../run/kept-stream.ts";
import type { TakenOver } from "../run/takeover.ts";
import { makeKept } from "./make-kept.ts";
import { narrowSettings, type RelaySettings } from "./relay-settings.ts";
import type { RelayContext } from "./start-run.ts";

/** Never throws. @param exchange has no client of its own. */
export async function continueKept(
  exchange: Exchange,
  taken: TakenOver,
  configured: RelaySettings,
  context: RelayContext,
): Promise<void> {
  const { stream, request } = taken;
  const { observer, held } = context;
  const body = held.open({ evict: (failure) => stream.giveUp(failure) });
  body.set(Buffer.byteLength(request.body));
  exchange.kept = { stream: stream.id, way: undefined, takenOver: true };
  observer.onExchangeStart?.(exchange);
  await makeKept(exchange, stream, { settings: narrowSettings(configured, exchange), context }, taken);
  body.release();
  const { end } = stream;
  const failure = end?.kind === "failed" ? end.failure : undefined;
  const outcome = outcomeOf(stream, end);
  observer.onExchangeEnd?.(exchange, {
    outcome,
    failure: outcome === "cancelled" ? undefined : failure?.code,
    status: undefined,
    durationMs: Math.round(performance.now() - exchange.arrivedAt),
    seams: end?.seams ?? [],
    seam: failure?.seam,
    defect: failure?.code === "internal_error" ? failure.cause : undefined,
  });
}

/** Of clients that came to it unhurt: the attempt of the replica that has gone has failed. */
function outcomeOf(stream: KeptStream, end: KeptEnd | undefined): Outcome {
  if (end?.kind === "answered") return end.outcome === "complete" ? "recovered" : end.outcome;
  if (end?.failure.code === "client_gone") return "cancelled";
  return stream.isBegun ? "interrupted" : "failed";
}
