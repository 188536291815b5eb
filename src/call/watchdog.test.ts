import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Failure } from "../core/failure.ts";
import { Watchdog } from "./watchdog.ts";

let fired: string[];
beforeEach(() => {
  vi.useFakeTimers();
  fired = [];
});
afterEach(() => vi.useRealTimers());

const start = (): Watchdog =>
  new Watchdog({ firstTokenMs: 100, idleMs: 50, idleFrom: "content" }, (failure: Failure) => fired.push(failure.code));

test("the first content must come in time", () => {
  start();
  vi.advanceTimersByTime(99);
  expect(fired).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(fired).toEqual(["first_token_timeout"]);
});

test("then each content must follow the one before in time", () => {
  const watchdog = start();
  for (let i = 0; i < 5; i++) {
    watchdog.progress();
    vi.advanceTimersByTime(49);
  }
  expect(fired).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(fired).toEqual(["stream_stalled"]);
});

test("a paused upstream is not stalled, and has its whole time again when it goes on", () => {
  const watchdog = start();
  watchdog.progress();
  watchdog.pause();
  vi.advanceTimersByTime(1_000);
  watchdog.resume();
  vi.advanceTimersByTime(49);
  expect(fired).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(fired).toEqual(["stream_stalled"]);
});

test("progress that was on its way when the pause began does not end the pause's protection", () => {
  const watchdog = start();
  watchdog.progress();
  watchdog.pause();
  watchdog.progress();
  vi.advanceTimersByTime(1_000);
  expect(fired).toEqual([]);
});

test("without a limit on the first content it waits, and stopped it never fires", () => {
  const watchdog = new Watchdog({ firstTokenMs: 0, idleMs: 50, idleFrom: "content" }, () => fired.push("fired"));
  vi.advanceTimersByTime(10_000);
  watchdog.progress();
  watchdog.stop();
  vi.advanceTimersByTime(10_000);
  expect(fired).toEqual([]);
});
