import { describe, expect, it } from "vitest";
import { formatDuration, formatSize, parseDuration, parseSize } from "./units.ts";

describe("durations", () => {
  it.each([
    ["500ms", 500],
    ["30s", 30_000],
    ["10m", 600_000],
    ["1h", 3_600_000],
    ["1d", 86_400_000],
    ["0", 0],
    ["2147483647ms", 2 ** 31 - 1],
  ])("reads %s as %d ms", (text, ms) => expect(parseDuration(text)).toBe(ms));

  it.each(["", "fast", "30", "1.5s", "-1s", "1 s", "1S", "s", "1h30m", "5constructor"])(
    "refuses %j and says what was expected",
    (text) => {
      expect(() => parseDuration(text)).toThrow("expected a duration such as 500ms, 30s or 10m");
    },
  );

  it("refuses a duration that setTimeout would fire at once", () => {
    expect(() => parseDuration("25d")).toThrow("at most 24d");
  });

  it.each(["0s", "1ms", "1500ms", "90s", "1m", "36h", "1d"])("prints %s as it was", (text) => {
    expect(formatDuration(parseDuration(text))).toBe(text);
  });
});

describe("sizes", () => {
  it.each([
    ["4MiB", 4_194_304],
    ["512KiB", 524_288],
    ["1GiB", 1_073_741_824],
    ["64KB", 64_000],
    ["1024B", 1024],
    ["1024", 1024],
  ])("reads %s as %d bytes", (text, bytes) => expect(parseSize(text)).toBe(bytes));

  it.each(["", "big", "4M", "1.5MiB", "-1", "1 MiB", "9007199254740993"])("refuses %j and says what was expected", (text) => {
    expect(() => parseSize(text)).toThrow("expected a size such as 512KiB, 4MiB or 65536");
  });

  it.each(["0B", "1GiB", "3MiB", "1KiB", "64KB", "1001B"])("prints %s as it was", (text) => {
    expect(formatSize(parseSize(text))).toBe(text);
  });
});
