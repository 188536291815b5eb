/** How a client's connection ends: what is done to the response and to its socket, and when. */
import { EventEmitter } from "node:events";
import type { ServerResponse } from "node:http";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { breakConnection } from "./break-connection.ts";
import { cut, endInterrupted, endWhole, flushed, giveUpStalled } from "./connection-end.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setImmediate"] }));
afterEach(() => void vi.useRealTimers());

/** A response, and all that is done to it in order; `stall` is what Node does when its client takes nothing. */
function response({ httpVersionMinor = 1, hasSocket = true, writableFinished = false } = {}) {
  const seen: unknown[] = [];
  const socket = {
    timeout: 0,
    setTimeout: (ms: number) => {
      socket.timeout = ms;
    },
    resetAndDestroy: () => void seen.push("reset"),
    destroy: () => void seen.push("socket destroyed"),
  };
  let stall: () => void = () => void seen.push("nobody minds");
  const raw = Object.assign(new EventEmitter(), {
    socket: hasSocket ? socket : null,
    req: { httpVersionMinor },
    writableFinished,
    end: (bytes?: Buffer) => void seen.push(["end", bytes?.toString()]),
    write(text: string, left: () => void) {
      seen.push(["write", text]);
      raw.once("left", left);
    },
    destroy: () => void seen.push("destroyed"),
    setTimeout(ms: number, listener: () => void) {
      socket.setTimeout(ms);
      stall = listener;
    },
  });
  return { raw: raw as unknown as ServerResponse, socket, seen, stall: () => stall() };
}

test("a whole body ends with its last bytes; a client that takes none of it for 30 s is given up", () => {
  for (const end of [endWhole, giveUpStalled]) {
    const { raw, socket, seen, stall } = response();
    end(raw, Buffer.from("last") as never);
    expect([socket.timeout, seen]).toEqual([30_000, end === endWhole ? [["end", "last"]] : []]);
    stall();
    expect(seen.at(-1)).toBe("destroyed");
  }
});

test("one that was interrupted ends as if it were whole, or is cut once its client can have read why", () => {
  const clean = response();
  endInterrupted(clean.raw, "clean");
  const broken = response();
  endInterrupted(broken.raw, "cut");
  vi.advanceTimersByTime(5_000);
  expect([clean.seen, broken.seen]).toEqual([[["end", undefined]], [["write", ""]]]);
  broken.raw.emit("left");
  vi.advanceTimersByTime(199);
  expect(broken.seen).toHaveLength(1);
  vi.advanceTimersByTime(1);
  expect(broken.seen.slice(1)).toEqual(["destroyed"]);
  expect([clean.socket.timeout, broken.socket.timeout]).toEqual([3_000, 3_000]);
});

test("a cut is a reset where the end of the connection would be the end of the body", () => {
  const [now, old] = [response(), response({ httpVersionMinor: 0 })];
  cut(now.raw);
  cut(old.raw);
  expect([now.seen, old.seen]).toEqual([["destroyed"], ["reset", "socket destroyed", "destroyed"]]);
});

test("the time is its response's alone: gone when that has left, unless it is another's by then", () => {
  const [own, others] = [response(), response()];
  for (const { raw } of [own, others]) giveUpStalled(raw);
  others.socket.timeout = 7;
  for (const { raw } of [own, others]) raw.emit("finish");
  expect([own.socket.timeout, others.socket.timeout]).toEqual([0, 7]);
  const over = response({ writableFinished: true });
  endWhole(over.raw);
  over.stall();
  expect([over.socket.timeout, over.seen.at(-1)]).toEqual([0, "nobody minds"]);
});

test("one whose turn has not come has no time yet, and then begins after Node's own", () => {
  const { raw, socket, seen, stall } = response({ hasSocket: false });
  giveUpStalled(raw);
  expect(socket.timeout).toBe(0);
  Object.assign(raw, { socket });
  raw.emit("socket");
  expect(socket.timeout).toBe(0);
  vi.runAllTimers();
  expect(socket.timeout).toBe(30_000);
  stall();
  expect(seen).toEqual(["destroyed"]);
});

test("whether all was taken is known when it was, when it never will be, and when nobody waits any more", async () => {
  expect(await flushed(response({ writableFinished: true }).raw, new AbortController().signal)).toBe(true);
  for (const writableFinished of [true, false]) {
    const { raw } = response();
    const taken = flushed(raw, new AbortController().signal);
    Object.assign(raw, { writableFinished });
    raw.emit("close");
    expect(await taken).toBe(writableFinished);
  }
  const { raw } = response();
  const given = new AbortController();
  const taken = flushed(raw, given.signal);
  given.abort();
  expect([await taken, raw.listenerCount("close")]).toEqual([false, 0]);
});

test("a connection breaks below TLS, and where it knows no reset it ends as it can", () => {
  const seen: string[] = [];
  const socket = (name: string, more: object = {}): never =>
    ({ resetAndDestroy: () => seen.push(`${name} reset`), destroy: () => seen.push(`${name} destroyed`), ...more }) as never;
  const noReset = (): never => {
    throw new TypeError("no TCP");
  };
  breakConnection(null);
  breakConnection(socket("tcp"));
  breakConnection(socket("tls", { _parent: socket("below") }));
  breakConnection(socket("tls of its own", { _parent: null }));
  breakConnection(socket("pipe", { resetAndDestroy: noReset }));
  expect(seen).toEqual([
    ...["tcp reset", "tcp destroyed", "below reset", "tls destroyed"],
    ...["tls of its own reset", "tls of its own destroyed", "pipe destroyed"],
  ]);
});
