import { expect, test } from "vitest";
import { parseDuration, parseReset, waitToldIn } from "./told-wait.ts";

const NOW = Date.parse("2026-11-21T10:00:00Z");

test.each([
  ["6m0s", 360_000],
  ["1h2m3s", 3_723_000],
  ["7.66s", 7_660],
  ["120ms", 120],
  ["34s", 34_000],
  ["1d", 86_400_000],
  ["500µs", 0.5],
  ["6", undefined],
  ["", undefined],
  ["soon", undefined],
  ["constructor", undefined],
])("the duration %j is %s ms", (text, ms) => {
  expect(parseDuration(text)).toBe(ms);
});

test.each([
  [2, 2_000],
  ["0.35", 350],
  ["6m0s", 360_000],
  [NOW / 1_000 + 5, 5_000],
  [String(NOW + 7_000), 7_000],
  [NOW - 1_000, 0],
  ["2026-11-21T10:00:09Z", 9_000],
  ["2026-11-21T09:00:00Z", 0],
  ["21", 21_000],
  [-1, undefined],
  ["tomorrow", undefined],
  [null, undefined],
  [true, undefined],
])("the reset %j is in %s ms", (value, ms) => {
  expect(parseReset(value, NOW)).toBe(ms);
});

test.each([
  [{ error: "Model m is currently loading", estimated_time: 20.5 }, 20_500],
  [{ error: { message: "busy", retry_after: 3 } }, 3_000],
  [{ retry_after_ms: 250 }, 250],
  [
    { error: { details: [{ "@type": "x" }, { "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay: "34s" }] } },
    34_000,
  ],
  [{ error: { metadata: { headers: { "X-RateLimit-Reset": String(NOW + 4_000) } } } }, 4_000],
  [{ error: { message: "no" } }, undefined],
  [{ error: "no" }, undefined],
  [{ error: { details: "no", metadata: [] } }, undefined],
])("%j asks for %s ms", (body, ms) => {
  expect(waitToldIn(body as Record<string, unknown>, NOW)).toBe(ms);
});
