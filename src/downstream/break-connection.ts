/** The hard end of a connection: the other side sees it break, and cannot take it for the end of a body. */
import type { Socket } from "node:net";

export function breakConnection(socket: Socket | null): void {
  // TLS knows no reset: it is the TCP connection below that can be reset.
  const { _parent: below } = (socket ?? {}) as { _parent?: Socket | null };
  try {
    (below ?? socket)?.resetAndDestroy();
  } catch {
    // Neither TCP nor TLS (a pipe): destroy is all there is.
  }
  socket?.destroy();
}
