import { describe, expect, it } from "vitest";
import type { Failure } from "./failure.ts";
import { HeldMemory, type HeldShare } from "./held-memory.ts";

const microtasks = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A holder that goes when it is told to. */
function holding(memory: HeldMemory, name: string, ended: string[], isNewcomer = false): HeldShare {
  const share = memory.open({
    isNewcomer,
    evict(failure: Failure) {
      ended.push(`${name} ${failure.code}`);
      share.release();
    },
  });
  return share;
}

describe("HeldMemory", () => {
  it("sums what its shares hold, and nothing once they are released, however often", () => {
    const memory = new HeldMemory();
    const [one, two] = [memory.open(), memory.open()];
    one.add(10);
    two.set(7);
    two.set(5);
    expect(memory.bytes).toBe(15);
    one.release();
    one.release();
    one.add(99);
    expect(memory.bytes).toBe(5);
    two.release();
    expect(memory.bytes).toBe(0);
  });

  it("ends the largest when there is no room, and no more than needed", async () => {
    const ended: string[] = [];
    const memory = new HeldMemory(100);
    holding(memory, "small", ended).add(20);
    holding(memory, "large", ended).add(50);
    holding(memory, "growing", ended).add(40);
    expect(ended).toEqual([]);
    await microtasks();
    expect(ended).toEqual(["large overloaded"]);
    expect(memory.bytes).toBe(60);
  });

  it("counts on what leaves: one that takes its time to go takes no other with it", async () => {
    const ended: string[] = [];
    const memory = new HeldMemory(100);
    const slow = memory.open({ evict: ({ code }) => ended.push(code) });
    slow.add(60);
    holding(memory, "other", ended).add(50);
    await microtasks();
    holding(memory, "next", ended).add(10);
    await microtasks();
    expect(ended).toEqual(["overloaded"]);
    slow.release();
    expect(memory.bytes).toBe(60);
  });

  it("asks the largest to hand on what it holds before it ends it, the last station first", async () => {
    const ended: string[] = [];
    const memory = new HeldMemory(100);
    const share = holding(memory, "hold", ended);
    share.onPressure(() => ended.push("gate"));
    share.onPressure(() => {
      ended.push("hold");
      share.set(5);
    });
    holding(memory, "small", ended).add(30);
    share.add(80);
    await microtasks();
    expect(ended).toEqual(["hold", "gate"]);
    expect(memory.bytes).toBe(35);
  });

  it("leaves time to read what was handed on, which clients' streams write only in a microtask", async () => {
    const ended: string[] = [];
    const memory = new HeldMemory(100);
    const [gate, unread] = [holding(memory, "gate", ended), holding(memory, "unread", ended)];
    gate.onPressure(() => {
      gate.set(0);
      queueMicrotask(() => unread.set(110));
    });
    gate.add(110);
    await microtasks();
    expect(ended).toEqual([]);
    expect(memory.bytes).toBe(110);
    holding(memory, "growing", ended).add(101);
    await microtasks();
    expect(ended).toEqual(["unread overloaded"]);
  });

  it("ends one that hands nothing on", async () => {
    const ended: string[] = [];
    const memory = new HeldMemory(100);
    const share = holding(memory, "stuck", ended);
    share.onPressure(() => {});
    share.add(101);
    await microtasks();
    expect(ended).toEqual(["stuck overloaded"]);
  });

  it("turns a newcomer away for which something that runs would have to go", async () => {
    const ended: string[] = [];
    const memory = new HeldMemory(100);
    holding(memory, "running", ended).add(90);
    expect(() => memory.admit(11)).toThrow(expect.objectContaining({ code: "overloaded", status: 503, retryAfterMs: 1_000 }));
    memory.admit(10);
    await microtasks();
    expect(ended).toEqual([]);
  });

  it("turns the largest newcomer away first", () => {
    const ended: string[] = [];
    const memory = new HeldMemory(100);
    holding(memory, "upload", ended, true).add(60);
    holding(memory, "running", ended).add(30);
    const mine = holding(memory, "mine", ended, true);
    memory.admit(20, mine);
    mine.add(20);
    expect(ended).toEqual(["upload overloaded"]);
    expect(() => memory.admit(70, mine)).toThrow("limits.maxHeldBytes");
  });

  it("follows a limit that changes", async () => {
    const ended: string[] = [];
    const memory = new HeldMemory(100);
    const share = holding(memory, "one", ended);
    share.add(90);
    memory.maxBytes = 50;
    share.add(1);
    await microtasks();
    expect(ended).toEqual(["one overloaded"]);
  });
});
