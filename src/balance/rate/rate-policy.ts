/** The limits of one owner as they are configured, and the budgets that they are counted against. */
import type { RateOwner } from "../../core/observer.ts";
import { Places, type Rate, type RateBudget } from "./budget.ts";
import { RateWindow } from "./rate-window.ts";

export interface RateLimits {
  readonly requests?: Rate | undefined;
  readonly tokens?: Rate | undefined;
  /** Most that run at the same time. */
  readonly concurrent?: number | undefined;
}

export interface RatePolicy extends RateLimits {
  /** Longest wait, in milliseconds. */
  readonly waitMs: number;
  /** Limits of single models, beside those for all, by name. */
  readonly models: Readonly<Record<string, RateLimits>>;
}

/** How things stand, for those who look. */
export interface RateSnapshot extends RateOwner {
  readonly waiting: number;
  readonly limits: readonly RateLimitView[];
  /** For how long the upstream wants none of some credential and model, in milliseconds; 0 for not at all. */
  readonly heldMs: number;
}

export interface RateLimitView {
  readonly what: LimitKind;
  /** Undefined for what holds for all models together. */
  readonly model: string | undefined;
  readonly limit: number;
  /** In milliseconds; undefined for what runs at the same time. */
  readonly perMs: number | undefined;
  readonly used: number;
}

export type LimitKind = keyof RateLimits;

export interface NamedBudget {
  readonly what: LimitKind;
  readonly model: string | undefined;
  readonly budget: RateBudget;
}

/** Those of a policy; what was counted of a limit goes on to count, where one of its kind stays. */
export function budgetsOf(policy: RatePolicy, before: readonly NamedBudget[]): readonly NamedBudget[] {
  const models = Object.entries(policy.models);
  const all = [[undefined, policy] as const, ...models.map(([name, limits]) => [name, limits] as const)];
  return all.flatMap(([model, limits]) => {
    const kept = (what: LimitKind): RateBudget | undefined =>
      before.find((each) => each.what === what && each.model === model)?.budget;
    return budgetsOfOne(limits, kept).map((each) => ({ ...each, model }));
  });
}

export function viewBudget({ what, model, budget }: NamedBudget): RateLimitView {
  const perMs = budget instanceof RateWindow ? budget.perMs : undefined;
  return { what, model, limit: budget.limit, perMs, used: Math.round(budget.used) };
}

function budgetsOfOne(
  { requests, tokens, concurrent }: RateLimits,
  kept: (what: LimitKind) => RateBudget | undefined,
): { what: LimitKind; budget: RateBudget }[] {
  const window = (what: "requests" | "tokens", rate: Rate | undefined) => {
    if (rate === undefined) return [];
    const known = kept(what);
    if (!(known instanceof RateWindow) || known.perMs !== rate.perMs) return [{ what, budget: new RateWindow(rate) }];
    known.limit = rate.amount;
    return [{ what, budget: known }];
  };
  const places = (): { what: LimitKind; budget: RateBudget }[] => {
    if (concurrent === undefined) return [];
    const known = kept("concurrent");
    const budget = known instanceof Places ? known : new Places(concurrent);
    budget.limit = concurrent;
    return [{ what: "concurrent", budget }];
  };
  return [...window("requests", requests), ...window("tokens", tokens), ...places()];
}
