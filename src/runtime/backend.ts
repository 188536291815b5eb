/** Where requests go: connections to every upstream, each with its first question; to the sandbox where none is configured. */
import type { Logger } from "pino";
import { type Candidate, createUpstreamShared, type UpstreamShared } from "../balance/candidate.ts";
import { WarmUp } from "../balance/warm-up.ts";
import { ConfigError } from "../config/config-error.ts";
import type { PemFiles } from "../config/pem-files.ts";
import { bareOf, dialectAt, type Served } from "../config/routes.ts";
import type { Config, UpstreamConfig } from "../config/schema.ts";
import { isSandboxed, servedUpstreams } from "../config/served-upstreams.ts";
import { resolveConnectTimeout, resolvePolicy, resolveWarmUp } from "../config/upstream-policy.ts";
import type { Observer } from "../core/observer.ts";
import { openAiChat } from "../dialect/openai-chat.ts";
import { readRequestPath } from "../server/request-path.ts";
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
  /** Every upstream that is to answer a first question has done so. */
  isWarm(): boolean;
  /** Asks no more first questions; requests go on. */
  stopWarmUps(): void;
  close(): Promise<void>;
}

/** All that an upstream's connections and its first question depend on. */
interface UpstreamPlan {
  readonly transport: Omit<UpstreamOptions, "proxy">;
  readonly served: Served;
  readonly warmup: Config["warmup"];
}

export function planBackend(config: Config, { authorities }: PemFiles): readonly UpstreamPlan[] {
  return servedUpstreams(config).map((upstream) => {
    const { name, baseUrl, apiKey, keyHeader, maxConnections, api, mount } = upstream;
    const transport = {
      name,
      baseUrl,
      apiKey,
      keyHeader,
      maxConnections,
      dropCredentials: config.auth.keys.length > 0,
      keepAliveMs: upstream.keepAlive,
      connectTimeoutMs: resolveConnectTimeout(config, upstream),
      ca: authorities.get(name),
    };
    return { transport, served: { api, mount }, warmup: resolveWarmUp(config, upstream) };
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
  const warmUps = candidatesOf(config, { upstreams, shared }).flatMap((candidate, index) =>
    createWarmUp(candidate, plan[index], config, logger),
  );
  for (const warmUp of warmUps) warmUp.start();
  const stopWarmUps = (): void => {
    for (const warmUp of warmUps) warmUp.close();
  };
  return {
    plan,
    upstreams,
    sandboxUrl: address?.url,
    shared,
    observers: warmUps.map(({ observer }) => observer),
    isWarm: () => warmUps.every(({ isWarm }) => isWarm),
    stopWarmUps,
    async close() {
      stopWarmUps();
      await Promise.all([...upstreams.map((upstream) => upstream.close()), sandbox?.close()]);
    },
  };
}

/** Each open upstream with the policy that the configuration has for it; the connections may be older than that. */
export function candidatesOf(
  config: Config,
  { upstreams, shared }: Pick<Backend, "upstreams" | "shared">,
): readonly [Candidate, ...Candidate[]] {
  const [first, ...others] = servedUpstreams(config);
  const candidate = (served: UpstreamConfig, index: number): Candidate => {
    return {
      upstream: upstreams[index] as Upstream,
      shared: shared[index] as UpstreamShared,
      policy: resolvePolicy(config, served),
      model: undefined,
    };
  };
  return [candidate(first, 0), ...others.map((served, index) => candidate(served, index + 1))];
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

/** Where the first question is asked when no path is set, as clients ask. */
const WARM_UP_PATH = "/v1/chat/completions";

/** @returns a list of one, or of none where no first question is wanted. */
function createWarmUp(candidate: Candidate, plan: UpstreamPlan | undefined, { limits }: Config, logger: Logger): WarmUp[] {
  if (plan === undefined || plan.warmup === false) return [];
  const { upstream, policy } = candidate;
  const { served, warmup } = plan;
  const path = warmup.path ?? WARM_UP_PATH;
  const target = readRequestPath(path, { mount: served.mount, bare: bareOf(served) });
  return [
    new WarmUp({
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
    }),
  ];
}
