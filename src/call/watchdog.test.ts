import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Failure } from "../core/failure.ts";
import { FINISHED_MS, Watchdog, type WatchdogOptions } from "./watchdog.ts";

let fired: Failure[];
beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  // Within a tick the fake one would wait for the next millisecond.
  vi.stubGlobal("setImmediate", (run: () => void) => run());
  fired = [];
});
afterEach(() => {
  // In the other order than they were made, or a spy on the fake clock would bring it back.
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

/** The ratios of the defaults: 3m, 10m, 2m. */
const TIMES: WatchdogOptions = { firstTokenMs: 180, aliveMs: 600, idleMs: 120, pausedMs: 900, idleFrom: "content" };

function start(options: Partial<WatchdogOptions> = {}): Watchdog {
  const watchdog = new Watchdog({ ...TIMES, ...options }, (failure) => {
    fired.push(failure);
    watchdog.stop();
  });
  watchdog.begin();
  return watchdog;
}

const pass = (ms: number): unknown => vi.advanceTimersByTime(ms);

const codes = (): string[] => fired.map(({ code }) => code);

/** Waits, with a sign each 20 ms. */
function signs(watchdog: Watchdog, sign: "life" | "content" | "finished", ms: number): void {
  for (let waited = 0; waited < ms; waited += 20) {
    pass(20);
    watchdog.notice(sign);
  }
}

describe("before the first content", () => {
  test("silence is told after firstToken, and may be tried again", () => {
    start();
    pass(179);
    expect(codes()).toEqual([]);
    pass(1);
    expect(fired).toMatchObject([{ code: "first_token_timeout", scope: "again" }]);
  });

  test("the wait for a connection does not count", () => {
    const watchdog = new Watchdog(TIMES, (failure) => fired.push(failure));
    pass(10_000);
    expect(codes()).toEqual([]);
    watchdog.begin();
    pass(180);
    expect(codes()).toEqual(["first_token_timeout"]);
  });

  test("a request that is sent a second time has its whole time again", () => {
    const watchdog = start();
    pass(100);
    watchdog.begin();
    pass(179);
    expect(codes()).toEqual([]);
  });

  test("one sign of life gives it until alive, which is told elsewhere only", () => {
    const watchdog = start();
    pass(100);
    watchdog.notice("life");
    pass(499);
    expect(codes()).toEqual([]);
    pass(1);
    expect(fired).toMatchObject([{ code: "first_token_timeout", scope: "elsewhere" }]);
  });

  test("pings do not keep it alive for longer", () => {
    signs(start(), "life", 580);
    expect(codes()).toEqual([]);
    pass(20);
    expect(codes()).toEqual(["first_token_timeout"]);
  });

  test("without limits it waits, and stopped it never fires", () => {
    const watchdog = start({ firstTokenMs: 0, aliveMs: 0 });
    pass(100_000);
    watchdog.notice("content");
    watchdog.stop();
    watchdog.notice("content");
    pass(100_000);
    expect(codes()).toEqual([]);
  });
});

describe("after the first content", () => {
  test("each byte must follow the one before within idle", () => {
    const watchdog = start();
    watchdog.notice("content");
    signs(watchdog, "life", 400);
    pass(119);
    expect(codes()).toEqual([]);
    pass(1);
    expect(codes()).toEqual(["stream_stalled"]);
  });

  test("pings alone carry it to alive", () => {
    const watchdog = start();
    watchdog.notice("content");
    signs(watchdog, "life", 580);
    expect(codes()).toEqual([]);
    pass(20);
    expect(codes()).toEqual(["stream_stalled"]);
    expect(fired[0]?.message).toContain("signs of life");
  });

  test("content, however rare, carries it on", () => {
    const watchdog = start();
    for (let i = 0; i < 20; i++) {
      watchdog.notice("content");
      signs(watchdog, "life", 500);
    }
    expect(codes()).toEqual([]);
  });

  test("a shorter idle holds at once, though firstToken was longer", () => {
    const watchdog = start({ firstTokenMs: 10_000 });
    watchdog.notice("content");
    pass(120);
    expect(codes()).toEqual(["stream_stalled"]);
  });

  test("no limit on life holds for a body that is not judged", () => {
    const watchdog = start({ aliveMs: 0 });
    signs(watchdog, "content", 5_000);
    expect(codes()).toEqual([]);
  });
});

describe("a client that reads slowly", () => {
  test("pauses all clocks, and each has its whole time again when it goes on", () => {
    const watchdog = start();
    watchdog.notice("content");
    pass(100);
    watchdog.pause();
    pass(899);
    watchdog.resume();
    pass(119);
    expect(codes()).toEqual([]);
    pass(1);
    expect(codes()).toEqual(["stream_stalled"]);
  });

  test("is not taken for a stall by content that was on its way when the pause began", () => {
    const watchdog = start();
    watchdog.notice("content");
    watchdog.pause();
    watchdog.notice("content");
    pass(899);
    expect(codes()).toEqual([]);
  });

  test("is no reason to give up an upstream that could send its content only now", () => {
    const watchdog = start();
    watchdog.notice("life");
    watchdog.pause();
    pass(800);
    watchdog.resume();
    pass(500);
    expect(codes()).toEqual([]);
  });

  test("is given up when it takes nothing more", () => {
    const watchdog = start();
    watchdog.notice("content");
    pass(100);
    watchdog.pause();
    pass(500);
    watchdog.pause();
    pass(399);
    expect(codes()).toEqual([]);
    pass(1);
    expect(codes()).toEqual(["deadline_exceeded"]);
  });
});

describe("after the finish", () => {
  const patient = { idleMs: 120_000, aliveMs: 600_000 };

  test("silence is waited for no longer than 10 s", () => {
    const watchdog = start(patient);
    watchdog.notice("finished");
    pass(FINISHED_MS - 1);
    expect(codes()).toEqual([]);
    pass(1);
    expect(codes()).toEqual(["stream_stalled"]);
  });

  test("each byte has the time begin again, but pings alone do not hold it beyond alive", () => {
    const watchdog = start({ ...patient, aliveMs: 600 });
    watchdog.notice("finished");
    signs(watchdog, "finished", 580);
    expect(codes()).toEqual([]);
    pass(20);
    expect(codes()).toEqual(["stream_stalled"]);
  });

  test.each(["content", "life"] as const)("what goes on is waited for as before (%s)", (sign) => {
    const watchdog = start(patient);
    watchdog.notice("finished");
    watchdog.notice(sign);
    pass(119_999);
    expect(codes()).toEqual([]);
  });
});

test("an event makes no timer", () => {
  const watchdog = start();
  watchdog.notice("content");
  const made = vi.spyOn(globalThis, "setTimeout");
  for (let i = 0; i < 1_000; i++) watchdog.notice(i % 3 === 0 ? "life" : "content");
  expect(made).not.toHaveBeenCalled();
});
