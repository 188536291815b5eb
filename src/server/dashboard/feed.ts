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
const HEAD = {
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-store, no-transform",
  "x-accel-buffering": "no",
  "x-content-type-options": "nosniff",
};

/** @param view what is told; undefined when there is no dashboard any more. */
export function createFeed(view: () => unknown): Feed {
  const viewers = new Set<Viewer>();
  let timer: NodeJS.Timeout | undefined;

  function remove(viewer: Viewer): void {
    viewers.delete(viewer);
    if (viewers.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  }

  function tell(told: Iterable<Viewer>): void {
    const now = view();
    const event = `data: ${JSON.stringify(now)}\n\n`;
    for (const viewer of told) {
      if (now === undefined || !viewer.mayLook()) viewer.response.end();
      // A page that is too slow misses some: each tells everything.
      else if (!viewer.response.writableNeedDrain) viewer.response.write(event);
    }
  }

  return {
    add(viewer) {
      if (viewers.size >= MAX_VIEWERS) return false;
      viewers.add(viewer);
      viewer.response.once("close", () => remove(viewer)).on("error", () => {});
      viewer.response.writeHead(200, HEAD);
      tell([viewer]);
      timer ??= setInterval(() => tell(viewers), EVERY_MS);
      return true;
    },
    close() {
      for (const { response } of viewers) response.end();
    },
  };
}
