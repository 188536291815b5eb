/** The proxy that agents are told to use for all hosts but this machine: it lets nothing out, and remembers who was asked for. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

export interface ClosedDoor {
  readonly url: string;
  /** Hosts that were asked for. */
  readonly asked: ReadonlySet<string>;
  close(): void;
}

export async function startClosedDoor(): Promise<ClosedDoor> {
  const asked = new Set<string>();
  const server = createServer((request, response) => {
    asked.add(request.headers.host ?? request.url ?? "");
    response.writeHead(403).end();
  });
  server.on("connect", (request, socket) => {
    asked.add(request.url ?? "");
    socket.on("error", () => {});
    socket.end("HTTP/1.1 403 Forbidden\r\n\r\n");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
