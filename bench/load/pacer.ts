/** Calls of many streams at one pace, spread as the streams began, by one timer: the load must not be what is measured. */

interface Turn {
  readonly call: () => boolean;
  dueMs: number;
}

const TICK_MS = 1;

export class Pacer {
  /** Turns of one pace are due in the order in which they are put in. */
  readonly #lanes = new Map<number, Turn[]>();
  #timer: NodeJS.Timeout | undefined;

  /** @param call says whether it was the last time. */
  add(everyMs: number, call: () => boolean): void {
    const lane = this.#lanes.get(everyMs) ?? [];
    this.#lanes.set(everyMs, lane);
    lane.push({ call, dueMs: performance.now() + everyMs });
    this.#timer ??= setInterval(() => this.#tick(), TICK_MS);
  }

  #tick(): void {
    const now = performance.now();
    for (const [everyMs, lane] of this.#lanes) {
      const upTo = lane.findIndex(({ dueMs }) => dueMs > now);
      const due = lane.splice(0, upTo < 0 ? lane.length : upTo);
      for (const turn of due) {
        if (turn.call()) continue;
        // From when it was due, so that a late tick does not slow the stream down; but never twice at once.
        turn.dueMs = Math.max(turn.dueMs + everyMs, now);
        lane.push(turn);
      }
      if (lane.length === 0) this.#lanes.delete(everyMs);
    }
    if (this.#lanes.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
