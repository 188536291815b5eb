/** Where requests go: connections to every upstream, each with its first question; to the sandbox where none is configured. */
import type { Logger } from "pino";
import { createUpstreamShared, type Share, type UpstreamPolicy, type UpstreamShared } from "../balance/candidate.ts";
import { HealthCheck } from "../balance/health-check.ts";
import type { Offer } from "../balance/offer.ts";
import { stateOf } from "../balance/upstream-state.ts";
import { WarmUp } from "../balance/warm-up.ts";
import { ConfigError } from "../config/config-error.ts";
import type { PemFiles } from "../config/pem-files.ts";
import { bareOf, dialectAt, routesOf, type Served, servesOf, uniteRoutes } from "../config/routes.ts";
import type { Config, UpstreamConfig } from "../config/schema.ts";
import { isSandboxed, servedUpstreams } from "../config/served-upstreams.ts";
import { resolveConnectTimeout, resolveHealth, resolvePolicy, resolveWarmUp } from "../config/upstream-policy.ts";
import type { Observer } from "../core/observer.ts";
import type { HealthState, NamedUpstreamState } from "../core/upstream-state.ts";
import { openAiChat } from "../dialect/openai-chat.ts";
import { readRequestPath } from "../server/request-path.ts";
import { createHealthLog } from "../telemetry/health-log.ts";
import { createWarmUpLog } from "../telemetry/warm-up-log.ts";
import { chooseProxy, type UpstreamProxy } from "../upstream/proxy.ts";
import { createUpstream, type Upstream, type UpstreamOptions } from "../upstream/upstream.ts";

export interface Backend {
  /** What it was made of. While a new configuration plans the same, its connections stay open. */
  readonly plan: readonly UpstreamPlan[];
  /** In the order of the configuration, which is that of preference. */
  readonly upstreams: readonly Upstream[];
  /** Where the built-in sandbox listens; undefined where it does not. */
  readonly sandboxUrl: string | undefined;
  /** In the same order. */
  readonly shared: readonly UpstreamShared[];
  /** What the first questions need to hear of. */
  readonly observers: readonly Observer[];
  /** The upstream at this place has answered its first question, where it is to be asked one, and is not known to be down. */
  isWarm(index: number): boolean;
  /** What the health checks of the upstream at this place have found; undefined where there are none, or none yet. */
  healthOf(index: number): HealthState | undefined;
  /** Asks no more first questions; requests go on. */
  stopWarmUps(): void;
  close(): Promise<void>;
}

/** All that an upstream's connections and its first question depend on. */
interface UpstreamPlan {
  readonly transport: Omit<UpstreamOptions, "proxy">;
  readonly served: Served;
  readonly warmup: Config["warmup"];
  readonly health: Config["health"];
}

export function planBackend(config: Config, { authorities }: PemFiles): readonly UpstreamPlan[] {
  const served = servedUpstreams(config);
  const owner = served.find(({ apiKey, apiKeys }) => (apiKey ?? apiKeys) === undefined);
  return served.map((upstream) => {
    const { name, baseUrl, apiKey = upstream.apiKeys?.[0], keyHeader, maxConnections, api, mount } = upstream;
    const transport = {
      name,
      baseUrl,
      apiKey,
      keyHeader,
      maxConnections,
      dropCredentials: config.auth.keys.length > 0,
      // A client's own credentials are meant for the first that has none of ours.
      isForeign: served.length > 1 && upstream !== owner && !upstream.clientKey,
      keepAliveMs: upstream.keepAlive,
      connectTimeoutMs: resolveConnectTimeout(config, upstream),
      ca: authorities.get(name),
    };
    return {
      transport,
      served: { api, mount },
      warmup: resolveWarmUp(config, upstream),
      health: resolveHealth(config, upstream),
    };
  });
}

/** @throws ConfigError when a proxy that the environment names cannot be used. */
export async function openBackend(config: Config, pem: PemFiles, logger: Logger): Promise<Backend> {
  const plan = planBackend(config, pem);
  // Loaded only when it is needed: most users never do.
  const sandbox = isSandboxed(config) ? (await import("../chaos/chaos-server.ts")).createChaosServer() : undefined;
  const address = await sandbox?.listen(0, "127.0.0.1");
  const proxies = plan.map(({ transport }) => (sandbox === undefined ? proxyOf(transport.baseUrl, logger) : undefined));
  const upstreams = plan.map(({ transport }, index) => {
    return createUpstream({ ...transport, baseUrl: address?.url ?? transport.baseUrl, proxy: proxies[index] });
  });
  const shared = plan.map(({ transport }) => createUpstreamShared(transport.maxConnections));
  const warmUps = servedUpstreams(config).map((served, index) =>
    createWarmUp(upstreams[index] as Upstream, resolvePolicy(config, served), plan[index], config, logger),
  );
  const questions = warmUps.filter((warmUp) => warmUp !== undefined);
  const checks = plan.map(({ health, transport }, index) => {
    if (health.every === false) return undefined;
    const tell = createHealthLog(logger, transport.name);
    return new HealthCheck({
      upstream: upstreams[index] as Upstream,
      outages: (shared[index] as UpstreamShared).outages,
      path: health.path,
      everyMs: health.every,
      timeoutMs: HEALTH_TIMEOUT_MS,
      onChange(failure) {
        tell(failure);
        if (failure !== undefined) warmUps[index]?.wentDown();
      },
    });
  });
  for (const warmUp of questions) warmUp.start();
  for (const check of checks) check?.start();
  const stopWarmUps = (): void => {
    for (const warmUp of questions) warmUp.close();
    for (const check of checks) check?.close();
  };
  return {
    plan,
    upstreams,
    sandboxUrl: address?.url,
    shared,
    observers: questions.map(({ observer }) => observer),
    isWarm: (index) => warmUps[index]?.isWarm !== false && checks[index]?.isUp !== false,
    healthOf: (index) => checks[index]?.state,
    stopWarmUps,
    async close() {
      stopWarmUps();
      await Promise.all([...upstreams.map((upstream) => upstream.close()), sandbox?.close()]);
    },
  };
}

/** Each open upstream with what the configuration has for it; the connections may be older than that. */
export function offersOf(config: Config, { upstreams, shared }: Pick<Backend, "upstreams" | "shared">): readonly Offer[] {
  const all = servedUpstreams(config);
  const { mount } = uniteRoutes(all);
  return all.flatMap((served, index) => {
    const upstream = upstreams[index] as Upstream;
    const common = shared[index] as UpstreamShared;
    const share = shareOf(served, index, all);
    const keys = keysOf(served);
    const offer = {
      upstream,
      shared: common,
      policy: resolvePolicy(config, served),
      share,
      serves: servesOf(served, mount),
      names: { map: served.models, only: served.only },
    };
    // Each key is a way of its own to ask it.
    const keyed = keys.map((key) => ({ ...offer, upstream: upstream.withKey(key), credential: common.credential(key) }));
    return keyed.length === 0
      ? [offer]
      : keyed.map((each) => ({ ...each, share: { ...share, weight: share.weight / keys.length } }));
  });
}

/** How things stand with each, in the order of the configuration. */
export function statesOf(config: Config, { shared, healthOf }: Backend): readonly NamedUpstreamState[] {
  return servedUpstreams(config).map((served, index) => ({
    name: served.name,
    ...stateOf(shared[index] as UpstreamShared, keysOf(served), healthOf(index)),
  }));
}

/** Those of ours that an upstream is asked with. */
function keysOf({ apiKey, apiKeys }: UpstreamConfig): readonly string[] {
  return apiKeys ?? (apiKey === undefined ? [] : [apiKey]);
}

/** Of every route some upstream can answer: one that is not warm yet does not matter where another is. */
export function isReady(config: Config, { isWarm }: Backend): boolean {
  const upstreams = servedUpstreams(config);
  const paths = (served: Served): string[] => routesOf(served).map(({ path }) => `${served.mount} ${path}`);
  const ready = new Set(upstreams.flatMap((served, index) => (isWarm(index) ? paths(served) : [])));
  return upstreams.every((served) => paths(served).every((path) => ready.has(path)));
}

/** The order of the list is that of preference, until one of its members says more. */
function shareOf({ priority, weight = 1 }: UpstreamConfig, index: number, all: readonly UpstreamConfig[]): Share {
  const isOrdered = all.every((each) => each.priority === undefined && each.weight === undefined);
  return { priority: priority ?? (isOrdered ? index : 0), weight };
}

/** @throws ConfigError */
function proxyOf(baseUrl: string, logger: Logger): UpstreamProxy | undefined {
  try {
    const proxy = chooseProxy(baseUrl, process.env);
    if (proxy !== undefined)
      logger.info({ proxy: proxy.url.host }, `the upstream is reached through a proxy (${proxy.variable})`);
    return proxy;
  } catch (error) {
    throw new ConfigError([(error as RangeError).message]);
  }
}

/** A server that is at work on an answer may take a while for this one, in milliseconds. */
const HEALTH_TIMEOUT_MS = 10_000;

/** Where the first question is asked when no path is set, as clients ask. */
const WARM_UP_PATH = "/v1/chat/completions";

/** Undefined where no first question is wanted. */
function createWarmUp(
  upstream: Upstream,
  policy: UpstreamPolicy,
  plan: UpstreamPlan | undefined,
  { limits }: Config,
  logger: Logger,
): WarmUp | undefined {
  if (plan === undefined || plan.warmup === false) return undefined;
  const { served, warmup } = plan;
  const path = warmup.path ?? WARM_UP_PATH;
  const target = readRequestPath(path, { mount: served.mount, bare: bareOf(served) });
  return new WarmUp({
    probe: {
      upstream,
      dialect: dialectAt(served, target.plain) ?? openAiChat,
      path: target.path + target.query,
      request: warmup.request,
      timeoutMs: policy.timeouts.total,
      maxBytes: limits.maxBodyBytes,
      requireDone: policy.requireDone,
      terminatorFinishes: policy.finish === "done",
    },
    idleMs: warmup.on === "idle" ? warmup.after : 0,
    ...createWarmUpLog(logger, upstream.name, path),
  });
}
