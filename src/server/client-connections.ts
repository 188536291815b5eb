/** The clients' connections: when there are too many, those that say nothing make room for those that might. */
import type { Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { type Link, LinkedList } from "../core/linked-list.ts";

export interface CrowdedOut {
  /** Connections that were closed as they came, since each of the others had a request. */
  refused: number;
  /** Connections without a request that were closed to make room. */
  silent: number;
}

export interface ConnectionsObserver {
  /** @param closed what was closed since it was told last. */
  onCrowded(closed: CrowdedOut): void;
  /** @param waitedMs from accepting a connection to the head of its first request, in milliseconds. */
  onFirstRequest(waitedMs: number): void;
}

/** How often it is told that connections were closed, in milliseconds; the first time at once. */
const TELL_EVERY_MS = 60_000;

/**
 * Keeps `server` at its `maxConnections` but one, which is for the newcomer: see setHttpLimits. A connection is silent while no request of it
 * is answered; the one that has been silent for longest goes first, so that opening connections alone keeps no client out.
 */
export function watchClientConnections(server: Server, observer: ConnectionsObserver): void {
  /** In the order in which they fell silent. */
  const silent = new LinkedList<Socket>();
  const connections = new WeakMap<Socket, Connection>();
  let busy = 0;
  const tell = createTally(observer.onCrowded);

  server.on("connection", (newcomer: Socket) => {
    const connection: Connection = { requests: 0, silence: silent.add(newcomer), acceptedAt: performance.now() };
    connections.set(newcomer, connection);
    newcomer.once("close", () => {
      connection.silence?.remove();
      if (connection.requests > 0) busy--;
      connections.delete(newcomer);
    });
    if (silent.size + busy < server.maxConnections) return;
    // Where no other is silent it is the newcomer itself.
    const { first: oldest = newcomer } = silent;
    tell(oldest === newcomer ? "refused" : "silent");
    connections.get(oldest)?.silence?.remove();
    oldest.destroy();
  });
  // Node's own bound, should it ever be reached.
  server.on("drop", () => tell("refused"));

  server.on("request", ({ socket }, response: ServerResponse) => {
    const accepted = below(socket);
    const connection = connections.get(accepted);
    if (connection === undefined) return;
    connection.silence?.remove();
    if (connection.acceptedAt !== undefined) observer.onFirstRequest(performance.now() - connection.acceptedAt);
    connection.acceptedAt = undefined;
    if (connection.requests++ === 0) busy++;
    response.once("close", () => {
      // A connection that has closed is counted no more.
      if (!connections.has(accepted) || --connection.requests > 0) return;
      busy--;
      if (!accepted.destroyed) connection.silence = silent.add(accepted);
    });
  });
}

interface Connection {
  /** That are being answered; several where they are pipelined. */
  requests: number;
  /** Its place among the silent, while it is one. */
  silence: Link | undefined;
  /** On the clock of `performance.now()`; undefined once it has brought a request. */
  acceptedAt: number | undefined;
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
