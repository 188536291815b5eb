/** Prints a configuration as YAML that can be loaded again, with its secrets masked. */
import { stringify } from "yaml";
import type { Config } from "./schema.ts";
import { formatDuration, formatSize } from "./units.ts";

// Of one length always, so that not even the length of a secret shows.
const MASK = "********";

export function printConfig(config: Config): string {
  const { timeouts, retry, heartbeat, limits, drain } = config;
  return stringify({
    host: config.host,
    port: config.port,
    upstreams: config.upstreams.map(({ apiKey, keepAlive, ...rest }) => ({
      ...rest,
      ...(apiKey === undefined ? {} : { apiKey: MASK }),
      keepAlive: formatDuration(keepAlive),
    })),
    timeouts: {
      connect: formatDuration(timeouts.connect),
      firstToken: formatDuration(timeouts.firstToken),
      idle: formatDuration(timeouts.idle),
      total: formatDuration(timeouts.total),
      request: formatDuration(timeouts.request),
    },
    retry: {
      maxAttempts: retry.maxAttempts,
      backoff: { ...retry.backoff, initial: formatDuration(retry.backoff.initial), max: formatDuration(retry.backoff.max) },
      maxRetryAfter: formatDuration(retry.maxRetryAfter),
    },
    heartbeat: heartbeat === false ? "off" : { after: formatDuration(heartbeat.after), every: formatDuration(heartbeat.every) },
    recovery: config.recovery,
    interruptEnd: config.interruptEnd,
    gate: config.gate,
    warmup: config.warmup === false ? "off" : { ...config.warmup, after: formatDuration(config.warmup.after) },
    nonStreaming: config.nonStreaming,
    limits: {
      maxBodyBytes: formatSize(limits.maxBodyBytes),
      maxEventBytes: formatSize(limits.maxEventBytes),
      maxGateBytes: formatSize(limits.maxGateBytes),
      maxStreams: limits.maxStreams,
      maxClientConnections: limits.maxClientConnections,
    },
    auth: { keys: config.auth.keys.map(() => MASK), maxStreamsPerKey: config.auth.maxStreamsPerKey },
    open: config.open,
    cors: config.cors,
    tls: config.tls === false ? "off" : config.tls,
    drain: { timeout: formatDuration(drain.timeout) },
    log: config.log,
    metrics: config.metrics,
  } satisfies { [key in keyof Config]: unknown });
}
