/** Time as the event loop has it: on a busy machine a timer alone may run out before a socket was read that has long been ready. */

const TURN_MS = 10;

export interface Turns {
  /** From the beginning. */
  restart(): void;
  stop(): void;
}

/** Runs after so many milliseconds, each ten of which are a turn of the event loop at least. */
export function afterTurns(ms: number, run: () => void): Turns {
  let leftMs = ms;
  const timer = setInterval(() => {
    leftMs -= TURN_MS;
    if (leftMs > 0) return;
    clearInterval(timer);
    run();
  }, TURN_MS);
  return {
    restart() {
      leftMs = ms;
    },
    stop: () => clearInterval(timer),
  };
}
