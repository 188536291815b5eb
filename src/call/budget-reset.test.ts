import { expect, test } from "vitest";
import { readRetryAfterMs } from "./retry-after.ts";

const NOW = Date.parse("2026-11-21T10:00:00Z");
const body = (json: unknown): Buffer => Buffer.from(JSON.stringify(json));

test.each([
  [{ "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0s" }, 360_000],
  [
    {
      "x-ratelimit-remaining-requests": "12",
      "x-ratelimit-reset-requests": "6m0s",
      "x-ratelimit-remaining-tokens": "0",
      "x-ratelimit-reset-tokens": "1.5s",
    },
    1_500,
  ],
  [
    {
      "x-ratelimit-remaining-requests": "0",
      "x-ratelimit-reset-requests": "1s",
      "x-ratelimit-remaining-tokens": "0",
      "x-ratelimit-reset-tokens": "9s",
    },
    9_000,
  ],
  [{ "anthropic-ratelimit-tokens-remaining": "0", "anthropic-ratelimit-tokens-reset": "2026-11-21T10:00:20Z" }, 20_000],
  [{ "x-ratelimit-remaining": "0", "x-ratelimit-reset": String(NOW / 1_000 + 3) }, 3_000],
  [{ "ratelimit-remaining": "0", "ratelimit-reset": "4" }, 4_000],
  [{ "x-ratelimit-reset": String(NOW + 2_000) }, 2_000],
  [{ "x-ratelimit-remaining-requests": "3", "x-ratelimit-reset-requests": "6m0s" }, undefined],
  [{ "x-ratelimit-remaining-requests": "3", "x-ratelimit-reset": "99" }, undefined],
  [{ "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0s", "retry-after": "2" }, 2_000],
  [{ "retry-after": "0.35" }, 350],
  [{ "retry-after": "1m30s" }, 90_000],
])("the budget of %j comes back in %s ms", (headers, ms) => {
  expect(readRetryAfterMs(headers as unknown as Record<string, string>, NOW)).toBe(ms);
});

test("a budget is no reason for another failure", () => {
  const headers = { "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0s" };
  expect([500, 502, 503, 429].map((status) => readRetryAfterMs(headers, NOW, { status }))).toEqual([
    undefined,
    undefined,
    360_000,
    360_000,
  ]);
});

test("a body says it where no header does, also in the headers that a gateway copied into it", () => {
  const loading = body({ error: "loading", estimated_time: 2 });
  const copied = body({
    error: { metadata: { headers: { "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": String(NOW + 5_000) } } },
  });
  expect(readRetryAfterMs({}, NOW, { status: 503, body: loading })).toBe(2_000);
  expect(readRetryAfterMs({ "retry-after": "1" }, NOW, { status: 503, body: loading })).toBe(1_000);
  expect(readRetryAfterMs({}, NOW, { status: 429, body: copied })).toBe(5_000);
  expect(readRetryAfterMs({}, NOW, { status: 429, body: Buffer.from("<html>") })).toBeUndefined();
});
