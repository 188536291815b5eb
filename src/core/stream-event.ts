/** One server-sent event as it came off the wire, and what a dialect makes of it. */
import type { Failure } from "./failure.ts";

export interface StreamEvent {
  /** The `event:` field, when there was one. */
  readonly event: string | undefined;
  /** The `data:` field, lines joined with a line feed; forwarded as it came. */
  readonly data: string;
}

/**
 * What one event means for its stream:
 * - `content`: something the user asked for; opens the gate and feeds the idle timer
 * - `meta`: forwarded, but proves nothing (roles, usage, empty deltas)
 * - `terminator`: the dialect's own end mark
 * - `ignored`: not forwarded (pings, blank data)
 * - a {@link Failure}: the stream is over and not whole
 */
export type Verdict = "content" | "meta" | "terminator" | "ignored" | Failure;
