import { expect, it } from "vitest";
import type { AttemptView, StreamEnd, StreamView } from "../../telemetry/history/view.ts";
import { en } from "../texts/en.ts";
import { momentsOf } from "./moments.ts";

const ended = (more: Partial<StreamEnd>): StreamEnd => ({
  ...{ at: "ended", outcome: "complete", failure: undefined, fault: undefined, status: 200, seams: [], seam: undefined },
  ...more,
});
const attempt = (n: number, atMs: number, ms: number, more: Partial<AttemptView> = {}): AttemptView => ({
  ...{ n, atMs, ms, upstream: "main", running: false, status: 200, failure: undefined, fault: undefined, waitMs: undefined },
  ...more,
});
const told = (stream: Partial<StreamView>): string[] =>
  momentsOf({ heartbeats: 0, ms: 100, committedMs: undefined, ...stream } as StreamView, en).map(
    ({ atMs, text }) => `${atMs ?? "-"}: ${text}`,
  );

it("tells what failed unseen, what the client heard meanwhile, and when the gate opened", () => {
  const attempts = [
    attempt(1, 1, 9, { failure: "upstream_status", status: 503, waitMs: 40 }),
    attempt(2, 50, 5, { failure: "empty_stream", waitMs: 0 }),
    attempt(3, 55, 45),
  ];
  expect(told({ attempts, committedMs: 60, heartbeats: 2, longestGapMs: 7, state: ended({ outcome: "recovered" }) })).toEqual([
    "0: The request arrived.",
    "1: Attempt 1: main was asked.",
    "10: Attempt 1 failed after 9 ms: answered with an error (HTTP 503).",
    "-: Nothing was told to the client; the next attempt was put off for 40 ms.",
    "50: Attempt 2: main was asked.",
    "55: Attempt 2 failed after 5 ms: an empty answer.",
    "-: Nothing was told to the client; the next attempt followed at once.",
    "55: Attempt 3: main was asked.",
    "60: The first word came: the gate opened, and the text goes to the client from here on.",
    "-: 2 heartbeats kept the client waiting.",
    "-: The longest silence between two pieces was 7 ms.",
    "100: The whole answer. What failed before it, its client never noticed.",
  ]);
});

it("tells after which attempt an answer went on, and never that its client knew nothing when it had some of it", () => {
  const attempts = [attempt(1, 0, 40, { failure: "stream_truncated", waitMs: 0 }), attempt(2, 41, 59)];
  const lines = told({ attempts, committedMs: 10, state: ended({ outcome: "resumed", seams: ["native"] }) });
  expect(lines.slice(3)).toEqual([
    "40: Attempt 1 failed after 40 ms: cut short.",
    "-: The client kept what it had, and was told of no break; the rest was asked for at once.",
    "41: Attempt 2: main was asked.",
    "-: The answer went on where it had broken off: the same generation.",
    "100: The whole answer, continued across a break.",
  ]);
});

it("counts the attempts that are left out", () => {
  const attempts = [attempt(1, 0, 1), attempt(40, 50, 1)];
  expect(told({ attempts, state: ended({}) })).toContain("-: 38 more attempts failed.");
});

it("tells why an answer could not go on", () => {
  const attempts = [attempt(1, 0, 40, { failure: "stream_truncated" })];
  const state = ended({ outcome: "interrupted", failure: "stream_truncated", seam: "tail" });
  expect(told({ attempts, committedMs: 10, state })).toContain(
    "-: It could not be continued over the break: the rule was “tail”.",
  );
});
