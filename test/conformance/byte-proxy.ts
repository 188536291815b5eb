/** A proxy that passes bytes on and understands nothing: what the conformance test must be able to fail. */
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import type { CaseFraming, Setup } from "./cases.ts";
import type { Target } from "./targets.ts";

export async function startByteProxies(upstreams: Target): Promise<Target> {
  const urls = new Map<CaseFraming | Setup, string>();
  const servers = await Promise.all(
    [...upstreams.urls].map(async ([framing, upstream]) => {
      const server = createServer((incoming, outgoing) => {
        const { method, headers } = incoming;
        const asked = request(new URL(incoming.url ?? "/", upstream), { method, headers, agent: false }, (response) => {
          outgoing.writeHead(response.statusCode ?? 502, { "content-type": response.headers["content-type"] ?? "text/plain" });
          outgoing.flushHeaders();
          response.on("error", () => outgoing.destroy());
          response.pipe(outgoing);
        });
        asked.on("error", () => outgoing.destroy());
        outgoing.on("close", () => asked.destroy());
        incoming.pipe(asked);
      });
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      urls.set(framing, `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`);
      return server;
    }),
  );
  return {
    name: "byte proxy",
    urls,
    async stop() {
      for (const server of servers) {
        server.close();
        server.closeAllConnections();
      }
      return "";
    },
  };
}
