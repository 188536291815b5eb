/** Wires the parts together: the only file that knows them all. */
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { Server as SecureServer } from "node:tls";
import { isDeepStrictEqual } from "node:util";
import type { Logger } from "pino";
import { routesOf } from "./config/asked-paths.ts";
import { ConfigError } from "./config/config-error.ts";
import { type PemFiles, readPemFiles } from "./config/pem-files.ts";
import { changedSettings, refuseReload, settingsForRestart } from "./config/reload-rules.ts";
import type { Config } from "./config/schema.ts";
import { openAiChat } from "./dialect/openai-chat.ts";
import { CHATCHAT_ROUTES, OPENAI_ROUTES } from "./dialect/registry.ts";
import { WarmUp } from "./relay/warm-up.ts";
import { watchClientConnections } from "./server/client-connections.ts";
import { createKeyCheck } from "./server/client-keys.ts";
import { createServer, type ServerSettings } from "./server/create-server.ts";
import { type HttpLimits, setHttpLimits } from "./server/http-limits.ts";
import { OpenExchanges } from "./server/open-exchanges.ts";
import { readRequestPath } from "./server/request-path.ts";
import { watchUnfinishedAnswers } from "./server/unfinished-answers.ts";
import { combineObservers } from "./telemetry/combine-observers.ts";
import { createExchangeLog } from "./telemetry/exchange-log.ts";
import type { Metrics } from "./telemetry/metrics.ts";
import type { Traces } from "./telemetry/traces.ts";
import { createWarmUpLog } from "./telemetry/warm-up-log.ts";
import { chooseProxy, type UpstreamProxy } from "./upstream/proxy.ts";
import { createUpstream, type Upstream } from "./upstream/upstream.ts";

export interface App {
  /** Where clients reach it, such as `http://127.0.0.1:8787`. */
  readonly url: string;
  /** The built-in sandbox upstream answers, since none is configured. */
  readonly isSandbox: boolean;
  /**
   * New requests are served with this configuration; those that run keep the one they began with.
   * @throws ConfigError when it must not take the place of the old one, which then stays.
   */
  reload(config: Config): Promise<Reloaded>;
  /** Stops accepting, lets streams finish for `drain.timeout`, tells the rest why they end, and closes everything. */
  close(): Promise<void>;
}

/** What a new configuration changed, as names of settings at the top level. */
export interface Reloaded {
  readonly changed: readonly string[];
  /** Settings that differ from those the program was started with, and have no effect until the next start. */
  readonly needsRestart: readonly string[];
}

/** How long the last bytes may take to leave once every exchange has ended, in milliseconds. */
const FLUSH_MS = 2_000;
const TOO_MANY_CONNECTIONS = "connections from clients were closed: there are as many as limits.maxClientConnections allows";
/** How often connections are looked for that have become idle in that time, in milliseconds. */
const SWEEP_MS = 50;

function httpLimitsOf({ timeouts, limits }: Config): HttpLimits {
  return { requestMs: timeouts.request, maxConnections: limits.maxClientConnections };
}

/** @throws when the address cannot be listened on. */
export async function startApp(started: Config, logger: Logger): Promise<App> {
  const open = new OpenExchanges(started.limits.maxStreams, started.auth.maxStreamsPerKey);
  let pem = readPemFiles(started);
  const exchangeLog = createExchangeLog(logger);
  const traces = await startTraces(logger);
  let metrics: Metrics | undefined;
  let config = started;
  let backend = await openBackend(started, pem, logger);
  let settings = await createSettings(started, backend);
  /** Pools of earlier configurations, on their way out. */
  const retiring = new Set<Promise<void>>();
  let lastReload: Promise<unknown> = Promise.resolve();
  const server = createServer({ open, tls: pem.tls, current: () => settings });
  const answers = watchUnfinishedAnswers(server.server);
  setHttpLimits(server.server, httpLimitsOf(started));
  watchClientConnections(server.server, (closed) => logger.warn(closed, TOO_MANY_CONNECTIONS));

  async function createSettings(config: Config, { upstream, warmUp }: Backend): Promise<ServerSettings> {
    const { timeouts, retry, limits, interruptEnd, heartbeat, gate, nonStreaming } = config;
    if (config.metrics.enabled) metrics ??= await startMetrics(open);
    const measured = config.metrics.enabled ? metrics : undefined;
    const [configured] = config.upstreams;
    return {
      mount: configured?.mount ?? "/v1",
      basePath: new URL(configured?.baseUrl ?? "http://sandbox/v1").pathname,
      routes: new Map(routesOf(configured).map(({ path, dialect }) => [path, dialect])),
      keyOf: createKeyCheck(config.auth.keys),
      localOnly: config.auth.keys.length === 0 && !config.open,
      corsOrigins: config.cors.origins,
      isWarm: () => warmUp?.isWarm ?? true,
      metrics: measured && { read: measured.read, public: config.metrics.public },
      relay: {
        upstream,
        observer: combineObservers([exchangeLog, measured?.observer, traces?.observer, warmUp?.observer]),
        timeouts,
        retry,
        limits,
        gate,
        nonStreaming,
        emptyFallback: configured?.emptyFallback ?? "last",
        response: { interruptEnd, heartbeat },
      },
    };
  }

  async function apply(next: Config): Promise<Reloaded> {
    if (open.draining) throw new ConfigError(["Perennial is shutting down"]);
    refuseReload(started.host, config, next);
    const nextPem = readPemFiles(next);
    const kept = isDeepStrictEqual(backendOf(config, pem), backendOf(next, nextPem));
    const nextBackend = kept ? backend : await openBackend(next, nextPem, logger);
    settings = await createSettings(next, nextBackend);
    open.max = next.limits.maxStreams;
    open.maxPerKey = next.auth.maxStreamsPerKey;
    setHttpLimits(server.server, httpLimitsOf(next));
    const renewed = !isDeepStrictEqual(pem, nextPem);
    if (server.server instanceof SecureServer && nextPem.tls !== undefined) server.server.setSecureContext(nextPem.tls);
    if (next.log.level !== config.log.level) logger.level = next.log.level;
    if (!kept) retire(backend);
    const reloaded = {
      changed: [...changedSettings(config, next), ...(renewed ? ["certificates"] : [])],
      needsRestart: settingsForRestart(started, next),
    };
    backend = nextBackend;
    pem = nextPem;
    config = next;
    return reloaded;
  }

  /** Closed only after the last exchange that may still use it; but nobody needs it warm any more. */
  function retire(old: Backend): void {
    old.warmUp?.close();
    const closing = open.settled().then(() => old.close());
    retiring.add(closing);
    void closing.finally(() => retiring.delete(closing));
  }

  function reload(next: Config): Promise<Reloaded> {
    // One after the other: two signals at once must not open two backends and forget one.
    const turn = lastReload.then(() => apply(next));
    lastReload = turn.catch(() => {});
    return turn;
  }

  async function close(): Promise<void> {
    const closed = server.close();
    backend.warmUp?.close();
    await open.drain(started.drain.timeout);
    server.server.closeIdleConnections();
    const sweep = setInterval(() => server.server.closeIdleConnections(), SWEEP_MS);
    await Promise.race([closed, sleep(FLUSH_MS, undefined, { ref: false })]);
    clearInterval(sweep);
    answers.breakOff();
    server.server.closeAllConnections();
    await closed;
    await lastReload;
    await Promise.all([backend.close(), ...retiring]);
    // A collector that does not answer must not keep the program from ending.
    await Promise.race([traces?.close(), sleep(FLUSH_MS, undefined, { ref: false })]);
  }

  try {
    await server.listen({ host: started.host, port: started.port });
  } catch (error) {
    await close();
    throw error;
  }
  const { port } = server.server.address() as AddressInfo;
  const scheme = started.tls === false ? "http" : "https";
  return { url: `${scheme}://${reachable(started.host)}:${port}`, isSandbox: started.upstreams.length === 0, reload, close };
}

/** An address that a client can use: the wildcards are for listening only. */
function reachable(host: string): string {
  if (host === "0.0.0.0") return "127.0.0.1";
  if (host === "::") return "[::1]";
  return host.includes(":") ? `[${host}]` : host;
}

/** Where requests go: an upstream, and the sandbox behind it where none is configured. */
interface Backend {
  readonly upstream: Upstream;
  readonly warmUp: WarmUp | undefined;
  close(): Promise<void>;
}

async function openBackend(config: Config, { ca }: PemFiles, logger: Logger): Promise<Backend> {
  const [configured] = config.upstreams;
  const proxy = configured && proxyOf(configured.baseUrl);
  if (proxy !== undefined) logger.info({ proxy: proxy.url.host }, `the upstream is reached through a proxy (${proxy.variable})`);
  // Loaded only when it is needed: most users never do.
  const sandbox = configured === undefined ? (await import("./chaos/chaos-server.ts")).createChaosServer() : undefined;
  const baseUrl = configured?.baseUrl ?? (await sandbox?.listen(0, "127.0.0.1"))?.url ?? "";
  const upstream = createUpstream({
    name: configured?.name ?? "sandbox",
    baseUrl,
    apiKey: configured?.apiKey,
    keyHeader: configured?.keyHeader ?? "authorization",
    dropCredentials: config.auth.keys.length > 0,
    requireDone: configured?.requireDone ?? false,
    maxConnections: configured?.maxConnections ?? 256,
    keepAliveMs: configured?.keepAlive ?? 30_000,
    connectTimeoutMs: config.timeouts.connect,
    ca,
    proxy,
  });
  const warmUp = createWarmUp(config, upstream, logger);
  warmUp?.start();
  return {
    upstream,
    warmUp,
    async close() {
      warmUp?.close();
      await Promise.all([upstream.close(), sandbox?.close()]);
    },
  };
}

/** @throws ConfigError */
function proxyOf(baseUrl: string): UpstreamProxy | undefined {
  try {
    return chooseProxy(baseUrl, process.env);
  } catch (error) {
    throw new ConfigError([(error as RangeError).message]);
  }
}

/** Where the first question is asked when nobody says otherwise, as clients ask. */
const WARM_UP_PATH = "/v1/chat/completions";

function createWarmUp({ warmup, timeouts, limits, upstreams }: Config, upstream: Upstream, logger: Logger): WarmUp | undefined {
  if (warmup === false) return undefined;
  const [configured] = upstreams;
  const path = warmup.path ?? WARM_UP_PATH;
  const target = readRequestPath(path, configured?.mount ?? "/v1").plain;
  return new WarmUp({
    upstream,
    dialect: routesOf(configured).find((route) => route.path === target)?.dialect ?? openAiChat,
    path: target,
    request: warmup.request,
    idleMs: warmup.on === "idle" ? warmup.after : 0,
    timeoutMs: timeouts.total,
    maxBytes: limits.maxBodyBytes,
    ...createWarmUpLog(logger, upstream.name, path),
  });
}

/** All that a backend is made of: while it stays the same, so do its open connections. */
function backendOf({ upstreams, auth, timeouts, warmup }: Config, { ca }: PemFiles): unknown {
  return { upstreams, hasKeys: auth.keys.length > 0, connect: timeouts.connect, warmup, ca };
}

async function startMetrics(open: OpenExchanges): Promise<Metrics> {
  const { createMetrics } = await import("./telemetry/metrics.ts");
  return createMetrics({
    dialects: [...OPENAI_ROUTES, ...CHATCHAT_ROUTES].map(({ dialect }) => dialect.name),
    countOpen: () => open.size,
    countHeldBytes: () => open.heldBytes,
  });
}

/** The standard variables of OpenTelemetry turn it on; without them its SDK is not even loaded. */
async function startTraces(logger: Logger): Promise<Traces | undefined> {
  const { OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, OTEL_SDK_DISABLED } = process.env;
  if (!(OTEL_EXPORTER_OTLP_ENDPOINT || OTEL_EXPORTER_OTLP_TRACES_ENDPOINT) || OTEL_SDK_DISABLED === "true") return undefined;
  const { createTraces } = await import("./telemetry/traces.ts");
  return createTraces(() => logger.warn("traces cannot be sent; check OTEL_EXPORTER_OTLP_ENDPOINT and its collector"));
}
