/** Lets no upstream take the event loop for itself: one that floods is read in turns with all that others bring. */

/** What one upstream may bring in one turn of the event loop, in bytes: of the shortest events some milliseconds of work. */
const TURN_BYTES = 64 * 1024;
/** How long those that wait for a turn are read before the others are served again, in milliseconds. */
const TURN_MS = 10;

/** Waiting readers, in their order. */
const waiting: (() => void)[] = [];
let turn = 0;
let isCounting = false;

/** Counts the turns of the event loop in which something is read. */
function currentTurn(): number {
  if (!isCounting) {
    isCounting = true;
    setImmediate(onTurnEnd);
  }
  return turn;
}

function onTurnEnd(): void {
  isCounting = false;
  turn++;
  const began = performance.now();
  // Each once: who waits again at once may have nothing to read before the event loop has looked at its sockets.
  for (let left = waiting.length; left > 0; left--) {
    waiting.shift()?.();
    if (performance.now() - began > TURN_MS) break;
  }
  if (waiting.length > 0) currentTurn();
}

/** One upstream's turns. */
export class ReadTurns {
  readonly #pause: () => void;
  readonly #resume: () => void;
  #turn = -1;
  #bytes = 0;
  #isWaiting = false;

  /** @param resume reads on; what has come meanwhile may be handed over before it returns. */
  constructor(pause: () => void, resume: () => void) {
    this.#pause = pause;
    this.#resume = resume;
  }

  /** It has been paused, and goes on by itself. */
  get isWaiting(): boolean {
    return this.#isWaiting;
  }

  /** So much has been read of it. */
  onRead(bytes: number): void {
    const now = currentTurn();
    if (now !== this.#turn) {
      this.#turn = now;
      this.#bytes = 0;
    }
    this.#bytes += bytes;
    if (this.#bytes < TURN_BYTES || this.#isWaiting) return;
    this.#isWaiting = true;
    this.#pause();
    waiting.push(() => {
      this.#isWaiting = false;
      this.#resume();
    });
  }
}
