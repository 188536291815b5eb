/** What holds for each upstream: its own settings, which its profile has preset, over those for all. */
import type { BreakerPolicy } from "../balance/breaker.ts";
import type { UpstreamPolicy } from "../balance/candidate.ts";
import { unstreamedAfter } from "./policy-settings.ts";
import { continuationOf } from "./profiles.ts";
import type { Config, UpstreamConfig } from "./schema.ts";

export function resolvePolicy(config: Config, upstream: UpstreamConfig): UpstreamPolicy {
  const { timeouts, gate, nonStreaming } = upstream;
  return {
    timeouts: {
      queue: timeouts.queue ?? config.timeouts.queue,
      firstToken: timeouts.firstToken ?? config.timeouts.firstToken,
      idle: timeouts.idle ?? config.timeouts.idle,
      // What may be silent for so long may be as long without content.
      alive: timeouts.alive ?? Math.max(config.timeouts.alive, timeouts.firstToken ?? 0, timeouts.idle ?? 0),
      total: timeouts.total ?? config.timeouts.total,
      unstreamed:
        timeouts.unstreamed ?? (timeouts.total === undefined ? config.timeouts.unstreamed : unstreamedAfter(timeouts.total)),
      stream: timeouts.stream ?? config.timeouts.stream,
    },
    gate: {
      open: gate.open ?? config.gate.open,
      toolCalls: gate.toolCalls ?? config.gate.toolCalls,
      holdFor: gate.holdFor ?? config.gate.holdFor,
      lag: (gate.lag ?? config.gate.lag) || 0,
    },
    breaker: resolveBreaker(config),
    nonStreaming: nonStreaming ?? config.nonStreaming,
    emptyFallback: upstream.emptyFallback,
    repairRawAnswer: upstream.repairRawAnswer,
    requireDone: upstream.requireDone,
    finish: upstream.finish,
    recovery: upstream.recovery ?? config.recovery,
    resume: { ...config.resume, ...withoutUnset(upstream.resume) },
    continuation: upstream.continuation === "auto" ? continuationOf(upstream.profile) : upstream.continuation,
  };
}

/** What an upstream leaves out is as it is for all. */
function withoutUnset<T extends object>(own: T): { [Key in keyof T]?: Exclude<T[Key], undefined> } {
  return Object.fromEntries(Object.entries(own).filter(([, value]) => value !== undefined)) as {
    [Key in keyof T]?: Exclude<T[Key], undefined>;
  };
}

const BREAKER = { failures: 5, windowMs: 30_000, restMs: 10_000, alone: false };

/** One upstream alone rests only where that was asked for: its clients would have to wait where they may be lucky. */
function resolveBreaker({ breaker }: Config): BreakerPolicy | undefined {
  if (breaker === false) return undefined;
  if (breaker === undefined) return BREAKER;
  return { failures: breaker.failures, windowMs: breaker.window, restMs: breaker.rest, alone: true };
}

/** Longest wait for a connection, in milliseconds. */
export function resolveConnectTimeout({ timeouts }: Config, upstream: UpstreamConfig): number {
  return upstream.timeouts.connect ?? timeouts.connect;
}

/** The first question, or false where none is wanted. */
export function resolveWarmUp({ warmup }: Config, upstream: UpstreamConfig): Config["warmup"] {
  return upstream.warmup ?? warmup;
}

/** How often it is asked how it is, and where. */
export function resolveHealth({ health }: Config, upstream: UpstreamConfig): Config["health"] {
  return { every: upstream.health.every ?? health.every, path: upstream.health.path ?? health.path };
}
