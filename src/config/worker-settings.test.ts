import { expect, it } from "vitest";
import { configFrom } from "./config-from.ts";
import { withFixed } from "./reload-rules.ts";
import { findUnshared, partOfWorker, warnOfParts, workerCount } from "./worker-settings.ts";

const upstreams = [{ name: "a", baseUrl: "http://127.0.0.1:1/v1", maxConnections: 5 }];

it("gives workers parts of what each counts by itself, which add up to the whole", () => {
  const config = configFrom({
    workers: 3,
    upstreams,
    retry: { budget: { min: 2 } },
    limits: { maxClientConnections: 10, maxHeldBytes: 100 },
  });
  const parts = [1, 2, 3].map((worker) => partOfWorker(config, worker));
  expect(parts.map(({ limits }) => limits.maxClientConnections)).toEqual([4, 3, 3]);
  expect(parts.map(({ limits }) => limits.maxHeldBytes)).toEqual([34, 33, 33]);
  expect(parts.map(({ retry }) => retry.budget.min)).toEqual([1, 1, 0]);
  expect(parts.map(({ upstreams }) => upstreams[0]?.maxConnections)).toEqual([2, 2, 1]);
  const store = "redis://127.0.0.1:1";
  const kept = (maxTotalBytes: number) =>
    [1, 2, 3].map(
      (worker) => partOfWorker(configFrom({ workers: 3, store, replay: { maxTotalBytes, ttl: "7s" } }), worker).replay,
    );
  expect(kept(100)).toMatchObject([34, 33, 33].map((maxTotalBytes) => ({ maxTotalBytes, ttl: 7_000 })));
  expect(kept(1)).toMatchObject([1, 1, 1].map((maxTotalBytes) => ({ maxTotalBytes })));
  // These all count together.
  expect(parts.map(({ limits }) => limits.maxStreams)).toEqual([1000, 1000, 1000]);
  const alone = configFrom({ upstreams });
  expect(partOfWorker(alone, 1)).toEqual(alone);
});

it("refuses what clients would find in one worker alone, and names the way out", () => {
  expect(() => configFrom({ workers: 2, replay: {} })).toThrow(/workers: with replay, 2 workers need a store.*store: redis:/);
  expect(configFrom({ workers: 2, replay: {}, store: "redis://127.0.0.1:1" }).workers).toBe(2);
  expect(configFrom({ workers: 1, replay: {} }).workers).toBe(1);
  expect(() => configFrom({ workers: 8, upstreams })).toThrow("upstreams.0.maxConnections: expected at least 8");
  expect(() => configFrom({ workers: 8, limits: { maxClientConnections: 7 } })).toThrow("expected at least 8");
  for (const workers of [0, 65, 1.5, "many"]) {
    expect(() => configFrom({ workers } as object), String(workers)).toThrow(/workers: expected a whole number from 1 to 64/);
  }
  expect(findUnshared(configFrom({ workers: 1, replay: {} }))).toEqual([]);
});

it("takes auto for as many as there are cores", () => {
  expect(workerCount({ workers: "auto" })).toBeGreaterThanOrEqual(1);
  expect(workerCount({ workers: "auto" })).toBeLessThanOrEqual(64);
});

it("warns where the part of a worker is too small for the largest body", () => {
  const limits = { maxHeldBytes: "64MiB", maxBodyBytes: "32MiB" };
  expect(warnOfParts(configFrom({ workers: 2, limits }))).toEqual([]);
  expect(warnOfParts(configFrom({ workers: 3, limits }))).toEqual([expect.stringContaining("limits.maxHeldBytes")]);
});

it("has a worker that starts late begin with what the others run with", () => {
  const started = configFrom({ port: 1, workers: 2, drain: { timeout: "1s" } });
  const running = configFrom({
    port: 2,
    workers: 5,
    drain: { timeout: "2s" },
    limits: { maxStreams: 7 },
    log: { level: "warn" },
  });
  expect(withFixed(started, running)).toMatchObject({
    port: 1,
    workers: 2,
    drain: { timeout: 1_000 },
    limits: { maxStreams: 7 },
    log: { level: "warn" },
    tls: false,
  });
  // A new certificate is the others' by now; that there is one at all stays as it was at the start.
  const [old, renewed] = [
    { cert: "a", key: "b" },
    { cert: "c", key: "d" },
  ];
  const tlsOf = (before: typeof old | false, since: typeof old | false) =>
    withFixed({ ...started, tls: before }, { ...running, tls: since }).tls;
  expect([tlsOf(old, renewed), tlsOf(old, false), tlsOf(false, renewed)]).toEqual([renewed, old, false]);
});
