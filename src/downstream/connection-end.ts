/** How a client's connection ends: whole, cut so that it shows, or given up on when the client takes no more. */
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { breakConnection } from "./break-connection.ts";

/**
 * A client that takes not one more byte for this long gets no further: its connection would be held for ever. In milliseconds;
 * Node notices after once or twice this time.
 */
const STALLED_MS = 30_000;
/** The same for one that was too slow already: the error event is all that is left to send. */
const STALLED_AFTER_FAILURE_MS = 3_000;
/** How long a client may take to read the error event before the cut, in milliseconds. */
const READ_BEFORE_CUT_MS = 200;

/** The body is complete. */
export function endWhole(raw: ServerResponse, lastBytes?: Buffer): void {
  raw.end(lastBytes);
  giveUpStalled(raw);
}

/** More is to come, which a client that takes nothing would never get. */
export function giveUpStalled(raw: ServerResponse): void {
  giveUpAfter(raw, STALLED_MS);
}

/** The last bytes said that the body is not complete: ends it as if it were, or cuts it once they have left. */
export function endInterrupted(raw: ServerResponse, how: "clean" | "cut"): void {
  if (how === "clean") raw.end();
  // Only when the event has left: a connection destroyed earlier would take it along. And not at once then: Node drops what its
  // program has not read yet when the connection breaks, and a reset overtakes it.
  else raw.write("", () => setTimeout(() => cut(raw), READ_BEFORE_CUT_MS));
  giveUpAfter(raw, STALLED_AFTER_FAILURE_MS);
}

/** The client must see the body break. */
export function cut(raw: ServerResponse): void {
  if (needsReset(raw)) breakConnection(raw.socket);
  raw.destroy();
}

/**
 * Resolves when the connection has taken the last byte, or never will, or `signal` says that the exchange ends without.
 * @returns whether it was taken.
 */
export async function flushed(raw: ServerResponse, signal: AbortSignal): Promise<boolean> {
  if (!raw.writableFinished) await once(raw, "close", { signal }).catch(() => {});
  return raw.writableFinished;
}

/** To HTTP/1.0 without a length the end of the connection is the end of the body: only a reset can say that it is not. */
function needsReset(raw: ServerResponse): boolean {
  return raw.req.httpVersionMinor === 0;
}

/** Counts silence of the socket, not time: slow is allowed. */
function giveUpAfter(raw: ServerResponse, ms: number): void {
  const { socket } = raw;
  if (raw.writableFinished) return;
  if (socket === null) {
    // A pipelined request: its turn comes later, and only after the one before has put Node's own time in place of its.
    raw.once("socket", () => setImmediate(() => giveUpAfter(raw, ms)));
    return;
  }
  raw.setTimeout(ms, () => cut(raw));
  // Node puts its own time in place of ours, but not when the answer to a pipelined request comes next.
  raw.once("finish", () => {
    if (socket.timeout === ms) socket.setTimeout(0);
  });
}
