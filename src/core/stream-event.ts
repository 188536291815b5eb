/** One server-sent event as it came off the wire, and what a dialect makes of it. */
import type { Failure } from "./failure.ts";

export interface StreamEvent {
  /** The `event:` field, when there was one. */
  readonly event: string | undefined;
  /** The `data:` field, lines joined with a line feed; forwarded as it came. */
  readonly data: string;
  /**
   * All of it as it came, blank line included, where that is the wire form that `sse/encode` gives to `event` and `data`; undefined
   * where it is not known to be.
   */
  readonly bytes?: Buffer | undefined;
  /** Characters of text in it, as its dialect counts them; set by the reader that had it judged. */
  characters?: number | undefined;
}

/**
 * What one event means for its stream:
 * - `content`: something the user asked for; opens the gate and feeds the idle timer
 * - `tool-call`: a part of a tool call; content too, but of no use before the call is complete
 * - `meta`: forwarded, but proves nothing (roles, usage, empty deltas)
 * - `terminator`: the dialect's own end mark, which is not part of the answer (`[DONE]`)
 * - `final`: the last event of the answer, forwarded (`response.completed`)
 * - `ignored`: not forwarded (pings, blank data)
 * - a {@link Failure}: the stream is over and not whole
 */
export type Verdict = "content" | "tool-call" | "meta" | "terminator" | "final" | "ignored" | Failure;

/** `data: ` in front and the blank line behind. */
const WIRE_OVERHEAD_BYTES = 8;

/** Bytes that an event takes on the wire, about: what it counts for while it is held. */
export function wireBytes({ event, data, bytes }: StreamEvent): number {
  if (bytes !== undefined) return bytes.length;
  return Buffer.byteLength(data) + WIRE_OVERHEAD_BYTES + (event === undefined ? 0 : event.length + WIRE_OVERHEAD_BYTES);
}
