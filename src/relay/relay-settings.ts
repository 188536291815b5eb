/** The settings of an exchange, as configured and as narrowed by its client. */
import type { AnswerLimits } from "../attempt/attempt-context.ts";
import type { RetryOptions } from "../attempt/attempt-policy.ts";
import type { FailoverOptions } from "../attempt/failover.ts";
import type { Offer } from "../balance/offer.ts";
import type { RetryBudgetPolicy } from "../balance/retry-budget.ts";
import { decisiveOf } from "../core/attempt.ts";
import { type Exchange, RECOVERIES, type Recovery } from "../core/exchange.ts";
import { type Failure, withDetails } from "../core/failure.ts";
import type { ClientStreamOptions } from "../downstream/client-stream.ts";
import type { ReplaySettings } from "./come-back.ts";

/** Times in milliseconds, sizes in bytes. */
export interface RelaySettings {
  /** Every upstream, in the order of the configuration. */
  readonly offers: readonly Offer[];
  readonly failover: FailoverOptions;
  readonly retry: RetryOptions & { readonly budget: RetryBudgetPolicy };
  /** After how long without content a second upstream is asked as well, and for how many of a hundred requests at most. */
  readonly hedge: { readonly after: number | "p95" | false; readonly percent: number };
  readonly client: ClientStreamOptions;
  readonly limits: AnswerLimits;
  /** Undefined where no answer is kept. */
  readonly replay?: ReplaySettings | undefined;
}

/** The client's own policy can only be stricter than the configured one; when it is shown its answer is its own choice. */
export function narrowSettings(settings: RelaySettings, { overrides }: Exchange): RelaySettings {
  const { maxAttempts, firstTokenMs, idleMs, totalMs, gateOpen, recovery } = overrides;
  const { retry, offers } = settings;
  return {
    ...settings,
    retry: { ...retry, maxAttempts: Math.min(retry.maxAttempts, maxAttempts ?? retry.maxAttempts) },
    offers: offers.map((offer) => {
      const { policy } = offer;
      const { timeouts } = policy;
      return {
        ...offer,
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
      };
    }),
  };
}

/** The headers by which a client may narrow a limit, by the setting that holds for all. */
const HEADERS = [
  ["firstToken", "x-perennial-first-token-timeout", "firstTokenMs"],
  ["idle", "x-perennial-idle-timeout", "idleMs"],
  ["total", "x-perennial-total-timeout", "totalMs"],
  ["unstreamed", "x-perennial-total-timeout", "totalMs"],
] as const;

/**
 * A failure at a limit, by the name under which that is raised: the client's own header, where that is what has narrowed it.
 * @param settings as narrowed.
 */
export function nameLimit(failure: Failure, { offers }: RelaySettings, { attempts, overrides }: Exchange): Failure {
  const [name, header, override] = HEADERS.find(([name]) => failure.setting === `timeouts.${name}`) ?? [];
  // An attempt has the limits of its upstream, all of them together the longest of any.
  const isOfAll = name === "total" || name === "unstreamed";
  const those = isOfAll ? offers : offers.filter(({ upstream }) => upstream.name === decisiveOf(attempts)?.upstream);
  const isNarrowed = name !== undefined && those.some(({ policy }) => policy.timeouts[name] === overrides[override]);
  return isNarrowed ? withDetails(failure, { setting: header }) : failure;
}

/** Each allows more than the one before. */
const rankOf = (recovery: Recovery): number => RECOVERIES.indexOf(recovery);
