import { EventEmitter } from "node:events";
import type { Server } from "node:http";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { type CrowdedOut, watchClientConnections } from "./client-connections.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

class FakeSocket extends EventEmitter {
  destroyed = false;
  destroy(): void {
    if (this.destroyed) return;
    this.destroyed = true;
    // As Node does: not at once.
    queueMicrotask(() => this.emit("close"));
  }
}

/** A server for `most` connections, and one newcomer more. */
function watched(most: number) {
  const server = Object.assign(new EventEmitter(), { maxConnections: most + 1 });
  const told: CrowdedOut[] = [];
  const waits: number[] = [];
  watchClientConnections(server as unknown as Server, {
    onCrowded: (closed) => void told.push(closed),
    onFirstRequest: (ms) => void waits.push(ms),
  });
  return {
    server,
    told,
    waits,
    connect(): FakeSocket {
      const socket = new FakeSocket();
      server.emit("connection", socket);
      return socket;
    },
    /** @returns what ends the response. */
    ask(socket: object): () => void {
      const response = new EventEmitter();
      server.emit("request", { socket }, response);
      return () => void response.emit("close");
    },
  };
}

const settle = (): Promise<unknown> => vi.advanceTimersByTimeAsync(0);
const open = (...sockets: FakeSocket[]): boolean[] => sockets.map(({ destroyed }) => !destroyed);

it("closes the one that has been silent for longest, and never one that is being answered", async () => {
  const { connect, ask } = watched(3);
  const [first, second, third] = [connect(), connect(), connect()];
  const answered = ask(first);
  const piped = ask(first);
  expect(open(first, second, third)).toEqual([true, true, true]);
  const fourth = connect();
  await settle();
  expect(open(first, second, third, fourth)).toEqual([true, false, true, true]);
  // Of two requests one is still being answered; with the second it falls silent, behind the others.
  answered();
  const fifth = connect();
  await settle();
  expect(open(first, third, fourth, fifth)).toEqual([true, false, true, true]);
  piped();
  connect();
  await settle();
  expect(open(first, fourth, fifth)).toEqual([true, false, true]);
  for (const gone of [fifth, first]) {
    connect();
    await settle();
    expect(open(gone)).toEqual([false]);
  }
});

it("closes the newcomer where all others are being answered, and counts no connection that has closed", async () => {
  const { connect, ask, told } = watched(2);
  const [first, second] = [connect(), connect()];
  const ends = [ask(first), ask(second)];
  const refused = connect();
  await settle();
  expect(open(first, second, refused)).toEqual([true, true, false]);
  expect(told).toEqual([{ refused: 1, silent: 0 }]);
  // Closed while it is answered: its response closes behind it.
  first.destroy();
  await settle();
  ends[0]?.();
  const third = connect();
  await settle();
  expect(open(second, third)).toEqual([true, true]);
  const fourth = connect();
  await settle();
  expect(open(second, third, fourth)).toEqual([true, false, true]);
  // And one that its own answer ends is not silent again.
  second.destroy();
  ends[1]?.();
  await settle();
  const fifth = connect();
  await settle();
  expect(open(fourth, fifth)).toEqual([true, true]);
});

it("tells at once that connections were closed, and then once a minute how many more", async () => {
  const { connect, server, told } = watched(1);
  connect();
  for (let each = 0; each < 3; each++) connect();
  server.emit("drop");
  await settle();
  expect(told).toEqual([{ refused: 0, silent: 1 }]);
  await vi.advanceTimersByTimeAsync(59_999);
  expect(told).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(1);
  expect(told.slice(1)).toEqual([{ refused: 1, silent: 2 }]);
  // A minute without any says nothing, and the next is told at once again.
  await vi.advanceTimersByTimeAsync(60_000);
  expect([told.length, vi.getTimerCount()]).toEqual([2, 0]);
  connect();
  expect(told.slice(2)).toEqual([{ refused: 0, silent: 1 }]);
});

it("says how long each connection took to its first request, under TLS as well", async () => {
  const { connect, ask, waits } = watched(9);
  const plain = connect();
  await vi.advanceTimersByTimeAsync(250);
  const accepted = connect();
  await vi.advanceTimersByTimeAsync(40);
  ask(plain)();
  ask({ _parent: accepted })();
  ask(plain)();
  ask(new FakeSocket())();
  expect(waits).toEqual([290, 40]);
});
