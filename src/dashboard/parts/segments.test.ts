import { expect, it } from "vitest";
import type { AttemptView, StreamView } from "../../telemetry/history/view.ts";
import { segmentsOf } from "./segments.ts";

const ended = {
  at: "ended",
  outcome: "complete",
  failure: undefined,
  fault: undefined,
  status: 200,
  seams: [],
  seam: undefined,
} as const;

function attempt(n: number, atMs: number, ms: number, more: Partial<AttemptView> = {}): AttemptView {
  const view = { n, atMs, ms, upstream: "main", running: false, status: 200 };
  return { ...view, failure: undefined, fault: undefined, waitMs: undefined, ...more };
}

const told = (stream: Partial<StreamView>): string[] =>
  segmentsOf({ state: ended, committedMs: undefined, ...stream } as StreamView)
    .filter(({ kind, fromMs, toMs }) => kind === "broken" || toMs > fromMs)
    .map(({ kind, fromMs, toMs }) => `${kind} ${fromMs}-${toMs}`);

it("is waited for, and flows", () => {
  expect(told({ ms: 100, committedMs: 30, attempts: [attempt(1, 0, 100)] })).toEqual(["waiting 0-30", "flowing 30-100"]);
});

it("broke unseen, paused, and flowed", () => {
  const attempts = [attempt(1, 0, 10, { failure: "empty_stream" }), attempt(2, 50, 50)];
  const spans = ["broken 0-10", "pause 10-50", "waiting 50-60", "flowing 60-100"];
  expect(told({ ms: 100, committedMs: 60, attempts })).toEqual(spans);
});

it("flowed, broke, and went on", () => {
  const attempts = [attempt(1, 0, 40, { failure: "stream_truncated" }), attempt(2, 50, 50)];
  const spans = ["waiting 0-10", "flowing 10-40", "broken 40-40", "pause 40-50", "flowing 50-100"];
  const resumed = { ...ended, outcome: "resumed", seams: ["native"] } as const;
  expect(told({ ms: 100, committedMs: 10, attempts, state: resumed })).toEqual(spans);
  const [first, second] = attempts as [AttemptView, AttemptView];
  const refused = [first, { ...second, failure: "stream_corrupted" as const }];
  const interrupted = { ...ended, outcome: "interrupted", failure: "stream_truncated" } as const;
  expect(told({ ms: 100, committedMs: 10, attempts: refused, state: interrupted })).toEqual([
    ...spans.slice(0, -1),
    "broken 50-100",
  ]);
});

it("is put off still, or was never asked for", () => {
  const attempts = [attempt(1, 0, 10, { failure: "empty_stream" })];
  expect(told({ ms: 100, state: { at: "retrying" }, attempts })).toEqual(["broken 0-10", "pause 10-100"]);
  expect(told({ ms: 100, attempts: [] })).toEqual([]);
});
