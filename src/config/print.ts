/** Prints a configuration as YAML that can be loaded again, with its secrets masked. */
import { stringify } from "yaml";
import type { RateLimits, RatePolicy } from "../balance/rate/rate-policy.ts";
import { policyOf } from "./rate-settings.ts";
import type { Config, UpstreamConfig } from "./schema.ts";
import { formatDuration, formatRate, formatSize } from "./units.ts";

// Of one length always, so that not even the length of a secret shows.
const MASK = "********";

export function printConfig(config: Config): string {
  const { timeouts, retry, heartbeat, limits, drain } = config;
  return stringify({
    host: config.host,
    port: config.port,
    workers: config.workers,
    upstreams: config.upstreams.map(printUpstream),
    timeouts: {
      connect: formatDuration(timeouts.connect),
      queue: formatDuration(timeouts.queue),
      firstToken: formatDuration(timeouts.firstToken),
      idle: formatDuration(timeouts.idle),
      alive: formatDuration(timeouts.alive),
      total: formatDuration(timeouts.total),
      unstreamed: formatDuration(timeouts.unstreamed),
      stream: timeouts.stream === false ? "off" : formatDuration(timeouts.stream),
      request: formatDuration(timeouts.request),
    },
    retry: {
      maxAttempts: retry.maxAttempts,
      outage: formatDuration(retry.outage),
      backoff: { ...retry.backoff, initial: formatDuration(retry.backoff.initial), max: formatDuration(retry.backoff.max) },
      budget: retry.budget,
      maxRetryAfter: formatDuration(retry.maxRetryAfter),
    },
    failover: config.failover,
    hedge: { ...config.hedge, after: printAfter(config.hedge.after) },
    ...(config.breaker === undefined ? {} : { breaker: printBreaker(config.breaker) }),
    health: { every: config.health.every === false ? "off" : formatDuration(config.health.every), path: config.health.path },
    heartbeat: heartbeat === false ? "off" : { after: formatDuration(heartbeat.after), every: formatDuration(heartbeat.every) },
    progress: config.progress,
    recovery: config.recovery,
    resume: config.resume,
    interruptEnd: config.interruptEnd,
    gate: printGate(config.gate),
    replay: printReplay(config.replay),
    store: printStore(config.store),
    record: config.record === false ? "off" : { ...config.record, maxFileBytes: formatSize(config.record.maxFileBytes) },
    warmup: printWarmUp(config.warmup),
    nonStreaming: config.nonStreaming,
    limits: {
      maxBodyBytes: formatSize(limits.maxBodyBytes),
      maxEventBytes: formatSize(limits.maxEventBytes),
      maxGateBytes: formatSize(limits.maxGateBytes),
      maxHeldBytes: formatSize(limits.maxHeldBytes),
      maxStreams: limits.maxStreams,
      maxClientConnections: limits.maxClientConnections,
    },
    auth: { keys: config.auth.keys.map((key) => printKey(key, config)), maxStreamsPerKey: config.auth.maxStreamsPerKey },
    open: config.open,
    cors: config.cors,
    tls: config.tls === false ? "off" : config.tls,
    drain: { timeout: formatDuration(drain.timeout) },
    log: config.log,
    metrics: config.metrics,
    dashboard: config.dashboard && (config.dashboard.text ? config.dashboard : true),
  } satisfies { [key in keyof Omit<Config, "breaker">]: unknown });
}

function printReplay(replay: Config["replay"]): unknown {
  if (replay === false) return "off";
  const { ttl, linger, maxStreamBytes, maxTotalBytes, joinRetries } = replay;
  return {
    ttl: formatDuration(ttl),
    linger: formatDuration(linger),
    maxStreamBytes: formatSize(maxStreamBytes),
    maxTotalBytes: formatSize(maxTotalBytes),
    joinRetries,
  };
}

function printStore(store: Config["store"]): unknown {
  if (store === false) return "memory";
  const url = new URL(store.url);
  if (url.password !== "") url.password = MASK;
  return { ...store, url: url.href };
}

function printAfter(after: Config["hedge"]["after"]): string {
  if (after === false) return "off";
  return after === "p95" ? after : formatDuration(after);
}

function printBreaker(breaker: Exclude<Config["breaker"], undefined>): unknown {
  if (breaker === false) return "off";
  return { ...breaker, window: formatDuration(breaker.window), rest: formatDuration(breaker.rest) };
}

/** What an upstream leaves to the settings for all is left out. */
function printUpstream({
  apiKey,
  apiKeys,
  maxConnections,
  keepAlive,
  timeouts,
  gate,
  health,
  warmup,
  recovery,
  resume,
  rate,
  ...rest
}: UpstreamConfig): object {
  const ownTimes = Object.entries(timeouts).flatMap(([key, ms]) =>
    ms === undefined ? [] : [[key, ms === false ? "off" : formatDuration(ms)]],
  );
  return {
    ...rest,
    ...(apiKey === undefined ? {} : { apiKey: MASK }),
    ...(apiKeys === undefined ? {} : { apiKeys: apiKeys.map(() => MASK) }),
    maxConnections: maxConnections ?? "unlimited",
    keepAlive: formatDuration(keepAlive),
    ...(ownTimes.length === 0 ? {} : { timeouts: Object.fromEntries(ownTimes) }),
    ...(recovery === undefined ? {} : { recovery }),
    ...(Object.values(resume).every((value) => value === undefined) ? {} : { resume }),
    ...(Object.values(gate).every((value) => value === undefined) ? {} : { gate: printGate(gate) }),
    ...(Object.values(health).every((value) => value === undefined) ? {} : { health: printOwnHealth(health) }),
    ...(warmup === undefined ? {} : { warmup: printWarmUp(warmup) }),
    ...(rate === undefined ? {} : { rate: printRate(policyOf(rate)) }),
  };
}

/** One that has no more than its text is printed as such. */
function printKey(key: string, { auth }: Config): unknown {
  const named = auth.named.find((each) => each.key === key);
  if (named === undefined) return MASK;
  const { name, rate, models, priority } = named;
  const only = models === undefined ? {} : { models };
  return { key: MASK, name, ...(rate === undefined ? {} : { rate: printRate(rate) }), ...only, priority };
}

function printRate({ waitMs, models, ...limits }: RatePolicy): object {
  const ofModels = Object.entries(models).map(([name, each]) => [name, printLimits(each)]);
  return {
    ...printLimits(limits),
    wait: formatDuration(waitMs),
    ...(ofModels.length === 0 ? {} : { models: Object.fromEntries(ofModels) }),
  };
}

function printLimits({ requests, tokens, concurrent }: RateLimits): object {
  return {
    ...(requests === undefined ? {} : { requests: formatRate(requests) }),
    ...(tokens === undefined ? {} : { tokens: formatRate(tokens) }),
    ...(concurrent === undefined ? {} : { concurrent }),
  };
}

function printOwnHealth({ every, path }: UpstreamConfig["health"]): object {
  return {
    ...(every === undefined ? {} : { every: every === false ? "off" : formatDuration(every) }),
    ...(path === undefined ? {} : { path }),
  };
}

function printGate({ open, toolCalls, holdFor, lag }: UpstreamConfig["gate"]): object {
  return {
    ...(open === undefined ? {} : { open }),
    ...(toolCalls === undefined ? {} : { toolCalls }),
    ...(holdFor === undefined ? {} : { holdFor: formatDuration(holdFor) }),
    ...(lag === undefined ? {} : { lag: lag === false ? "off" : formatDuration(lag) }),
  };
}

function printWarmUp(warmup: Config["warmup"]): unknown {
  return warmup === false ? "off" : { ...warmup, after: formatDuration(warmup.after) };
}
