/** A stream that is shown late: in order, each event as late as it says, and never later than its end. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { HeldMemory, heldBytes } from "../core/held-memory.ts";
import type { StreamEvent } from "../core/stream-event.ts";
import { Gate } from "./gate.ts";
import { Lag } from "./lag.ts";

const LAG = 400;
const event = (data: string): StreamEvent => ({ event: undefined, data });

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] }));
afterEach(() => void vi.useRealTimers());

function lagging({ maxBytes = 10_000, most = 1_000_000, flows = true } = {}) {
  const memory = new HeldMemory(most);
  const shown: string[] = [];
  const failures: string[] = [];
  const next = {
    push({ data }: StreamEvent) {
      if (data === "bad") throw new Error("cannot be written");
      shown.push(data);
    },
    flush: () => flows,
    finish: () => void shown.push("finish"),
  };
  const lag = new Lag({
    next,
    held: memory.open({ evict: () => failures.push("evicted") }),
    ms: LAG,
    maxBytes,
    onFailure: ({ code }) => failures.push(code),
  });
  const came = (...data: string[]): boolean => {
    for (const each of data) lag.push(event(each), "content");
    return lag.flush();
  };
  return { lag, came, shown, memory, failures };
}

describe("a lag", () => {
  test("shows what came together together, as late as it says, and counts it as held until then", () => {
    const { came, shown, memory } = lagging();
    came("a", "b");
    vi.advanceTimersByTime(150);
    came("c");
    expect([shown, memory.bytes]).toEqual([[], 3 * heldBytes(event("a"))]);
    vi.advanceTimersByTime(LAG - 151);
    expect(shown).toEqual([]);
    vi.advanceTimersByTime(1);
    expect([shown, memory.bytes]).toEqual([["a", "b"], heldBytes(event("a"))]);
    vi.advanceTimersByTime(149);
    expect(shown).toEqual(["a", "b"]);
    vi.advanceTimersByTime(1);
    expect([shown, memory.bytes, vi.getTimerCount()]).toEqual([["a", "b", "c"], 0, 0]);
  });

  test("shows all at once when the answer is whole, and when it ends otherwise", () => {
    for (const end of ["finish", "end"] as const) {
      const { lag, came, shown, memory } = lagging();
      came("a");
      vi.advanceTimersByTime(10);
      came("b");
      lag[end]();
      expect([shown.slice(0, 2), memory.bytes, vi.getTimerCount()]).toEqual([["a", "b"], 0, 0]);
    }
  });

  test("shows nothing to a client that has left, and stops", () => {
    const { lag, came, shown, memory } = lagging();
    came("a");
    lag.drop();
    vi.advanceTimersByTime(LAG);
    expect([shown, memory.bytes, vi.getTimerCount()]).toEqual([[], 0, 0]);
  });

  test("past its limit shows what it has at once, and goes on", () => {
    const { came, shown } = lagging({ maxBytes: 2 * heldBytes(event("a")) });
    came("a", "b");
    expect(shown).toEqual([]);
    came("c");
    expect(shown).toEqual(["a", "b", "c"]);
    came("d");
    expect(shown).toEqual(["a", "b", "c"]);
    vi.advanceTimersByTime(LAG);
    expect(shown).toEqual(["a", "b", "c", "d"]);
  });

  test("hands on what it has where all clients together hold too much", async () => {
    const { came, shown, memory, failures } = lagging({ most: heldBytes(event("a")) });
    came("a", "b");
    await Promise.resolve();
    expect([shown, memory.bytes, failures]).toEqual([["a", "b"], 0, []]);
  });

  test("says whether its client reads fast enough, as that is now", () => {
    expect([lagging().came("a"), lagging({ flows: false }).came("a")]).toEqual([true, false]);
  });

  test("fails the run, not the process, where its client cannot be given what is due", () => {
    const { came, failures } = lagging();
    came("bad");
    vi.advanceTimersByTime(LAG);
    expect(failures).toEqual(["internal_error"]);
  });

  test.each([
    ["a break that is shorter", 150, LAG],
    ["a break as long", LAG, LAG],
    ["a longer one for as long as it lasts", 900, 900],
  ])("covers %s", (_what, breakMs, shownAt) => {
    const { lag, came, shown } = lagging();
    came("a");
    vi.advanceTimersByTime(breakMs);
    lag.goOn();
    came("b");
    expect(shown).toEqual(breakMs < LAG ? [] : ["a", "b"]);
    // What goes on is shown as soon as it can be, but not before what came first.
    vi.advanceTimersByTime(Math.max(0, LAG - breakMs));
    expect([shown, performance.now() >= shownAt]).toEqual([["a", "b"], true]);
    // The time is used up as far as the break took it.
    came("c");
    vi.advanceTimersByTime(Math.max(0, LAG - breakMs));
    expect(shown).toEqual(["a", "b", "c"]);
  });
});

describe("a gate before it", () => {
  function gated() {
    const { lag, shown, memory, failures } = lagging();
    let commits = 0;
    const gate = new Gate({
      next: lag,
      held: memory.open(),
      openAt: "content",
      lagMs: LAG,
      maxBytes: 10_000,
      onFailure: ({ code }) => failures.push(code),
      commit: () => ++commits > 0,
    });
    const came = (data: string, kind: "meta" | "content" = "content"): void => {
      gate.push(event(data), kind);
      gate.flush();
    };
    return { gate, came, shown, memory, commits: () => commits };
  }

  test("opens that long after the first content, and shows each event as late, not twice as late", () => {
    const { came, shown, commits } = gated();
    came("role", "meta");
    vi.advanceTimersByTime(1_000);
    expect(commits()).toBe(0);
    came("a");
    vi.advanceTimersByTime(300);
    came("b");
    vi.advanceTimersByTime(99);
    expect([shown, commits()]).toEqual([[], 0]);
    vi.advanceTimersByTime(1);
    expect([shown, commits()]).toEqual([["role", "a"], 1]);
    vi.advanceTimersByTime(299);
    expect(shown).toEqual(["role", "a"]);
    vi.advanceTimersByTime(1);
    expect(shown).toEqual(["role", "a", "b"]);
  });

  test("has shown nothing of an attempt that fails before, and never does", () => {
    const { gate, came, shown, commits } = gated();
    came("a");
    gate.stop();
    vi.advanceTimersByTime(LAG);
    expect([shown, commits(), vi.getTimerCount()]).toEqual([[], 0, 0]);
  });

  test("opens at once for an answer that is whole before", () => {
    const { gate, came, shown, commits } = gated();
    came("a");
    gate.finish();
    expect([shown, commits(), vi.getTimerCount()]).toEqual([["a", "finish"], 1, 0]);
  });
});
