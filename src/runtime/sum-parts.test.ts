import { expect, it } from "vitest";
import type { RateSnapshot } from "../balance/rate/rate-policy.ts";
import type { Rest } from "../core/upstream-state.ts";
import { createHistory } from "../telemetry/history.ts";
import type { DashboardPart, PartState } from "./dashboard.ts";
import { sumParts } from "./sum-parts.ts";

const rest = (part: string | undefined, lastedMs: number, waiting: number): Rest => ({
  ...{ part, why: "outage", failure: "upstream_unreachable", status: undefined, lastedMs, waitMs: 5, isAsked: false, waiting },
});
const state = (more: Partial<PartState> = {}): PartState => ({
  ...{ name: "a", open: 1, rests: [], counts: { outage: 0, breaker: 0 }, keys: [], health: undefined, maxConnections: undefined },
  ...more,
});
const rate = (used: number, waiting: number): RateSnapshot => ({
  ...{ scope: "upstream", name: "a", waiting, heldMs: waiting },
  limits: [{ what: "requests", model: undefined, limit: 10, perMs: 60_000, used }],
});
const part = (more: Partial<DashboardPart> = {}): DashboardPart => ({
  ...{
    history: createHistory().part(),
    states: [state()],
    warm: true,
    heldBytes: 10,
    retries: { made: 1, allowed: 5 },
    rates: [],
  },
  ...more,
});

it("adds up what is counted, and shows of what is out the one that has been so for longest", () => {
  const { states, ...sum } = sumParts([
    part({
      states: [state({ rests: [rest("m", 10, 1)], counts: { outage: 1, breaker: 0 }, maxConnections: 3 }), state({ name: "b" })],
      rates: [rate(3, 2)],
    }),
    part({
      states: [
        state({
          open: 4,
          rests: [rest("m", 90, 2), rest(undefined, 1, 0)],
          counts: { outage: 2, breaker: 0 },
          keys: [{ number: 1, rest: { why: "limited", status: 429, waitMs: 9, parts: 1 } }],
          health: { isUp: false, agoMs: 7 },
          maxConnections: 2,
        }),
        state({ name: "b" }),
      ],
      warm: false,
      rates: [rate(4, 1)],
    }),
  ]);
  expect(sum).toMatchObject({ warm: false, heldBytes: 20, retries: { made: 2, allowed: 10 } });
  expect(sum.rates).toEqual([{ ...rate(7, 3), heldMs: 2 }]);
  expect(states.map(({ name, open }) => [name, open])).toEqual([
    ["a", 5],
    ["b", 2],
  ]);
  expect(states[0]).toMatchObject({
    // All of it first, then its parts.
    rests: [rest(undefined, 1, 0), rest("m", 90, 3)],
    counts: { outage: 2, breaker: 0 },
    keys: [{ number: 1, rest: { why: "limited" } }],
    health: { isUp: false, agoMs: 7 },
    maxConnections: 5,
  });
});
