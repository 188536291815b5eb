/** Where log lines go: stdout, which may be full, stopped, or read no more; then lines are dropped and counted, and nothing waits. */
import { closeSync, constants, fstatSync, openSync, writeSync } from "node:fs";
import { Writable } from "node:stream";

/** What waits to be written beyond this is dropped, in bytes. */
const MAX_WAITING = 1_048_576;
/** How soon it is tried again when nothing more is logged, in milliseconds: a terminal may only be slow. Doubled up to a second. */
const FIRST_RETRY_MS = 10;
const LAST_RETRY_MS = 1_000;
/** How often it is looked whether the last lines have left, in milliseconds. */
const LOOK_MS = 10;

/** A way to write that never waits and never throws. */
interface Outlet {
  /** Bytes that were taken and have not been written. */
  readonly waiting: number;
  write(line: Buffer): void;
}

export class LogOutput extends Writable {
  readonly isTTY: boolean;
  /** Told how many lines were lost, once lines can be written again. */
  onLost: (lines: number) => void = () => {};
  #lost = 0;
  readonly #outlet: Outlet;

  constructor(fd = 1) {
    super();
    const stream = fd === 1 ? process.stdout : process.stderr;
    this.isTTY = stream.isTTY === true;
    this.#outlet = isPipe(fd) ? toStream(stream) : toFile(this.isTTY ? (openTerminal(fd) ?? fd) : fd);
  }

  override _write(line: Buffer, _encoding: string, taken: () => void): void {
    if (this.#outlet.waiting + line.length > MAX_WAITING) this.#lost++;
    else {
      this.#outlet.write(line);
      this.#tellLost();
    }
    taken();
  }

  /** Resolves when the last lines have been written, or `withinMs` have passed. */
  async flushed(withinMs: number): Promise<void> {
    const until = performance.now() + withinMs;
    while (this.#outlet.waiting > 0 && performance.now() < until) await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }

  #tellLost(): void {
    if (this.#lost === 0 || this.#outlet.waiting > 0) return;
    const lost = this.#lost;
    this.#lost = 0;
    this.onLost(lost);
  }
}

function isPipe(fd: number): boolean {
  try {
    const stat = fstatSync(fd);
    return stat.isFIFO() || stat.isSocket();
  } catch {
    return false;
  }
}

/**
 * The same terminal, opened so that a write fails where it would wait: while Ctrl-S has stopped it, or nobody reads it, one line would stop
 * the whole process. Undefined where there is no way to it (other systems than Linux): there it is written to as it is.
 */
function openTerminal(fd: number): number | undefined {
  let opened: number | undefined;
  try {
    opened = openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    if (fstatSync(opened).rdev === fstatSync(fd).rdev) return opened;
    closeSync(opened);
  } catch {
    // A terminal of another user (su, sudo) may be written to, and not opened.
  }
  return undefined;
}

/** To a pipe Node writes without waiting, and keeps what its reader has not taken. */
function toStream(stream: NodeJS.WriteStream): Outlet {
  let broken = false;
  stream.on("error", () => {
    broken = true;
  });
  return {
    get waiting() {
      return broken ? 0 : stream.writableLength;
    },
    write(line) {
      // The reader is gone for good.
      if (!broken) stream.write(line);
    },
  };
}

/** A file, a terminal, a device. What cannot be written now, since the disk is full or the terminal stopped, is tried again. */
function toFile(fd: number): Outlet {
  let waiting: Buffer = Buffer.alloc(0);
  let retry: NodeJS.Timeout | undefined;
  let retryMs = FIRST_RETRY_MS;
  const flush = (): void => {
    retry = undefined;
    try {
      while (waiting.length > 0) {
        waiting = waiting.subarray(writeSync(fd, waiting));
        retryMs = FIRST_RETRY_MS;
      }
    } catch {
      retry = setTimeout(flush, retryMs).unref();
      retryMs = Math.min(retryMs * 2, LAST_RETRY_MS);
    }
  };
  return {
    get waiting() {
      return waiting.length;
    },
    write(line) {
      waiting = waiting.length === 0 ? line : Buffer.concat([waiting, line]);
      if (retry === undefined) flush();
    },
  };
}
