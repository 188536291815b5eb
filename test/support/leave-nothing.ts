/** A setup file. Files share a process: one that leaves variables, globals, listeners or fake timers behind fails, and not the one after it. */
import { afterAll, expect, vi } from "vitest";

const shared = () => ({
  variables: { ...process.env },
  // Those with underscores are libraries', once they are loaded.
  globals: Object.keys(globalThis).filter((name) => !name.startsWith("__")),
  listeners: process
    .eventNames()
    .filter((name) => /^(SIG|warning|uncaught|unhandled)/.test(String(name)))
    .map((name) => `${String(name)}: ${process.listenerCount(name)}`),
  hasFakeTimers: vi.isFakeTimers(),
  // By identity: a clock may be left behind by other ways than those of vi.
  clocks: { Date, setTimeout, clearTimeout, setInterval, clearInterval, setImmediate, now: Date.now },
});

const before = shared();

// Registered first, so called last, behind the hooks of the file.
afterAll(() => {
  // A spy made of a fake clock would bring that clock back whenever some other file restores its own.
  vi.restoreAllMocks();
  const after = shared();
  // Or each file behind it would fail as well.
  vi.unstubAllEnvs();
  vi.unstubAllGlobals();
  vi.useRealTimers();
  expect(after, "what this file leaves behind").toEqual(before);
});
