import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { RunClient } from "../run/journal.ts";
import type { KeptEnd, ReadEnd } from "../run/kept-answer.ts";
import { type More, RemoteReading } from "./remote-reading.ts";

const WHOLE: KeptEnd = { kind: "answered", result: { kind: "streamed", repaired: false }, outcome: "complete", seams: [] };
const numbered = (number: number) =>
  ({ number, event: { event: undefined, data: "x", characters: 1 }, kind: "content" }) as const;

/** A client, and a store that has the events up to `last`, and says that there are as many as `of`. */
function reading({ last, of, isWilling = true }: { last: number; of: number; isWilling?: boolean }) {
  const client = {
    progress() {},
    commit() {},
    push: vi.fn(),
    flush: () => isWilling,
    finish: vi.fn(),
    begin() {},
    write: () => true,
    onDrain: () => () => {},
    takeOrLeave: vi.fn(),
  } satisfies RunClient;
  const got: { end: ReadEnd | undefined; client: typeof client; isOver: boolean } = { end: undefined, client, isOver: isWilling };
  void new RemoteReading({
    client,
    after: 0,
    signal: new AbortController().signal,
    more: async (number): Promise<More> => ({
      head: {},
      lease: "1",
      isGone: false,
      ...(got.isOver ? { end: WHOLE, last: of } : { end: undefined, last: undefined }),
      events: number < last ? [numbered(number + 1)] : [],
    }),
    onMore: () => () => {},
    onReading() {},
    onLost: async () => false,
  }).ended.then((end) => {
    got.end = end;
  });
  return got;
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

it("is whole with all of its events, and not where the store could not take the last of them", async () => {
  const [whole, part] = [reading({ last: 3, of: 3 }), reading({ last: 2, of: 3 })];
  await vi.advanceTimersByTimeAsync(0);
  expect([whole.client.push.mock.calls.length, whole.end]).toEqual([3, { kind: "over", end: WHOLE }]);
  expect(part.end).toMatchObject({ kind: "left", failure: { code: "stream_truncated" } });
  expect(part.client.finish).not.toHaveBeenCalled();
});

it("does not wait without end for a client that takes nothing: once no more is made it is to take it or leave", async () => {
  const got = reading({ last: 3, of: 3, isWilling: false });
  await vi.advanceTimersByTimeAsync(60_000);
  expect(got.client.takeOrLeave).not.toHaveBeenCalled();
  got.isOver = true;
  await vi.advanceTimersByTimeAsync(10_000);
  expect(got.client.takeOrLeave).toHaveBeenCalled();
});
