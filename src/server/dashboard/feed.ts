/** What open pages are told, once a second and all the same: nothing is computed while no page is open. */
import type { ServerResponse } from "node:http";

export interface Feed {
  /** @returns false when as many pages are open as there may be. */
  add(viewer: Viewer): boolean;
  close(): void;
}

export interface Viewer {
  readonly response: ServerResponse;
  /** Asked each time: a key may be taken away while its page is open. */
  readonly mayLook: () => boolean;
}

const EVERY_MS = 1_000;
const MAX_VIEWERS = 64;
/** In a row, so also in seconds. */
const MAX_MISSED = 60;
const HEAD = {
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-store, no-transform",
  "x-accel-buffering": "no",
  "x-content-type-options": "nosniff",
};

/** @param view what is told, or a promise of it; undefined when there is no dashboard any more. What it throws ends the pages, and nothing else. */
export function createFeed(view: () => unknown): Feed {
  /** Each with how many events in a row it could not be told. */
  const viewers = new Map<Viewer, number>();
  let timer: NodeJS.Timeout | undefined;

  function remove(viewer: Viewer): void {
    viewers.delete(viewer);
    if (viewers.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  }

  function tell(told: readonly Viewer[]): void {
    const now = safely(view);
    if (now instanceof Promise) {
      // Some may have closed their page meanwhile.
      const isThere = (viewer: Viewer): boolean => viewers.has(viewer) && !viewer.response.writableEnded;
      const showLate = (seen: unknown): void => show(told.filter(isThere), seen);
      now.then(showLate, () => showLate(undefined));
    } else show(told, now);
  }

  function show(told: readonly Viewer[], now: unknown): void {
    const event = `data: ${JSON.stringify(now)}\n\n`;
    for (const viewer of told) {
      if (now === undefined || !viewer.mayLook()) finish(viewer.response);
      else if (!viewer.response.writableNeedDrain) {
        viewers.set(viewer, 0);
        viewer.response.write(event);
      } else {
        // A page that is too slow misses some: each tells everything. One that never reads makes room for others.
        const missed = (viewers.get(viewer) ?? 0) + 1;
        viewers.set(viewer, missed);
        if (missed > MAX_MISSED) viewer.response.destroy();
      }
    }
  }

  return {
    add(viewer) {
      if (viewers.size >= MAX_VIEWERS) return false;
      viewer.response.once("close", () => remove(viewer)).on("error", () => {});
      viewer.response.writeHead(200, HEAD);
      viewers.set(viewer, 0);
      tell([viewer]);
      timer ??= setInterval(() => tell([...viewers.keys()]), EVERY_MS);
      return true;
    },
    close() {
      for (const { response } of viewers.keys()) finish(response);
    },
  };
}

/** One that does not read would keep an end waiting for ever. */
function finish(response: ServerResponse): void {
  if (response.writableNeedDrain) response.destroy();
  else response.end();
}

function safely(view: () => unknown): unknown {
  try {
    return view();
  } catch {
    return undefined;
  }
}
