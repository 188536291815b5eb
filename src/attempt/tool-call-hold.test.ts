/** Tool calls on their way: whole, or not at all, within bounds of time and size. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { StreamInspector } from "../core/dialect.ts";
import type { EventKind } from "../core/event-sink.ts";
import { HeldMemory, heldBytes } from "../core/held-memory.ts";
import { type StreamEvent, wireBytes } from "../core/stream-event.ts";
import { ToolCallHold } from "./tool-call-hold.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Before `:` what it is of a call: its beginning, more, its end; else no part of one. */
type Said = `${"begin" | "more" | "end"}:${string}` | string;

function holding({ maxBytes = 100, maxEventBytes = 1_000_000, maxMs = 1_000, knows = true, breaks = false } = {}) {
  const told: string[] = [];
  const memory = new HeldMemory(1_000_000);
  const failures: string[] = [];
  let isOpen = false;
  let toolBytes = 0;
  let toolCalls = 0;
  const inspector = {
    hasOpenToolCall: () => isOpen,
    get toolBytes() {
      return knows ? toolBytes : undefined;
    },
    get toolCalls() {
      return toolCalls;
    },
  } as unknown as StreamInspector;
  const held = memory.open({ evict() {} });
  const hold = new ToolCallHold({
    next: {
      push({ data }) {
        if (breaks) throw new Error("no room");
        told.push(data);
      },
      flush() {
        told.push("flush");
        return true;
      },
      finish: () => void told.push("finish"),
    },
    ...{ inspector, held, maxMs, maxBytes, maxEventBytes },
    onFailure: ({ code }) => failures.push(code),
  });
  const eventOf = (data: string): StreamEvent => ({ event: undefined, data });
  return {
    hold,
    told,
    failures,
    memory,
    held,
    say(...all: Said[]) {
      for (const one of all) {
        const [what, text = ""] = one.split(":");
        const isCall = what === "begin" || what === "more" || what === "end";
        if (what === "begin") toolCalls++;
        if (isCall) {
          isOpen = what !== "end";
          toolBytes += text.length;
        }
        const kind: EventKind = isCall ? "tool-call" : "content";
        hold.push(eventOf(one), kind);
      }
    },
    sizeOf: (...all: string[]) => all.reduce((sum, data) => sum + heldBytes(eventOf(data)), 0),
    wireOf: (...all: string[]) => all.reduce((sum, data) => sum + wireBytes(eventOf(data)), 0),
  };
}

describe("a call", () => {
  test("is given when it is complete, in order with what came meanwhile; what came before it at once", () => {
    const { say, told, memory, sizeOf } = holding();
    say("hello", "begin:{", "more:1", "words");
    expect([told, memory.bytes]).toEqual([["hello"], sizeOf("begin:{", "more:1", "words")]);
    say("end:}", "bye");
    expect([told, memory.bytes]).toEqual([["hello", "begin:{", "more:1", "words", "end:}", "bye"], 0]);
  });

  test("that comes in one piece is given at once, and so is one after the other", () => {
    const { say, told, memory } = holding();
    say("end:{}", "begin:{", "end:}", "begin:{");
    expect(told).toEqual(["end:{}", "begin:{", "end:}"]);
    expect(memory.bytes).toBeGreaterThan(0);
  });

  test("that is cut is given to nobody; that ends with the stream is", () => {
    const cut = holding();
    cut.say("begin:{");
    cut.hold.stop();
    vi.advanceTimersByTime(10_000);
    expect([cut.told, cut.failures]).toEqual([[], []]);
    const ended = holding();
    ended.say("begin:{");
    ended.hold.finish();
    expect([ended.told, ended.memory.bytes]).toEqual([["begin:{", "finish"], 0]);
    vi.advanceTimersByTime(10_000);
    expect(ended.told).toEqual(["begin:{", "finish"]);
  });

  test("is released when its time is up, and goes on as it comes; the next one is held again", () => {
    const { say, told, memory } = holding();
    say("begin:{");
    vi.advanceTimersByTime(999);
    expect(told).toEqual([]);
    vi.advanceTimersByTime(1);
    expect([told, memory.bytes]).toEqual([["begin:{", "flush"], 0]);
    say("more:1", "words", "end:}", "begin:{");
    expect(told.slice(2)).toEqual(["more:1", "words", "end:}"]);
    vi.advanceTimersByTime(1_000);
    expect(told.slice(5)).toEqual(["begin:{", "flush"]);
    // The next one of the same message, behind one that never was complete.
    say("begin:[");
    expect(told.slice(7)).toEqual([]);
  });

  test("has its time from its own beginning", () => {
    const { say, told } = holding();
    say("begin:{");
    vi.advanceTimersByTime(900);
    say("end:}", "begin:[");
    vi.advanceTimersByTime(900);
    expect(told).toEqual(["begin:{", "end:}"]);
    vi.advanceTimersByTime(100);
    expect(told.slice(2)).toEqual(["begin:[", "flush"]);
  });

  test.each([
    ["at", 0, []],
    ["above", 1, ["begin:", "more:xxxxxxxxxx"]],
  ] as const)("whose arguments are %s the limit: what went before does not count", (_what, more, told) => {
    const it = holding({ maxBytes: 10 - more });
    it.say("end:yyyyyyyyyyyyyyyyyyyy", "begin:", "more:xxxxxxxxxx");
    expect(it.told.slice(1)).toEqual(told);
  });

  test.each([
    ["at", 0, []],
    ["above", 1, ["begin:", "more:xxxxxxxxxx"]],
  ] as const)("whose events are %s their limit, or the one limit where nobody counts arguments", (_what, more, told) => {
    for (const knows of [true, false]) {
      const bytes = holding().wireOf("begin:", "more:xxxxxxxxxx") - more;
      const it = holding(knows ? { maxEventBytes: bytes } : { maxBytes: bytes, knows });
      it.say("begin:", "more:xxxxxxxxxx");
      expect(it.told).toEqual(told);
    }
  });

  test("that was released for its time counts anew from there", () => {
    const it = holding({ maxBytes: 10 });
    it.say("begin:xxxxxxxx");
    vi.advanceTimersByTime(1_000);
    it.say("begin:xxxxxxxx");
    expect(it.told).toEqual(["begin:xxxxxxxx", "flush"]);
  });

  test("is released where memory is short", async () => {
    const { say, told, memory } = holding();
    say("begin:{");
    memory.maxBytes = 1;
    memory.open().add(1);
    // At once: its time would release it as well, later.
    await Promise.resolve();
    expect(told).toEqual(["begin:{", "flush"]);
    say("more:1");
    expect(told.slice(2)).toEqual(["more:1"]);
  });

  test("that cannot be handed on when its time is up is a failure of its attempt", () => {
    const { say, failures } = holding({ breaks: true });
    say("begin:{");
    vi.advanceTimersByTime(1_000);
    expect(failures).toEqual(["internal_error"]);
  });
});

test("asks what is behind it whether it flows", () => {
  const { hold, told } = holding();
  expect([hold.flush(), told]).toEqual([true, ["flush"]]);
});
