/** The clients' connections: when there are too many, those that say nothing make room for those that might. */
import type { Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";

export interface CrowdedOut {
  /** Connections that were closed as they came, since each of the others had a request. */
  refused: number;
  /** Connections without a request that were closed to make room. */
  silent: number;
}

/** How often it is told that connections were closed, in milliseconds; the first time at once. */
const TELL_EVERY_MS = 60_000;

/**
 * Keeps `server` at its `maxConnections` but one, which is for the newcomer: see setHttpLimits. A connection is silent while no request of it
 * is answered; the one that has been silent for longest goes first, so that opening connections alone keeps no client out.
 * @param onCrowded what was closed since it was told last.
 */
export function watchClientConnections(server: Server, onCrowded: (closed: CrowdedOut) => void): void {
  /** In the order in which they fell silent. */
  const silent = new Set<Socket>();
  /** Requests that are being answered, by their connection; several where they are pipelined. */
  const busy = new Map<Socket, number>();
  const tell = createTally(onCrowded);

  server.on("connection", (newcomer: Socket) => {
    silent.add(newcomer);
    newcomer.once("close", () => {
      silent.delete(newcomer);
      busy.delete(newcomer);
    });
    if (silent.size + busy.size < server.maxConnections) return;
    // Where no other is silent it is the newcomer itself.
    const [oldest = newcomer] = silent;
    tell(oldest === newcomer ? "refused" : "silent");
    silent.delete(oldest);
    oldest.destroy();
  });
  // Node's own bound, should it ever be reached.
  server.on("drop", () => tell("refused"));

  server.on("request", ({ socket }, response: ServerResponse) => {
    const connection = below(socket);
    silent.delete(connection);
    busy.set(connection, (busy.get(connection) ?? 0) + 1);
    response.once("close", () => {
      const left = (busy.get(connection) ?? 0) - 1;
      if (left > 0) busy.set(connection, left);
      else if (busy.delete(connection) && !connection.destroyed) silent.add(connection);
    });
  });
}

/** Under TLS a request comes over a socket inside the one that was accepted. */
function below(socket: Socket): Socket {
  return (socket as Socket & { _parent?: Socket | null })._parent ?? socket;
}

function createTally(onCrowded: (closed: CrowdedOut) => void): (which: keyof CrowdedOut) => void {
  let closed: CrowdedOut = { refused: 0, silent: 0 };
  let timer: NodeJS.Timeout | undefined;
  const report = (): void => {
    timer = undefined;
    if (closed.refused + closed.silent === 0) return;
    timer = setTimeout(report, TELL_EVERY_MS).unref();
    onCrowded(closed);
    closed = { refused: 0, silent: 0 };
  };
  return (which) => {
    closed[which]++;
    if (timer === undefined) report();
  };
}
