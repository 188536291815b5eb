/** How an exchange ended: exactly one of these, in the log line and wherever exchanges are counted. */
import type { FailureCode } from "./failure.ts";

export type Outcome =
  /** Whole, at the first attempt, as the upstream sent it. */
  | "complete"
  /** Whole, after a retry the client never noticed. */
  | "recovered"
  /** Whole; Perennial supplied a missing terminator, or turned a JSON answer into a stream. */
  | "repaired"
  /** Whole, continued across a break. */
  | "resumed"
  /** An HTTP error, before any byte of an answer. */
  | "failed"
  /** An error event, after some bytes. */
  | "interrupted"
  /** The client left. */
  | "cancelled"
  /** Perennial refused; the upstream was never asked. */
  | "rejected";

/**
 * What an answer went on by, over a break: the same generation, its last words that came again, a server that is known to go on, or
 * all of it again.
 */
export type ResumedBy = "native" | "answer" | "server" | "rerun";

/** How a request ended that never became an exchange: with a defect of ours, or with a refusal that was meant. */
export function outcomeOfRefusal(failure: FailureCode): "failed" | "rejected" {
  return failure === "internal_error" ? "failed" : "rejected";
}
