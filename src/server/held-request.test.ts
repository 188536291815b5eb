import { expect, it } from "vitest";
import { Failure } from "../core/failure.ts";
import { HeldMemory } from "../core/held-memory.ts";
import { HeldRequest } from "./held-request.ts";

const GO = new Failure("overloaded", "no room");

it("counts its body from the first byte until it is released", () => {
  const memory = new HeldMemory(100);
  const held = new HeldRequest(memory);
  held.take(60);
  held.take(30);
  expect(memory.bytes).toBe(90);
  expect(() => held.take(11)).toThrow(expect.objectContaining({ code: "overloaded" }));
  expect(memory.bytes).toBe(90);
  held.release();
  expect(memory.bytes).toBe(0);
});

it("is a newcomer until it is served: while it is read it stops reading, and then its exchange ends", () => {
  const seen: unknown[] = [];
  const held = new HeldRequest(new HeldMemory());
  expect(held.isNewcomer).toBe(true);
  held.onEvicted((failure) => void seen.push(["stopped", failure]));
  held.serve({ abort: (failure) => void seen.push(["aborted", failure]) });
  expect(held.isNewcomer).toBe(false);
  held.evict(GO);
  expect(seen).toEqual([["aborted", GO]]);
  expect(() => held.take(1)).not.toThrow();

  const reading = new HeldRequest(new HeldMemory());
  reading.onEvicted((failure) => void seen.push(["stopped", failure]));
  reading.evict(GO);
  reading.evict(new Failure("overloaded", "once more"));
  expect(seen.slice(1)).toEqual([["stopped", GO]]);
});

it("that had to go before it was read takes no more, and is not served", () => {
  const held = new HeldRequest(new HeldMemory());
  held.evict(GO);
  expect(held.isNewcomer).toBe(true);
  expect(() => held.take(1)).toThrow(GO);
  expect(() => held.serve({ abort: () => {} })).toThrow(GO);
});
