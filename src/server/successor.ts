/** Goes on with answers of other replicas, as exchanges without a client: they count, and end, as all others do. */
import { randomUUID } from "node:crypto";
import { type Failure, toFailure } from "../core/failure.ts";
import { encodePipedError } from "../dialect/piped-error-event.ts";
import { continueKept } from "../relay/continue-kept.ts";
import type { KeptStream } from "../run/kept-stream.ts";
import type { Place, Successor, TakenOver } from "../run/takeover.ts";
import { NO_KEY_NEEDED } from "./client-keys.ts";
import type { ServerSettings } from "./create-server.ts";
import { createExchange } from "./exchange-factory.ts";
import type { OpenExchanges, Slot } from "./open-exchanges.ts";
import { readRequestPath } from "./request-path.ts";

export function createSuccessor(open: OpenExchanges, current: () => ServerSettings): Successor {
  return async (): Promise<Place | undefined> => {
    const slot = await admit(open);
    const { replay } = current().relay;
    if (slot === undefined || replay === undefined) {
      slot?.release();
      return undefined;
    }
    return {
      keep: replay,
      release: () => slot.release(),
      begin(taken) {
        const { stream } = taken;
        // A reload since may have closed what was in force when the place was taken.
        const { relay, context } = current();
        try {
          const exchange = exchangeOf(taken);
          slot.hold({ abort: (failure) => stream.giveUp(failure) }, continueKept(exchange, taken, relay, context));
        } catch (thrown) {
          slot.release();
          refuse(stream, toFailure(thrown));
        }
      },
    };
  };
}

/** Its client has passed its own limits where it came. */
async function admit(open: OpenExchanges): Promise<Slot | undefined> {
  try {
    return await open.admit(NO_KEY_NEEDED);
  } catch {
    return undefined;
  }
}

/** @throws Failure for what no client could have asked: whoever can write to the store is not trusted with more. */
function exchangeOf({ stream, request }: TakenOver) {
  readRequestPath(request.path, { mount: "/" });
  return createExchange({
    id: randomUUID(),
    arrivedAt: performance.now(),
    dialect: undefined,
    api: stream.api,
    request: { ...request, body: Buffer.from(request.body) },
  });
}

/** Those that read it must not wait for ever. */
function refuse(stream: KeptStream, failure: Failure): void {
  const { message } = failure;
  const errorEvent = (stream.api.dialect.encodeError ?? encodePipedError)(failure, message, NOTHING);
  stream.close({ kind: "failed", failure, message, errorEvent, seams: [] });
}

const NOTHING = { characters: 0, lastEvent: undefined, record: undefined };
