/** Wires the parts together: the only file that knows them all. */
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import type { Config } from "./config/schema.ts";
import { DIALECTS } from "./dialect/registry.ts";
import { createServer } from "./server/create-server.ts";
import { OpenExchanges } from "./server/open-exchanges.ts";
import { createExchangeLog } from "./telemetry/exchange-log.ts";
import { createUpstream } from "./upstream/upstream.ts";

export interface App {
  /** Where clients reach it, such as `http://127.0.0.1:8787`. */
  readonly url: string;
  /** The built-in sandbox upstream answers, since none is configured. */
  readonly isSandbox: boolean;
  /** Stops accepting, lets streams finish for `drain.timeout`, tells the rest why they end, and closes everything. */
  close(): Promise<void>;
}

/** How long the last bytes may take to leave once every exchange has ended, in milliseconds. */
const FLUSH_MS = 2_000;

/** @throws when the address cannot be listened on. */
export async function startApp(config: Config, logger: Logger): Promise<App> {
  const [configured] = config.upstreams;
  // Loaded only when it is needed: most users never do.
  const sandbox = configured === undefined ? (await import("./chaos/chaos-server.ts")).createChaosServer() : undefined;
  const baseUrl = configured?.baseUrl ?? (await sandbox?.listen(0, "127.0.0.1"))?.url ?? "";
  const upstream = createUpstream({
    name: configured?.name ?? "sandbox",
    baseUrl,
    apiKey: configured?.apiKey,
    dropCredentials: config.auth.keys.length > 0,
    requireDone: configured?.requireDone ?? false,
    maxConnections: configured?.maxConnections ?? 256,
    keepAliveMs: configured?.keepAlive ?? 30_000,
    connectTimeoutMs: config.timeouts.connect,
  });
  const observer = createExchangeLog(logger);
  const open = new OpenExchanges(config.limits.maxStreams);
  const server = createServer({
    dialects: DIALECTS,
    observer,
    open,
    keys: config.auth.keys,
    relay: {
      upstream,
      observer,
      timeouts: config.timeouts,
      retry: config.retry,
      limits: config.limits,
      response: { interruptEnd: config.interruptEnd, heartbeat: config.heartbeat },
    },
  });

  async function close(): Promise<void> {
    const closed = server.close();
    await open.drain(config.drain.timeout);
    server.server.closeIdleConnections();
    await Promise.race([closed, sleep(FLUSH_MS, undefined, { ref: false })]);
    server.server.closeAllConnections();
    await closed;
    await Promise.all([upstream.close(), sandbox?.close()]);
  }

  try {
    await server.listen({ host: config.host, port: config.port });
  } catch (error) {
    await close();
    throw error;
  }
  const { port } = server.server.address() as AddressInfo;
  const host = config.host.includes(":") ? `[${config.host}]` : config.host;
  return { url: `http://${host}:${port}`, isSandbox: sandbox !== undefined, close };
}
