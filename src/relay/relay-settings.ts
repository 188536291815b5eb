/** The settings of an exchange, as configured and as narrowed by its client. */
import type { AnswerLimits } from "../attempt/attempt-context.ts";
import type { RetryOptions } from "../attempt/attempt-policy.ts";
import type { Candidate } from "../balance/candidate.ts";
import { type Exchange, RECOVERIES, type Recovery } from "../core/exchange.ts";
import type { ClientStreamOptions } from "../downstream/client-stream.ts";

/** Times in milliseconds, sizes in bytes. */
export interface RelaySettings {
  readonly candidate: Candidate;
  readonly retry: RetryOptions;
  readonly client: ClientStreamOptions;
  readonly limits: AnswerLimits;
}

/** The client's own policy can only be stricter than the configured one; when it is shown its answer is its own choice. */
export function narrowSettings(settings: RelaySettings, { overrides }: Exchange): RelaySettings {
  const { maxAttempts, firstTokenMs, idleMs, totalMs, gateOpen, recovery } = overrides;
  const { retry, candidate } = settings;
  const { policy } = candidate;
  const { timeouts } = policy;
  return {
    ...settings,
    retry: { ...retry, maxAttempts: Math.min(retry.maxAttempts, maxAttempts ?? retry.maxAttempts) },
    candidate: {
      ...candidate,
      policy: {
        ...policy,
        recovery: RECOVERIES[Math.min(rankOf(policy.recovery), rankOf(recovery ?? policy.recovery))] ?? "error",
        gate: { ...policy.gate, open: gateOpen ?? policy.gate.open },
        timeouts: {
          ...timeouts,
          firstToken: Math.min(timeouts.firstToken, firstTokenMs ?? timeouts.firstToken),
          idle: Math.min(timeouts.idle, idleMs ?? timeouts.idle),
          total: Math.min(timeouts.total, totalMs ?? timeouts.total),
          // Its client has said how long it will wait, whatever is on its way.
          unstreamed: Math.min(timeouts.unstreamed, totalMs ?? timeouts.unstreamed),
        },
      },
    },
  };
}

/** Each allows more than the one before. */
const rankOf = (recovery: Recovery): number => RECOVERIES.indexOf(recovery);
