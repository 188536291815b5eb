import { expect, test } from "vitest";
import { Hedging } from "./hedging.ts";

test("at most the share of all requests is hedged, whatever they are like", () => {
  const hedging = new Hedging();
  let taken = 0;
  for (let count = 1; count <= 1_000; count++) {
    hedging.request(5);
    if (hedging.take()) taken++;
    expect(taken).toBeLessThanOrEqual(count * 0.05 + 1e-9);
  }
  expect(taken).toBe(50);
});

test("what was not used in quiet times is saved up for a hundred requests", () => {
  const hedging = new Hedging();
  for (let count = 0; count < 5_000; count++) hedging.request(5);
  expect(Array.from({ length: 100 }, () => hedging.take()).filter(Boolean)).toHaveLength(5);
});

test("none at 0 %, each at 100 %, one now and then at a fraction", () => {
  const countOf = (percent: number): number => {
    const hedging = new Hedging();
    const tries = Array.from({ length: 400 }, () => {
      hedging.request(percent);
      return hedging.take();
    });
    return tries.filter(Boolean).length;
  };
  expect([0, 100, 0.5].map(countOf)).toEqual([0, 400, 2]);
});

test("the 95th percentile is of the latest 200 of its route, and there is none before 20", () => {
  const hedging = new Hedging();
  for (let ms = 1; ms <= 19; ms++) hedging.learn("a", ms);
  expect(hedging.p95("a")).toBeUndefined();
  hedging.learn("a", 20);
  expect([hedging.p95("a"), hedging.p95("b")]).toEqual([19, undefined]);
  for (let ms = 1; ms <= 200; ms++) hedging.learn("a", 1_000 + ms);
  expect(hedging.p95("a")).toBe(1_190);
});

test("clients name the models: the oldest of a thousand routes is forgotten", () => {
  const hedging = new Hedging();
  for (let route = 0; route <= 1_000; route++) for (let ms = 1; ms <= 20; ms++) hedging.learn(String(route), ms);
  expect([hedging.p95("0"), hedging.p95("1"), hedging.p95("1000")]).toEqual([undefined, 19, 19]);
});
