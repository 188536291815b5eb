/** Lets a part of an upstream rest that keeps failing, so that its requests go to others; fed by the ends of attempts. */
import { CircuitState, ConsecutiveBreaker, type IBreaker, SamplingBreaker } from "cockatiel";
import type { Failure } from "../core/failure.ts";

/** Times in milliseconds. */
export interface BreakerPolicy {
  /** So many failures in a row, or so many and more than half of all within the window. */
  readonly failures: number;
  readonly windowMs: number;
  readonly restMs: number;
  /** It rests also where no other upstream can be asked in its place. */
  readonly alone: boolean;
}

/** More than this share of all attempts in the window. */
const SHARE = 0.5;
/** How much the latest attempt counts in the share of those that failed. */
const NEWEST = 0.1;
/** Clients name the models. */
const MAX_PARTS = 1_000;

interface Part {
  readonly strategies: readonly IBreaker[];
  failedAt: number;
  state: CircuitState;
  /** Of the latest attempts, about. */
  failedShare: number;
}

export class Breaker {
  /** Those that have failed of late. */
  readonly #parts = new Map<string, Part>();

  /** @param part a model, or a path: of a gateway one model may fail while the others answer. */
  succeeded(part: string): void {
    const known = this.#parts.get(part);
    if (known === undefined) return;
    for (const strategy of known.strategies) strategy.success(known.state);
    known.state = CircuitState.Closed;
    known.failedShare *= 1 - NEWEST;
  }

  /** The share of its latest attempts that failed, 0 to 1: which of two is likelier to answer. */
  failedShare(part: string): number {
    return this.#parts.get(part)?.failedShare ?? 0;
  }

  /** @returns whether it is to rest now. */
  failed(part: string, policy: BreakerPolicy): boolean {
    const now = performance.now();
    let known = this.#parts.get(part);
    if (known === undefined || now - known.failedAt > policy.windowMs) known = this.#begin(part, policy);
    known.failedAt = now;
    known.failedShare = known.failedShare * (1 - NEWEST) + NEWEST;
    const { state } = known;
    // Each is to count it, whatever the other says.
    const opens = known.strategies.map((strategy) => strategy.failure(state)).some(Boolean);
    // What follows the rest is the probe.
    if (opens) known.state = CircuitState.HalfOpen;
    return opens;
  }

  #begin(part: string, { failures, windowMs }: BreakerPolicy): Part {
    this.#parts.delete(part);
    const [oldest] = this.#parts.keys();
    if (oldest !== undefined && this.#parts.size >= MAX_PARTS) this.#parts.delete(oldest);
    const minimumRps = (2 * failures) / (windowMs / 1_000);
    const begun: Part = {
      strategies: [new ConsecutiveBreaker(failures), new SamplingBreaker({ threshold: SHARE, duration: windowMs, minimumRps })],
      failedAt: 0,
      state: CircuitState.Closed,
      failedShare: 0,
    };
    this.#parts.set(part, begun);
    return begun;
  }
}

/** Its own fault: not that a client left, nor a limit or a request that it refuses; and what is down has a gate of its own. */
export function isUpstreamsFault({ source, scope, outage, status, code }: Failure): boolean {
  if (source !== "upstream" || scope === "never" || outage !== undefined || code === "deadline_exceeded") return false;
  const isRefusal = code === "upstream_status" || code === "upstream_error_event";
  return !isRefusal || status >= 500;
}
