import { expect, test } from "vitest";
import type { Refusal } from "../core/observer.ts";
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
    isStoreUp: () => undefined,
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
