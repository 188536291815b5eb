import { EventEmitter } from "node:events";
import type { ServerResponse } from "node:http";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { createFeed, type Viewer } from "./feed.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A page; one that does not read has a full buffer after its first event. */
function page({ reads = true, mayLook = (): boolean => true } = {}) {
  const written: string[] = [];
  const response = Object.assign(new EventEmitter(), {
    writableNeedDrain: false,
    ended: "",
    writeHead: () => response,
    write(text: string) {
      written.push(text);
      response.writableNeedDrain = !reads;
    },
    close(how: string) {
      response.ended ||= how;
      response.emit("close");
    },
    end: () => response.close("ended"),
    destroy: () => response.close("destroyed"),
  });
  return { written, response, viewer: { response: response as unknown as ServerResponse, mayLook } satisfies Viewer };
}

it("tells every page the same once a second, and computes nothing while none is open", () => {
  const view = vi.fn(() => ({ n: 1 }));
  const feed = createFeed(view);
  vi.advanceTimersByTime(5_000);
  expect(view).not.toHaveBeenCalled();
  const [a, b] = [page(), page()];
  feed.add(a.viewer);
  feed.add(b.viewer);
  vi.advanceTimersByTime(3_000);
  expect([a.written.length, b.written.length, view.mock.calls.length]).toEqual([4, 4, 5]);
  a.response.end();
  b.response.end();
  vi.advanceTimersByTime(3_000);
  expect(view).toHaveBeenCalledTimes(5);
});

it("does not pile up events for a page that never reads, and gives its place away", () => {
  const feed = createFeed(() => ({}));
  const stuck = page({ reads: false });
  feed.add(stuck.viewer);
  for (let n = 1; n < 64; n++) expect(feed.add(page({ reads: false }).viewer)).toBe(true);
  expect(feed.add(page().viewer)).toBe(false);
  vi.advanceTimersByTime(59_000);
  expect([stuck.written.length, stuck.response.ended]).toEqual([1, ""]);
  vi.advanceTimersByTime(3_000);
  expect(stuck.response.ended).toBe("destroyed");
  expect(feed.add(page().viewer)).toBe(true);
});

it("a page that reads on in time stays", () => {
  const feed = createFeed(() => ({}));
  const slow = page({ reads: false });
  feed.add(slow.viewer);
  for (let n = 0; n < 4; n++) {
    vi.advanceTimersByTime(50_000);
    slow.response.writableNeedDrain = false;
  }
  expect(slow.response.ended).toBe("");
});

it("ends a page whose key was taken away, and all of them at the end; what does not read is cut", () => {
  let mayLook = true;
  const feed = createFeed(() => ({}));
  const [keyed, open, stuck] = [page({ mayLook: () => mayLook }), page(), page({ reads: false })];
  for (const { viewer } of [keyed, open, stuck]) feed.add(viewer);
  mayLook = false;
  vi.advanceTimersByTime(1_000);
  expect([keyed.response.ended, open.response.ended]).toEqual(["ended", ""]);
  feed.close();
  expect([open.response.ended, stuck.response.ended]).toEqual(["ended", "destroyed"]);
});

it("a defect in what is shown ends the pages, and not the program", () => {
  let isBroken = false;
  const feed = createFeed(() => {
    if (isBroken) throw new Error("a defect");
    return {};
  });
  const { viewer, response } = page();
  feed.add(viewer);
  isBroken = true;
  expect(() => vi.advanceTimersByTime(1_000)).not.toThrow();
  expect(response.ended).toBe("ended");
});

it("tells what is only promised once it is there, and not those who have left meanwhile", async () => {
  let keep: (seen: unknown) => void = () => {};
  const feed = createFeed(() => new Promise((resolve) => (keep = resolve)));
  const [stays, leaves] = [page(), page()];
  feed.add(leaves.viewer);
  keep({ n: 1 });
  await vi.advanceTimersByTimeAsync(0);
  feed.add(stays.viewer);
  leaves.response.end();
  keep({ n: 2 });
  await vi.advanceTimersByTimeAsync(0);
  expect([leaves.written.length, stays.written]).toEqual([1, ['data: {"n":2}\n\n']]);
  const broken = createFeed(() => Promise.reject(new Error("a defect")));
  const last = page();
  broken.add(last.viewer);
  await vi.advanceTimersByTimeAsync(0);
  expect(last.response.ended).toBe("ended");
});
