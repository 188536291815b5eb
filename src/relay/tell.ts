/** Gives a client what is still to be given, whatever that is. */
import type { ServerResponse } from "node:http";
import type { AttemptResult } from "../core/attempt-output.ts";
import type { Exchange } from "../core/exchange.ts";
import { type Failure, toFailure } from "../core/failure.ts";
import type { Outcome, ResumedBy } from "../core/outcome.ts";
import type { Transcript } from "../core/transcript.ts";
import type { ClientStream } from "../downstream/client-stream.ts";
import { cut } from "../downstream/connection-end.ts";
import type { Run } from "../run/run.ts";
import { deliver, type KeptFailure, respondWithFailure } from "./deliver.ts";

export interface Told {
  readonly outcome: Outcome;
  readonly failure: Failure | undefined;
  /** How its answer went on over each of its breaks. */
  readonly seams?: readonly ResumedBy[];
  /** Resolves when the run that it has started is over, whether or not its client has stayed; absent where that is so by now. */
  readonly runOver?: Promise<void>;
}

export function outcomeOf(exchange: Exchange, run: Run, result: AttemptResult): Outcome {
  if (run.seams.length > 0) return "resumed";
  const isRepaired = result.kind !== "piped" && result.repaired;
  return isRepaired ? "repaired" : hasFailed(exchange) ? "recovered" : "complete";
}

/** Before it was answered: what was merely slower than another did not. */
function hasFailed({ attempts }: Exchange): boolean {
  return attempts.some(({ failure }) => failure !== undefined);
}

/** Never throws: a defect on the way cuts the client off, who must not wait for ever. */
export function tellAnswer(
  exchange: Exchange,
  raw: ServerResponse,
  client: ClientStream,
  result: AttemptResult,
  given: Transcript,
): Told {
  try {
    deliver(exchange, raw, client, result);
    return { outcome: "complete", failure: undefined };
  } catch (thrown) {
    return tellFailure(exchange, raw, client, toFailure(thrown), given);
  }
}

/** Never throws, as {@link tellAnswer}. @param kept what all clients of an answer that is kept are told. */
export function tellFailure(
  exchange: Exchange,
  raw: ServerResponse,
  client: ClientStream,
  failure: Failure,
  given: Transcript,
  kept?: KeptFailure,
): Told {
  try {
    return { outcome: respondWithFailure(exchange, raw, client, failure, given, kept), failure };
  } catch (thrown) {
    const outcome = raw.headersSent ? "interrupted" : "failed";
    cut(raw);
    return { outcome, failure: toFailure(thrown) };
  }
}
