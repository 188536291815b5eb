/** What outlives one step of a run: the gate's state between events, and the clients of a journal that come and go. */
import { describe, expect, test } from "vitest";
import type { EventKind } from "../src/core/event-sink.ts";
import { HeldMemory, heldBytes } from "../src/core/held-memory.ts";
import { type StreamEvent, wireBytes } from "../src/core/stream-event.ts";
import { Gate } from "../src/run/gate.ts";
import { ForwardingJournal, type RunClient } from "../src/run/journal.ts";

const event = (data: string): StreamEvent => ({ event: undefined, data });

interface Recorded extends RunClient {
  readonly told: string[];
  flows: boolean;
  drain(): void;
}

function recorder(): Recorded {
  const told: string[] = [];
  const listeners = new Set<() => void>();
  const client: Recorded = {
    told,
    flows: true,
    push: ({ data }, kind) => void told.push(`${kind} ${data}`),
    flush() {
      told.push("flush");
      return client.flows;
    },
    finish: () => void told.push("finish"),
    progress: ({ at }) => void told.push(`progress ${at}`),
    commit: (headers) => void told.push(`commit ${Object.keys(headers)}`),
    begin: (status) => void told.push(`begin ${status}`),
    write(chunk) {
      told.push(`write ${chunk}`);
      return client.flows;
    },
    onDrain(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    drain() {
      for (const listener of listeners) listener();
    },
  };
  return client;
}

function gate({ openAt = "content" as "content" | "whole", maxBytes = 1_000, wins = true } = {}) {
  const next = recorder();
  const memory = new HeldMemory();
  let commits = 0;
  const built = new Gate({
    next,
    held: memory.open(),
    openAt,
    maxBytes,
    commit() {
      commits++;
      return wins;
    },
  });
  return { gate: built, next, memory, commits: () => commits };
}

describe("a gate", () => {
  test("holds what proves nothing, and gives all of it in order at the first content, once", () => {
    const { gate: held, next, memory, commits } = gate();
    held.push(event("a"), "meta");
    held.push(event("b"), "meta");
    expect([next.told, commits(), memory.bytes]).toEqual([[], 0, 2 * heldBytes(event("a"))]);
    held.push(event("c"), "content");
    held.push(event("d"), "meta");
    held.push(event("e"), "content");
    expect([next.told, commits(), memory.bytes]).toEqual([["meta a", "meta b", "content c", "meta d", "content e"], 1, 0]);
  });

  test.each<[EventKind, boolean]>([
    ["content", true],
    ["tool-call", true],
    ["meta", false],
  ])("at %s: open is %s", (kind, opens) => {
    const { gate: held, commits } = gate();
    held.push(event("a"), kind);
    expect(commits()).toBe(opens ? 1 : 0);
  });

  test("that opens when the answer is whole opens at no content, and at its end", () => {
    const { gate: held, next, commits } = gate({ openAt: "whole" });
    held.push(event("a"), "content");
    held.push(event("b"), "content");
    expect([next.told, commits(), held.flush()]).toEqual([[], 0, true]);
    held.finish();
    held.finish();
    expect([next.told, commits()]).toEqual([["content a", "content b", "finish", "finish"], 1]);
  });

  test.each([
    ["one below", -1, 1],
    ["at", 0, 1],
    ["one above", 1, 2],
  ])("with two events that are %s its limit", (_what, more, opened) => {
    const two = 2 * wireBytes(event("a"));
    for (const openAt of ["content", "whole"] as const) {
      const { gate: held, commits } = gate({ openAt, maxBytes: two - more });
      held.push(event("a"), "meta");
      expect(commits()).toBe(0);
      held.push(event("a"), "meta");
      expect(commits(), openAt).toBe(opened === 2 ? 1 : 0);
    }
  });

  test("with a limit of zero opens at the first event", () => {
    const { gate: held, next } = gate({ maxBytes: 0 });
    held.push(event("a"), "meta");
    expect(next.told).toEqual(["meta a"]);
  });

  test("of an attempt that another has beaten gives nothing, now and later, and holds nothing", () => {
    const { gate: held, next, memory, commits } = gate({ wins: false });
    held.push(event("a"), "content");
    held.push(event("b"), "content");
    held.finish();
    expect([next.told, commits(), memory.bytes, held.flush()]).toEqual([[], 1, 0, true]);
  });

  test("asks what is behind it whether it flows once it is open, and not before", () => {
    const { gate: held, next } = gate();
    next.flows = false;
    expect(held.flush()).toBe(true);
    held.push(event("a"), "content");
    expect(held.flush()).toBe(false);
    next.flows = true;
    expect(held.flush()).toBe(true);
  });
});

describe("a journal", () => {
  test("gives each of its clients everything in order, from when it came to when it left", () => {
    const journal = new ForwardingJournal();
    const [first, second] = [recorder(), recorder()];
    const leave = journal.attach(first);
    journal.commit({ a: "1" });
    journal.push(event("x"), "content");
    journal.attach(second);
    expect(journal.clientCount).toBe(2);
    journal.push(event("y"), "meta");
    leave();
    expect(journal.clientCount).toBe(1);
    journal.finish();
    expect([first.told, second.told]).toEqual([
      ["commit a", "content x", "meta y"],
      ["meta y", "finish"],
    ]);
  });

  test.each([
    [true, true, true],
    [true, false, false],
    [false, true, false],
    [false, false, false],
  ])("flows as its slowest client does (%s, %s)", (one, other, flows) => {
    const journal = new ForwardingJournal();
    const clients = [one, other].map((value) => Object.assign(recorder(), { flows: value }));
    for (const client of clients) journal.attach(client);
    journal.begin(206, {});
    expect([journal.flush(), journal.write(Buffer.from("z"))]).toEqual([flows, flows]);
    // Whether or not another is slow.
    for (const { told } of clients) expect(told).toEqual(["begin 206", "flush", "write z"]);
  });

  test("tells of each drain of each client, and of a client that leaves, until it is asked no more", () => {
    const journal = new ForwardingJournal();
    const [first, second] = [recorder(), recorder()];
    const leave = journal.attach(first);
    journal.attach(second);
    let drained = 0;
    const stop = journal.onDrain(() => drained++);
    first.drain();
    second.drain();
    expect(drained).toBe(2);
    leave();
    expect(drained).toBe(3);
    first.drain();
    expect(drained).toBe(3);
    stop();
    second.drain();
    expect(drained).toBe(3);
  });

  test("without clients flows", () => {
    const journal = new ForwardingJournal();
    journal.attach(recorder())();
    expect([journal.clientCount, journal.flush(), journal.write(Buffer.from("z"))]).toEqual([0, true, true]);
  });
});
