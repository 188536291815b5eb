import { expect, test } from "vitest";
import type { Refusal } from "../core/observer.ts";
import type { NamedUpstreamState } from "../core/upstream-state.ts";
import { createMetrics } from "./metrics.ts";

const refusal: Refusal = {
  id: "ex1",
  method: "GET",
  path: "/elsewhere",
  failure: "not_found",
  status: 404,
  durationMs: 1_500,
  defect: undefined,
};

test("refusals are counted by their failure, and only a defect has a duration", async () => {
  const { observer, read } = createMetrics({
    dialects: [],
    countOpen: () => 0,
    countHeldBytes: () => 0,
    countKept: () => ({ streams: 0, bytes: 0 }),
    upstreamStates: () => [],
  });
  observer.onRejected?.(refusal);
  observer.onRejected?.({ ...refusal, failure: "internal_error", status: 500, defect: new Error("x") });
  const { body } = await read();
  const sample = (series: string): string | undefined =>
    body
      .split("\n")
      .find((line) => line.startsWith(`${series} `))
      ?.split(" ")[1];
  expect(sample('perennial_exchanges_total{dialect="passthrough",outcome="rejected"}')).toBe("1");
  expect(sample('perennial_exchanges_total{dialect="passthrough",outcome="failed"}')).toBe("1");
  expect(sample('perennial_failures_total{code="not_found"}')).toBe("1");
  expect(sample('perennial_failures_total{code="internal_error"}')).toBe("1");
  expect(sample('perennial_exchange_duration_seconds_count{dialect="passthrough"}')).toBe("1");
  expect(sample('perennial_exchange_duration_seconds_sum{dialect="passthrough"}')).toBe("1.5");
});

test("upstreams are told of as they stand now, and no more when they are gone", async () => {
  const calm = { open: 0, rests: [], counts: { outage: 0, breaker: 0 }, keys: [], health: undefined };
  const rest = { part: undefined, why: "outage", failure: "upstream_unreachable", status: undefined } as const;
  const key = { number: 1, rest: { why: "refused", status: 401, waitMs: 1, parts: undefined } } as const;
  let states: NamedUpstreamState[] = [
    { ...calm, name: "a", open: 3, keys: [key, { number: 2, rest: undefined }] },
    {
      ...calm,
      name: "b",
      rests: [{ ...rest, lastedMs: 1, waitMs: 1, isAsked: false, waiting: 0 }],
      counts: { outage: 1, breaker: 2 },
    },
  ];
  const { read } = createMetrics({
    dialects: [],
    countOpen: () => 0,
    countHeldBytes: () => 0,
    countKept: () => ({ streams: 0, bytes: 0 }),
    upstreamStates: () => states,
  });
  const ofUpstreams = async (): Promise<string[]> =>
    (await read()).body.split("\n").filter((line) => /^perennial_upstream_/.test(line));
  expect(await ofUpstreams()).toEqual([
    'perennial_upstream_up{upstream="a"} 1',
    'perennial_upstream_up{upstream="b"} 0',
    'perennial_upstream_open_attempts{upstream="a"} 3',
    'perennial_upstream_open_attempts{upstream="b"} 0',
    'perennial_upstream_rests{upstream="a",why="outage"} 0',
    'perennial_upstream_rests{upstream="a",why="breaker"} 0',
    'perennial_upstream_rests{upstream="a",why="key"} 1',
    'perennial_upstream_rests{upstream="b",why="outage"} 1',
    'perennial_upstream_rests{upstream="b",why="breaker"} 2',
    'perennial_upstream_rests{upstream="b",why="key"} 0',
  ]);
  states = [];
  expect(await ofUpstreams()).toEqual([]);
});
