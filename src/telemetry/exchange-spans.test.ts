import { SpanStatusCode } from "@opentelemetry/api";
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base";
import { expect, test } from "vitest";
import type { Attempt } from "../core/attempt.ts";
import type { Exchange } from "../core/exchange.ts";
import type { Refusal } from "../core/observer.ts";
import { createExchangeSpans } from "./exchange-spans.ts";

function createSpans() {
  const exporter = new InMemorySpanExporter();
  const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
  return { ...createExchangeSpans(provider.getTracer("test")), finished: () => exporter.getFinishedSpans() };
}

const refusal: Refusal = {
  id: "ex1",
  method: "POST",
  path: "/x",
  failure: "internal_error",
  status: 500,
  durationMs: 20,
  defect: new Error("x"),
};

test("a refusal that was meant has no span, or any client could fill the collector; a defect has one", () => {
  const { observer, finished } = createSpans();
  observer.onRejected?.({ ...refusal, failure: "unauthorized", status: 401, defect: undefined });
  expect(finished()).toEqual([]);
  observer.onRejected?.(refusal);
  const [span] = finished();
  expect(span).toMatchObject({
    name: "POST",
    status: { code: SpanStatusCode.ERROR },
    attributes: {
      "perennial.id": "ex1",
      "perennial.outcome": "failed",
      "perennial.attempts": 0,
      "http.response.status_code": 500,
      "error.type": "internal_error",
    },
  });
  expect(span?.duration[1]).toBeCloseTo(20_000_000, -6);
});

test("an attempt whose start was not told gets no headers", () => {
  expect(createSpans().propagator.headersFor({} as Exchange, {} as Attempt)).toEqual({});
});
