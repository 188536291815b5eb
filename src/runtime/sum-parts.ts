/** What several processes have to show as what one would: sums, and of what is out what the one in the worst trouble knows. */
import type { RateSnapshot } from "../balance/rate/rate-policy.ts";
import type { HealthState, KeyState, Rest } from "../core/upstream-state.ts";
import { sumHistories } from "../telemetry/history.ts";
import type { DashboardPart, PartState, Summed } from "./dashboard.ts";

/** As of one process: nobody reads more. */
const MAX_RESTS = 20;

export function sumParts(parts: readonly DashboardPart[]): Summed {
  const sum = (of: (part: DashboardPart) => number): number => parts.reduce((total, part) => total + of(part), 0);
  return {
    history: sumHistories(parts.map(({ history }) => history)),
    states: sumStates(parts.map(({ states }) => states)),
    warm: parts.every(({ warm }) => warm),
    heldBytes: sum(({ heldBytes }) => heldBytes),
    retries: { made: sum(({ retries }) => retries.made), allowed: sum(({ retries }) => retries.allowed) },
    rates: sumRates(parts.map(({ rates }) => rates)),
  };
}

/** @param all the states of each process, one list each, in the order of the configuration. */
function sumStates(all: readonly (readonly PartState[])[]): readonly PartState[] {
  return [...Map.groupBy(all.flat(), ({ name }) => name)].map(([name, states]) => {
    const count = (why: Rest["why"]): number => Math.max(...states.map(({ counts }) => counts[why]));
    return {
      name,
      open: states.reduce((sum, { open }) => sum + open, 0),
      rests: sumRests(states.map(({ rests }) => rests)),
      counts: { outage: count("outage"), breaker: count("breaker") },
      keys: sumKeys(states.map(({ keys }) => keys)),
      health: sumHealth(states.flatMap(({ health }) => health ?? [])),
      maxConnections: sumConnections(states.map(({ maxConnections }) => maxConnections)),
    };
  });
}

function sumRests(all: readonly (readonly Rest[])[]): readonly Rest[] {
  return [...Map.groupBy(all.flat(), ({ part, why }) => JSON.stringify([part ?? null, why])).values()]
    .map((known) => {
      const longest = known.reduce((a, b) => (b.lastedMs > a.lastedMs ? b : a));
      const waiting = known.reduce((sum, rest) => sum + rest.waiting, 0);
      return { ...longest, waiting, isAsked: known.some(({ isAsked }) => isAsked) };
    })
    .sort((a, b) => Number(a.part !== undefined) - Number(b.part !== undefined))
    .slice(0, MAX_RESTS);
}

function sumKeys(all: readonly (readonly KeyState[])[]): readonly KeyState[] {
  return [...Map.groupBy(all.flat(), ({ number }) => number).values()].map((known) =>
    known.reduce((a, b) => ((b.rest?.waitMs ?? -1) > (a.rest?.waitMs ?? -1) ? b : a)),
  );
}

/** Each has a part of them. */
function sumConnections(parts: readonly (number | undefined)[]): number | undefined {
  return parts.includes(undefined) ? undefined : parts.reduce<number>((sum, part = 0) => sum + part, 0);
}

function sumHealth(known: readonly HealthState[]): HealthState | undefined {
  if (known.length === 0) return undefined;
  return { isUp: known.every(({ isUp }) => isUp), agoMs: Math.min(...known.map(({ agoMs }) => agoMs)) };
}

/** What each has taken of a limit that they share, and who waits for it. */
function sumRates(all: readonly (readonly RateSnapshot[])[]): readonly RateSnapshot[] {
  return [...Map.groupBy(all.flat(), ({ scope, name }) => `${scope} ${name}`).values()].map((known) => {
    const [first] = known as [RateSnapshot];
    return {
      ...first,
      waiting: known.reduce((sum, { waiting }) => sum + waiting, 0),
      heldMs: Math.max(...known.map(({ heldMs }) => heldMs)),
      limits: first.limits.map((limit, index) => ({
        ...limit,
        used: known.reduce((sum, { limits }) => sum + (limits[index]?.used ?? 0), 0),
      })),
    };
  });
}
