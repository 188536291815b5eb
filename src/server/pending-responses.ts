/** Answers that are on their way to slow clients: what a server that closes must not cut off, and must not cut off in silence. */
import type { Server, ServerResponse } from "node:http";
import { LinkedList } from "../core/linked-list.ts";
import { breakConnection } from "../downstream/break-connection.ts";

export interface PendingResponses {
  /** Ends what is left so that every client notices, also one to which the end of its connection is the end of the body. */
  breakOff(): void;
}

export function watchPendingResponses(server: Server): PendingResponses {
  const open = new LinkedList<ServerResponse>();
  const closeIdleConnections = server.closeIdleConnections.bind(server);
  // Node counts a connection as idle once `end()` was called, and would destroy it with all that its client has not taken yet.
  server.closeIdleConnections = () => {
    const ended = open.values().filter((response) => response.writableEnded && !response.writableFinished);
    for (const response of ended) setFinished(response, false);
    closeIdleConnections();
    for (const response of ended) setFinished(response, true);
  };
  server.on("request", (_request, response: ServerResponse) => {
    const place = open.add(response);
    response.once("close", () => place.remove());
  });
  return {
    breakOff() {
      for (const { socket } of open.values()) breakConnection(socket);
    },
  };
}

/** What Node looks at. Its own name for it is deprecated, and read-only to TypeScript alone. */
function setFinished(response: ServerResponse, finished: boolean): void {
  (response as { finished: boolean }).finished = finished;
}
