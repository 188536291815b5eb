import { afterEach, expect, test, vi } from "vitest";
import type { Attempt } from "../core/attempt.ts";
import type { Exchange } from "../core/exchange.ts";
import type { Observer } from "../core/observer.ts";
import { combineObservers, combinePropagators } from "./combine-observers.ts";
import { createDefectLog } from "./defect-log.ts";
import { createLogger } from "./logger.ts";

afterEach(() => void vi.useRealTimers());

const exchange = {} as Exchange;
const attempt = {} as Attempt;
const fail = (): never => {
  throw new Error("S3CRET");
};

test("everybody is told, in order, with what there is to tell, also behind one that throws", () => {
  const told: unknown[] = [];
  const recorder = (name: string): Observer => ({ onAttemptEnd: (...args) => told.push([name, ...args]) });
  const defects: unknown[] = [];
  const observer = combineObservers(
    [recorder("a"), undefined, { onAttemptEnd: fail }, {}, recorder("b")],
    (thrown) => void defects.push(thrown),
  );
  observer.onAttemptEnd?.(exchange, attempt);
  expect(told).toEqual([
    ["a", exchange, attempt],
    ["b", exchange, attempt],
  ]);
  expect(defects).toEqual([new Error("S3CRET")]);
});

test("an observer keeps its own `this`", () => {
  const counter = {
    ends: 0,
    onExchangeEnd() {
      this.ends++;
    },
  };
  combineObservers([counter], () => {}).onExchangeEnd?.(exchange, {} as never);
  expect(counter.ends).toBe(1);
});

test("a log of defects that fails changes nothing either", () => {
  const observer = combineObservers([{ onAttemptStart: fail }], fail);
  expect(() => observer.onAttemptStart?.(exchange, attempt)).not.toThrow();
});

test("headers of all propagators go out, and one that throws takes none away", () => {
  const defects: unknown[] = [];
  const propagator = combinePropagators(
    [{ headersFor: () => ({ a: "1" }) }, undefined, { headersFor: fail }, { headersFor: () => ({ b: "2" }) }],
    (thrown) => void defects.push(thrown),
  );
  expect(propagator.headersFor(exchange, attempt)).toEqual({ a: "1", b: "2" });
  expect(defects).toHaveLength(1);
});

test("defects are logged once a minute at most, without their message, which may quote a prompt", () => {
  vi.useFakeTimers({ toFake: ["performance"] });
  const lines: string[] = [];
  const logger = createLogger({ level: "info", format: "json" }, { write: (line) => void lines.push(line) });
  const tell = createDefectLog(logger);
  const logged = (afterMs: number): number => {
    vi.advanceTimersByTime(afterMs);
    tell(new TypeError("S3CRET"));
    return lines.length;
  };
  expect([logged(0), logged(1), logged(59_000), logged(1_000), logged(1)]).toEqual([1, 1, 1, 2, 2]);
  expect(JSON.parse(lines[0] as string)).toMatchObject({ level: "error", err: { name: "TypeError" } });
  expect(lines.join()).not.toContain("S3CRET");
});
