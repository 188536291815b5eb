/** The HTTP server on its address: its start, new limits and certificates, and an end that cuts no response off in silence. */
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { Server as SecureServer } from "node:tls";
import type { Logger } from "pino";
import type { Config } from "../config/schema.ts";
import { toClientHost } from "../core/client-host.ts";
import { watchClientConnections } from "../server/client-connections.ts";
import { createServer } from "../server/create-server.ts";
import { type HttpLimits, setHttpLimits } from "../server/http-limits.ts";
import { watchPendingResponses } from "../server/pending-responses.ts";
import type { Runtime } from "./runtime.ts";

export interface Listener {
  /**
   * @returns where clients reach it, such as `http://127.0.0.1:8787`.
   * @throws when the address cannot be listened on.
   */
  listen(): Promise<string>;
  /** Takes over the limits and the certificate that are in force now. */
  update(): void;
  /** Stops accepting, waits for the drain and for what clients have not taken yet, and closes every connection. */
  close(): Promise<void>;
}

/**
 * Connections that wait to be accepted: a crowd that comes at once is not turned away, nor made to try again a second later, as with Node's
 * 511. The system may allow fewer (Linux: `net.core.somaxconn`, 4,096).
 */
const BACKLOG = 4_096;
/** How long the last bytes may take to leave once every exchange has ended, in milliseconds. */
const FLUSH_MS = 2_000;
/** How often connections are looked for that have become idle in that time, in milliseconds. */
const SWEEP_MS = 50;
const TOO_MANY_CONNECTIONS = "connections from clients were closed: there are as many as limits.maxClientConnections allows";

export function createListener({ open, current, drain }: Runtime, logger: Logger): Listener {
  const { config: started, pem } = current();
  const app = createServer({ open, tls: pem.tls, current: () => current().settings });
  const { server } = app;
  const answers = watchPendingResponses(server);
  setHttpLimits(server, httpLimitsOf(started));
  watchClientConnections(server, {
    onCrowded: (closed) => logger.warn(closed, TOO_MANY_CONNECTIONS),
    onFirstRequest: (waitedMs) => current().settings.context.observer.onFirstRequest?.(waitedMs),
  });
  return {
    async listen() {
      await app.listen({ host: started.host, port: started.port, backlog: BACKLOG });
      const { port } = server.address() as AddressInfo;
      return `${started.tls === false ? "http" : "https"}://${toClientHost(started.host)}:${port}`;
    },
    update() {
      const { config, pem } = current();
      setHttpLimits(server, httpLimitsOf(config));
      if (server instanceof SecureServer && pem.tls !== undefined) server.setSecureContext(pem.tls);
    },
    async close() {
      const closed = app.close();
      await drain();
      server.closeIdleConnections();
      const sweep = setInterval(() => server.closeIdleConnections(), SWEEP_MS);
      await Promise.race([closed, sleep(FLUSH_MS, undefined, { ref: false })]);
      clearInterval(sweep);
      answers.breakOff();
      server.closeAllConnections();
      await closed;
    },
  };
}

function httpLimitsOf({ timeouts, limits }: Config): HttpLimits {
  return { requestMs: timeouts.request, maxConnections: limits.maxClientConnections };
}
