import { expect, test } from "vitest";
import { readRetryAfterMs, readShouldRetry } from "./retry-after.ts";

const NOW = Date.parse("2026-11-21T10:00:00Z");

test.each([
  [{ "retry-after-ms": "250" }, 250],
  [{ "retry-after": "2" }, 2_000],
  [{ "retry-after": "0.5" }, 500],
  [{ "retry-after-ms": "250", "retry-after": "9" }, 250],
  [{ "retry-after": "Sat, 21 Nov 2026 10:00:03 GMT" }, 3_000],
  [{ "retry-after": "Sat, 21 Nov 2026 09:00:00 GMT" }, 0],
  [{ "retry-after": "Sat, 21 Nov 2026 10:00:03 gmt" }, 3_000],
  [{ "retry-after": "Saturday, 21-Nov-26 10:00:03 GMT" }, 3_000],
  [{ "retry-after": "Sat Nov 21 10:00:03 2026" }, 3_000],
  [{ "retry-after": "Tue Dec  1 10:00:00 2026" }, 864_000_000],
  [{ "retry-after": "99999999999999" }, 99_999_999_999_999_000],
  [{ "retry-after": "1e309" }, Number.POSITIVE_INFINITY],
  [{ "retry-after-ms": "1e309" }, Number.POSITIVE_INFINITY],
  [{ "retry-after": "soon" }, undefined],
  [{ "retry-after": "Nov 21 2026" }, undefined],
  [{ "retry-after": "Sat Nov 31 10:00:03" }, undefined],
  [{ "retry-after": "-1" }, undefined],
  [{ "retry-after": "" }, undefined],
  [{}, undefined],
])("%j asks for %s ms", (headers, ms) => {
  expect(readRetryAfterMs(headers, NOW)).toBe(ms);
});

test("x-should-retry is taken at its word, and nothing else is", () => {
  expect(
    [{ "x-should-retry": "true" }, { "x-should-retry": "false" }, { "x-should-retry": "maybe" }, {}].map(readShouldRetry),
  ).toEqual([true, false, undefined, undefined]);
});
