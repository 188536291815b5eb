/** What one process of the load is told to do, and what it tells when it is done. */
import type { Ask } from "./ask.ts";

export interface Job {
  /** Where chat completions are asked for. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly model: string;
  readonly ask: Ask;
  /** At most so many streams, and so many at a time. */
  readonly streams: number;
  readonly concurrency: number;
  /** No stream begins after this, in milliseconds. */
  readonly beginWithinMs: number;
  /** Streams that have not ended by then are broken off, and count as bad. */
  readonly endWithinMs: number;
  /** Events are timed from here on; before it the crowd that opens its streams would be what is measured. */
  readonly settleMs: number;
  /** One stream in so many is broken on purpose; 0 for none. */
  readonly brokenEvery: number;
}

/** Told by the load once every stream of a job has its first content. */
export interface Opened {
  readonly opened: true;
  readonly withinMs: number;
}

export interface JobDone {
  readonly opened: false;
  /** Streams that were to be whole: all of them, and those that were not, with the first few reasons. */
  readonly healthy: number;
  readonly bad: number;
  readonly reasons: readonly string[];
  readonly events: number;
  readonly wallMs: number;
  /** From when an event was written to when it was read, in microseconds. */
  readonly latencies: Uint32Array;
  /** From the request to the first content, in microseconds. */
  readonly firstContents: Uint32Array;
}
