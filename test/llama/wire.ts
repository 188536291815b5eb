/** The way to a server, which can be cut: the connection breaks, and the server does not. */
import { type AddressInfo, connect, createServer } from "node:net";

export interface Wire {
  readonly baseUrl: string;
  /** Cuts the next connection behind so many events of its answer. */
  cutNextAfter(events: number): void;
  close(): void;
}

export async function startWire(baseUrl: string): Promise<Wire> {
  const target = new URL(baseUrl);
  let limit = Number.POSITIVE_INFINITY;
  const server = createServer((client) => {
    const upstream = connect(Number(target.port), target.hostname);
    let events = 0;
    client.on("error", () => {}).on("close", () => upstream.destroy());
    upstream.on("error", () => {}).on("close", () => client.end());
    client.pipe(upstream, { end: false });
    upstream.on("data", (bytes) => {
      events += bytes.toString("latin1").split("data: ").length - 1;
      if (events <= limit) {
        client.write(bytes);
        return;
      }
      limit = Number.POSITIVE_INFINITY;
      client.destroy();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}${target.pathname}`,
    cutNextAfter(events) {
      limit = events;
    },
    close: () => server.close(),
  };
}
