import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { fitToDescriptors, readDescriptorLimit } from "./file-descriptors.ts";

const LIMITS = { maxClientConnections: 4_000, maxStreams: 1_000, other: 1 };

it("lowers what does not fit the limit of open files, in proportion, and says the reason", () => {
  for (const descriptors of [undefined, 5_100]) {
    expect(fitToDescriptors(LIMITS, descriptors)).toEqual({ limits: LIMITS, warning: undefined });
  }
  expect(fitToDescriptors(LIMITS, 5_099)).toEqual({
    limits: { maxClientConnections: 4_000, maxStreams: 999, other: 1 },
    warning:
      "only 5099 files may be open (ulimit -n), and limits.maxClientConnections + limits.maxStreams + 100 need 5100: " +
      "they are lowered to 4000 and 999",
  });
  expect(fitToDescriptors(LIMITS, 256).limits).toEqual({ maxClientConnections: 125, maxStreams: 31, other: 1 });
  for (const descriptors of [0, 1, 20, 64, 256, 1_024]) {
    const { maxClientConnections, maxStreams } = fitToDescriptors(LIMITS, descriptors).limits;
    expect(Math.min(maxClientConnections, maxStreams)).toBeGreaterThanOrEqual(1);
    expect(maxClientConnections + maxStreams).toBeLessThanOrEqual(Math.max(2, descriptors));
  }
});

it("needs, of several workers, files for the part of the clients that each has, and for as many streams", () => {
  for (const [descriptors, workers] of [
    [3_100, 2],
    [1_100, 8],
  ] as const)
    expect(fitToDescriptors(LIMITS, descriptors, workers)).toEqual({ limits: LIMITS, warning: undefined });
  expect(fitToDescriptors(LIMITS, 3_099, 2)).toEqual({
    limits: { maxClientConnections: 2 * 1_999, maxStreams: 1_000, other: 1 },
    warning:
      "only 3099 files may be open in each of 2 workers (ulimit -n), and its part of limits.maxClientConnections, " +
      "as many streams (limits.maxStreams) + 100 need 3100: they are lowered to 3998 and 1000",
  });
  expect(fitToDescriptors(LIMITS, 256, 3).limits).toEqual({ maxClientConnections: 3 * 78, maxStreams: 3 * 78, other: 1 });
  for (const descriptors of [1, 20, 256, 1_024]) {
    const { maxClientConnections, maxStreams } = fitToDescriptors(LIMITS, descriptors, 3).limits;
    const ofEach = maxClientConnections / 3;
    expect(Math.min(ofEach, maxStreams)).toBeGreaterThanOrEqual(1);
    expect(ofEach + Math.min(maxStreams, ofEach)).toBeLessThanOrEqual(Math.max(2, descriptors));
  }
});

it("reads the soft limit where the system says it, and is no trouble where it does not", () => {
  const folder = mkdtempSync(join(tmpdir(), "limits-"));
  const saying = (text: string): string => {
    const path = join(folder, "limits");
    writeFileSync(path, text);
    return path;
  };
  try {
    const others =
      "Limit                     Soft Limit           Hard Limit           Units\nMax processes             7     8     processes\n";
    expect(
      readDescriptorLimit(saying(`${others}Max open files            1024                 524288               files\n`)),
    ).toBe(1_024);
    expect(
      readDescriptorLimit(saying(`${others}Max open files            unlimited            unlimited            files\n`)),
    ).toBeUndefined();
    expect(readDescriptorLimit(saying(others))).toBeUndefined();
  } finally {
    rmSync(folder, { recursive: true });
  }
  expect(readDescriptorLimit("/nowhere/limits")).toBeUndefined();
  if (process.platform === "linux") expect(readDescriptorLimit()).toBeGreaterThan(10);
});
