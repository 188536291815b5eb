import { expect, it } from "vitest";
import { sumOf } from "../../test/support/prometheus.ts";
import type { Exchange } from "../core/exchange.ts";
import type { NamedUpstreamState } from "../core/upstream-state.ts";
import { createMetrics, type Metrics } from "./metrics.ts";
import { SummedMetrics } from "./sum-metrics.ts";

function metricsOf(open: number, state: Partial<NamedUpstreamState> = {}): Metrics {
  const calm = { name: "main", open, rests: [], counts: { outage: 0, breaker: 0 }, keys: [], health: undefined };
  return createMetrics({
    dialects: ["chat"],
    countOpen: () => open,
    countHeldBytes: () => open * 100,
    countKept: () => ({ streams: 0, bytes: 0 }),
    isStoreUp: () => undefined,
    upstreamStates: () => [{ ...calm, ...state }],
  });
}

const exchange = { api: undefined, attempts: [], stats: { bytes: 10 } } as unknown as Exchange;
const end = (metrics: Metrics, times: number): void => {
  for (let n = 0; n < times; n++) {
    metrics.observer.onExchangeEnd?.(exchange, {
      outcome: "complete",
      failure: undefined,
      status: 200,
      durationMs: 50,
      defect: undefined,
    });
  }
};

it("adds up what several processes say, and shows the worst of what is no sum", async () => {
  const rest = {
    part: undefined,
    why: "outage",
    failure: "upstream_unreachable",
    status: undefined,
    lastedMs: 1,
    waitMs: 1,
  } as const;
  const [one, two] = [
    metricsOf(2),
    metricsOf(3, { rests: [{ ...rest, isAsked: false, waiting: 0 }], counts: { outage: 1, breaker: 0 } }),
  ];
  end(one, 4);
  end(two, 1);
  const summed = new SummedMetrics<string>();
  const { body } = await summed.read(
    new Map([
      ["one", await one.collect()],
      ["two", await two.collect()],
    ]),
  );
  const labels = { dialect: "passthrough" };
  expect(sumOf(body, "perennial_open_exchanges")).toBe(5);
  expect(sumOf(body, "perennial_held_bytes")).toBe(500);
  expect(sumOf(body, "perennial_upstream_open_attempts", { upstream: "main" })).toBe(5);
  expect(sumOf(body, "perennial_exchanges_total", { ...labels, outcome: "complete" })).toBe(5);
  expect(sumOf(body, "perennial_exchange_duration_seconds_count", labels)).toBe(5);
  expect(sumOf(body, "perennial_exchange_duration_seconds_bucket", { ...labels, le: "0.1" })).toBe(5);
  expect(sumOf(body, "perennial_exchange_duration_seconds_sum", labels)).toBeCloseTo(0.25);
  expect(sumOf(body, "perennial_upstream_up", { upstream: "main" })).toBe(0);
  expect(sumOf(body, "perennial_upstream_rests", { why: "outage" })).toBe(1);
  expect(sumOf(body, "process_start_time_seconds")).toBeGreaterThan(1e9);
  expect(sumOf(body, "process_resident_memory_bytes")).toBeGreaterThan(3 * 1e6);
});

it("never counts less than it has said, though a process dies, and drops what it had open", async () => {
  const summed = new SummedMetrics<string>();
  const [dying, living] = [metricsOf(2), metricsOf(3)];
  end(dying, 4);
  end(living, 1);
  const complete = (body: string): number => sumOf(body, "perennial_exchanges_total", { outcome: "complete" });
  await summed.read(
    new Map([
      ["dying", await dying.collect()],
      ["living", await living.collect()],
    ]),
  );
  // One that does not answer in time is as it was.
  const late = await summed.read(new Map([["living", await living.collect()]]));
  expect([complete(late.body), sumOf(late.body, "perennial_open_exchanges")]).toEqual([5, 5]);
  for (const name of ["dying", "never heard of"]) await summed.forget(name);
  end(living, 2);
  const heir = metricsOf(1);
  end(heir, 1);
  const { body } = await summed.read(
    new Map([
      ["living", await living.collect()],
      ["heir", await heir.collect()],
    ]),
  );
  expect([complete(body), sumOf(body, "perennial_open_exchanges")]).toEqual([8, 4]);
  expect(sumOf(body, "perennial_exchange_duration_seconds_count")).toBe(8);
});

it("keeps what any number of the dead have counted", async () => {
  const summed = new SummedMetrics<number>();
  for (let n = 0; n < 12; n++) {
    const metrics = metricsOf(1);
    end(metrics, 1);
    await summed.read(new Map([[n, await metrics.collect()]]));
    // Two at a time: both are added up, whichever is first.
    if (n % 2 === 1) await Promise.all([summed.forget(n - 1), summed.forget(n)]);
  }
  const { body } = await summed.read(new Map());
  expect(sumOf(body, "perennial_exchanges_total", { outcome: "complete" })).toBe(12);
  expect(sumOf(body, "perennial_open_exchanges")).toBe(0);
});
